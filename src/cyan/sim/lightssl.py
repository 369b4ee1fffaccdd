"""The device's channel over TCP: the RSA handshake and its frames (device-protocol.md §1.3).

Nothing of it is resumed: every connection shakes hands and begins its message ids anew.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from cyan.sim.channel import ChannelUser
from cyan.sim.facts import EndReason, HandshakeDone, StreamHost
from cyan.sim.reliability import NEVER
from cyan.sim.session import Memory, Session
from cyan.wire.errors import MalformedError
from cyan.wire.lightssl import frames
from cyan.wire.lightssl.handshake import ClientHandshake, first_device_message_id

READ_TIMEOUT_S: Final = 20.0
"""For each read of the handshake (§1.3.1)."""


class LightsslChannel:
    """A channel of a device with this RSA-1024 key."""

    def __init__(
        self,
        device_id: bytes,
        device_key: rsa.RSAPrivateKey,
        server_public_key: rsa.RSAPublicKey,
        host: StreamHost,
        user: ChannelUser,
    ) -> None:
        self.session: Session | None = None
        self._device_id = device_id
        self._device_key = device_key
        self._server_public_key = server_public_key
        self._host = host
        self._user = user
        self._handshake: ClientHandshake | None = None
        self._frames: frames.Channel | None = None
        self._deadline = NEVER

    def connect(self, now: float) -> None:
        """Opens a stream and waits for the server's nonce."""
        self._handshake = ClientHandshake(
            device_key=self._device_key,
            server_public_key=self._server_public_key,
            device_id=self._device_id,
        )
        self._deadline = now + READ_TIMEOUT_S
        self._host.open_stream()

    def disconnect(self, *, keeps_session: bool) -> None:
        """Closes the stream."""
        self._handshake = None
        self._frames = None
        self._deadline = NEVER
        self._host.close_stream()

    def transmit(self, message: bytes) -> None:
        """Sends one frame in one write."""
        if self._frames is not None:
            self._host.send(self._frames.seal(message))

    def on_bytes(self, data: bytes, now: float) -> None:
        """Takes a piece of the stream; out of step, the connection ends."""
        try:
            if self._handshake is not None:
                self._on_handshake(self._handshake, data, now)
            elif self._frames is not None:
                self._on_frames(self._frames, data, now)
        except MalformedError:
            is_shaking = self._handshake is not None
            reason = EndReason.HANDSHAKE_FAILED if is_shaking else EndReason.PROTOCOL_ERROR
            self._user.end(reason, now)

    def on_closed(self, now: float) -> None:
        """The server or the network has ended the stream."""
        if self._handshake is not None:
            self._user.end(EndReason.HANDSHAKE_FAILED, now)
        elif self._frames is not None:
            self._user.end(EndReason.CLOSED, now)

    def deadline(self) -> float:
        """The end of a read of the handshake."""
        return self._deadline

    def on_deadline(self, now: float) -> None:
        """Gives up."""
        if self._deadline <= now:
            self._user.end(EndReason.HANDSHAKE_FAILED, now)

    def _on_handshake(self, handshake: ClientHandshake, data: bytes, now: float) -> None:
        answer = handshake.feed(data)
        if answer:
            self._deadline = now + READ_TIMEOUT_S
            self._host.send(answer)
        session = handshake.session
        if session is None:
            return
        self._handshake = None
        self._deadline = NEVER
        channel = self._frames = frames.Channel(session)
        self._user.on_fact(HandshakeDone(resumed=False))
        self._user.on_connected(
            Memory(), now, is_resumed=False, first_message_id=first_device_message_id(session)
        )
        if handshake.unread:
            self._on_frames(channel, handshake.unread, now)

    def _on_frames(self, channel: frames.Channel, data: bytes, now: float) -> None:
        for content in channel.feed(data):
            self._user.on_message(content, now)
            if self._frames is not channel:
                return
