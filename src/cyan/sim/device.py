"""One simulated device, sans-IO: bytes and time in, bytes and facts out.

It connects, comes back with its session or without, and shakes hands again when and as late as
firmware does (device-protocol.md §1.4.6, §1.4.7, session-behaviour.md). The owner calls `on_bytes`
with each datagram or piece of the stream, `on_closed` at a stream's end, and `on_deadline` at
`deadline()`; times are seconds of any monotonic clock.
"""

import hashlib
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.sim.application import Application
from cyan.sim.behaviour import Behaviour
from cyan.sim.boards import Board
from cyan.sim.channel import Channel
from cyan.sim.conversation import Conversation, Profile
from cyan.sim.dtls import DtlsChannel
from cyan.sim.facts import EndReason, Fact, Host, State, StateChanged, StreamHost
from cyan.sim.firmware import Firmware, generation_of, make_hello
from cyan.sim.flash import Flash, MemoryFlash, Storage
from cyan.sim.generations import GENERATIONS, Generation
from cyan.sim.identity import Identity
from cyan.sim.images import read_image
from cyan.sim.lightssl import LightsslChannel
from cyan.sim.platforms import Platform, Transport
from cyan.sim.reliability import NEVER, Outstanding
from cyan.sim.requests import Requests
from cyan.sim.session import (
    Memory,
    Numbers,
    Session,
    StoredDevice,
    restore_session,
    store_session,
)
from cyan.sim.updatefaults import Troubles
from cyan.sim.updater import Updater
from cyan.sim.vitals import Vitals
from cyan.wire import coap
from cyan.wire.errors import MalformedError
from cyan.wire.messages.special import UPDATES_ENABLED

ServerKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
"""P-256 for a board that connects by UDP, RSA-2048 for one that connects by TCP."""

AT_ONCE_S: Final = 0.015
"""From an alert to the next ClientHello (session-behaviour.md)."""

RECONNECT_S: Final = 1.0
"""After a silence, between two resumptions 56 s apart (device-protocol.md §1.4.6)."""

BACKOFF_STEP: Final = 5
MAX_BACKOFF_S: Final = 128.0
"""1 s after each of the first five failures in a row, 2 s after the next five, and so on doubling
(device-protocol.md §1.4.7)."""

_TOKENS: Final = 256
_SAFE_MODE: Final = "safe mode"
_RESET_BY_UPDATE: Final = "update"
_RESET_BY_TIMEOUT: Final = "update_timeout"
_RESETS: Final = {"reboot": "user", _SAFE_MODE: "safe_mode"}
"""What the server asks for by `spark/device/reset`, and the reason that the device then tells."""
_UNHURRIED: Final = (EndReason.PING_TIMEOUT, EndReason.RESTART)


class Device:
    """A device that has not begun to connect; `start` makes it. `state` is where it stands.

    A board that connects by TCP has an RSA key for its server's, and a `StreamHost`. Without a
    `generation` it runs the newest Device OS that there is for it. `last_reset` is told to the
    server as the reason of its last reset. Updates are collected in `flash`; `troubles` are what
    goes wrong with them.
    """

    __slots__ = (
        "_application",
        "_attempts",
        "_behaviour",
        "_channel",
        "_connect_at",
        "_conversation",
        "_disconnects",
        "_failed_attempts",
        "_generation",
        "_given_claim_code",
        "_host",
        "_is_accepted",
        "_is_leaving",
        "_is_paused",
        "_numbers",
        "_outstanding",
        "_peers",
        "_platform",
        "_random",
        "_requests",
        "_seed",
        "_server_public_key",
        "_started_at",
        "board",
        "claim_code",
        "identity",
        "is_in_safe_mode",
        "last_reset",
        "state",
        "updater",
    )

    def __init__(
        self,
        identity: Identity,
        platform: Platform,
        behaviour: Behaviour,
        server_public_key: ServerKey,
        host: Host,
        *,
        seed: str,
        generation: Generation | None = None,
        claim_code: str | None = None,
        last_reset: str | None = None,
        stored: StoredDevice | None = None,
        flash: Flash | None = None,
        troubles: Troubles | None = None,
    ) -> None:
        firmware, partial = (None, None) if stored is None else (stored.firmware, stored.partial)
        self._platform = platform
        self._generation = generation or GENERATIONS[platform.newest]
        self._behaviour = behaviour
        self._seed = seed
        self.board = self._board_of(firmware)
        self.claim_code = claim_code
        self.identity = identity
        self.is_in_safe_mode = firmware is not None and not firmware.is_complete
        self.last_reset = last_reset
        self.state = State.OFFLINE
        self._host = host
        # The seed decides every random byte, so that a run can be had again.
        self._random = Random(f"{seed}/{identity.device_id}")  # noqa: S311
        self.updater = Updater(
            identity.device_id,
            self.board,
            Storage(MemoryFlash() if flash is None else flash, partial),
            firmware,
            troubles,
        )
        self._application = self._load_application()
        self._numbers = Numbers(1, self._random.randrange(_TOKENS))
        self._outstanding = Outstanding(self._random)
        self._server_public_key = server_public_key
        self._channel = self._open_channel(server_public_key)
        self._connect_at = NEVER
        self._failed_attempts = 0
        self._attempts = 0
        self._disconnects = 0
        self._conversation: Conversation | None = None
        self._requests: Requests | None = None
        self._is_accepted = False
        self._is_paused = False
        self._is_leaving = False
        self._given_claim_code = claim_code
        self._started_at = 0.0
        self._peers = self._fingerprint_peers(server_public_key)
        if stored is not None:
            self._restore(stored)

    @property
    def session(self) -> Session | None:
        """The session that it has or would resume; TCP has none."""
        return self._channel.session

    @property
    def outstanding(self) -> int:
        """How many of its messages are unacknowledged."""
        return len(self._outstanding)

    @property
    def retransmissions(self) -> int:
        """How many messages were sent again so far."""
        return self._outstanding.retransmissions

    def start(self, at: float) -> None:
        """Connects at that time."""
        self._started_at = at
        self._connect_at = at
        self._application.boot(at)

    def say_goodbye(self, now: float) -> None:
        """Publishes nothing more and, when online, tells the server that it goes."""
        self._application.halt()
        self._is_leaving = True
        if self._conversation is not None and self._conversation.is_online:
            self._conversation.say_goodbye(now)

    def stop(self, now: float) -> None:
        """Ends the connection without another word; the session is kept."""
        self.end(EndReason.STOPPED, now)
        self._connect_at = NEVER
        self._application.halt()

    def pause(self, reason: EndReason, now: float) -> None:
        """Ends the connection and does nothing until `resume`. The application's memory is kept."""
        self.end(reason, now)
        self._connect_at = NEVER
        self._is_paused = True

    def resume(self, now: float) -> None:
        """Connects again."""
        self._is_paused = False
        self._connect_at = now

    def store(self, ahead: int = 0) -> StoredDevice:
        """What to write down, as if `ahead` more messages had been sent."""
        return StoredDevice(
            self._peers,
            (self._numbers.message_id + ahead) & 0xFFFF,
            self._numbers.token,
            self._application.events_made + ahead,
            None if self.session is None else store_session(self.session, ahead),
            used_claim_code=self._given_claim_code if self.claim_code is None else None,
            firmware=self.updater.firmware,
            partial=self.updater.storage.partial,
        )

    def deadline(self) -> float:
        """When `on_deadline` has to be called."""
        if self._is_paused:
            return NEVER
        deadline = min(self._connect_at, self._channel.deadline(), self._application.deadline())
        if self._conversation is not None:
            deadline = min(deadline, self._conversation.deadline())
        return deadline

    def on_deadline(self, now: float) -> None:
        """Does what is due."""
        while due := self._application.take_due(now):
            # Events whose time passed while the device was away are not made up for.
            if self._conversation is not None and self._conversation.is_online:
                self._conversation.publish(due, now)
        if self._conversation is not None and self._conversation.deadline() <= now:
            self._conversation.on_deadline(now)
        if self._channel.deadline() <= now:
            self._channel.on_deadline(now)
        if self._connect_at <= now:
            self._connect(now)

    def on_bytes(self, data: bytes, now: float) -> None:
        """Takes a datagram, or a piece of the stream; what is not authentic changes nothing."""
        self._channel.on_bytes(data, now)

    on_datagram = on_bytes
    """What hosts call it that have datagrams only."""

    def on_closed(self, now: float) -> None:
        """Takes the end of the stream."""
        self._channel.on_closed(now)

    # What the conversation asks of its link.

    def transmit(self, message: bytes) -> None:
        """Protects and sends one CoAP message."""
        self._channel.transmit(message)

    def end(self, reason: EndReason, now: float) -> None:
        """Ends the connection or the attempt, and plans the next one."""
        if self._is_leaving:
            # The server closes a connection over which a Goodbye came.
            reason = EndReason.STOPPED
        if self._conversation is not None:
            self._conversation.abandon(now, is_sudden=reason.is_sudden)
        self._conversation = None
        self._requests = None
        keeps_session = reason.keeps_session and self.board.transport is Transport.UDP
        self._channel.disconnect(keeps_session=keeps_session)
        if not self._is_accepted:
            self._failed_attempts += 1
            delay = _backoff_s(self._failed_attempts)
        elif self.board.transport is Transport.TCP or reason in _UNHURRIED:
            delay = RECONNECT_S
        else:
            delay = AT_ONCE_S
        self._connect_at = NEVER if self._is_leaving else now + delay
        self._disconnects += self._is_accepted
        self._change(State.OFFLINE, reason, keeps_session=keeps_session)

    def on_accepted(self) -> None:
        """The attempt has succeeded: a later one begins with the shortest delay again."""
        self._is_accepted = True
        self._failed_attempts = 0

    def on_online(self, now: float) -> None:
        """The device breathes cyan."""
        self._application.on_online(now)
        self._change(State.ONLINE)

    def on_fact(self, fact: Fact) -> None:
        """Hands it to the host."""
        self._host.on_fact(fact)

    def reset(self, how: str, now: float) -> None:
        """Connects anew, after a boot if it is one; in safe mode no application runs."""
        if how in _RESETS:
            self._boot(_RESETS[how], now, is_safe=how == _SAFE_MODE)
        self.end(EndReason.RESTART, now)

    def restart_updated(self, now: float) -> None:
        """Boots what was installed, and connects anew."""
        self.end(EndReason.RESTART, now)
        self._boot(_RESET_BY_UPDATE, now)

    def restart_timed_out(self, now: float) -> None:
        """Boots because an update did not come to its end, and connects anew."""
        self.end(EndReason.RESTART, now)
        self._boot(_RESET_BY_TIMEOUT, now)

    def enable_updates(self, now: float, *, enabled: bool) -> None:
        """Does what the application asks, and tells it to the server (§3.11)."""
        if self.updater.is_enabled == enabled:
            return
        self.updater.is_enabled = enabled
        conversation = self._conversation
        if conversation is not None and conversation.is_online:
            conversation.say_system_event(UPDATES_ENABLED, b"true" if enabled else b"false", now)

    def vitals(self, now: float) -> Vitals:
        """What it has counted since its boot."""
        return Vitals(
            uptime_s=now - self._started_at,
            attempts=self._attempts,
            disconnects=self._disconnects,
            retransmissions=self.retransmissions,
            unacknowledged=self.outstanding,
        )

    # What the channel tells its user.

    def on_connected(
        self, memory: Memory, now: float, *, is_resumed: bool, first_message_id: int | None = None
    ) -> None:
        """Begins a conversation."""
        if first_message_id is not None:
            self._numbers.message_id = first_message_id
        conversation = Conversation(
            self._make_profile(), self._application, memory, self._numbers, self._outstanding, self
        )
        self._conversation = conversation
        self._requests = Requests(conversation)
        if is_resumed:
            conversation.start_resumed(now)
        else:
            conversation.start_full(now)

    def on_message(self, content: bytes, now: float) -> None:
        """Takes what should be a CoAP message; firmware drops what is none."""
        conversation, requests = self._conversation, self._requests
        if conversation is None or requests is None:
            return
        conversation.heard(now)
        try:
            message = coap.decode(content)
        except MalformedError:
            return
        if message.type == coap.RST:
            # With any id (device-protocol.md §1.4.6); on TCP it means nothing.
            if not conversation.is_stream:
                self.end(EndReason.RESET, now)
        elif message.type == coap.ACK:
            if not conversation.waits_for_hello:
                self.on_accepted()
            conversation.on_acknowledgement(message, now)
        elif conversation.is_stream or not conversation.waits_for_hello:
            requests.on_request(message, now)

    def _boot(self, last_reset: str, now: float, *, is_safe: bool = False) -> None:
        firmware = self.updater.firmware
        board = self._board_of(firmware)
        is_other, self.board = board != self.board, board
        self.is_in_safe_mode = is_safe or (firmware is not None and not firmware.is_complete)
        self.last_reset = last_reset
        self.updater.boot(board)
        events_made = self._application.events_made
        self._application = self._load_application()
        self._application.events_made = events_made
        self._application.boot(now)
        if is_other:
            # What another Device OS has in memory it cannot read.
            self._channel = self._open_channel(self._server_public_key)
            self._peers = self._fingerprint_peers(self._server_public_key)
        self._started_at = now
        self._attempts = self._disconnects = 0

    def _board_of(self, firmware: Firmware | None) -> Board:
        generation = self._generation
        if firmware is not None:
            generation = generation_of(self._platform, firmware, generation)
        return Board(self._platform, generation)

    def _load_application(self) -> Application:
        """What runs now: in safe mode nothing, else what was installed, else what it came with."""
        firmware = self.updater.firmware
        behaviour = self._behaviour
        if self.is_in_safe_mode:
            behaviour = Behaviour()
        elif firmware is not None and firmware.body is not None:
            behaviour = read_image(firmware.body)
        device_id = self.identity.device_id
        return Application(
            device_id,
            self.identity.name,
            behaviour,
            f"{self._seed}/{device_id}",
            board=self.board,
            firmware=firmware,
        )

    def _make_profile(self) -> Profile:
        hello = make_hello(
            self.board,
            self.identity.device_id,
            self.updater.firmware,
            is_in_safe_mode=self.is_in_safe_mode,
        )
        return Profile(hello, self.board)

    def _open_channel(self, server_public_key: ServerKey) -> Channel:
        device_id = bytes.fromhex(self.identity.device_id)
        if self.board.transport is Transport.UDP:
            if not isinstance(server_public_key, ec.EllipticCurvePublicKey):
                raise TypeError("a UDP device needs the server's P-256 key")
            return DtlsChannel(
                device_id,
                self.identity.key,
                server_public_key,
                self.board.generation.resumption,
                self._host,
                self,
                self._random,
            )
        if not isinstance(server_public_key, rsa.RSAPublicKey):
            raise TypeError("a TCP device needs the server's RSA-2048 key")
        if not isinstance(self._host, StreamHost):
            raise TypeError("a TCP device needs a host that opens streams")
        return LightsslChannel(
            device_id, self.identity.rsa_key, server_public_key, self._host, self
        )

    def _connect(self, now: float) -> None:
        self._connect_at = NEVER
        self._is_accepted = False
        self._attempts += 1
        self._change(State.CONNECTING)
        self._channel.connect(now)

    def _change(
        self, state: State, reason: EndReason | None = None, *, keeps_session: bool = False
    ) -> None:
        was_online = self.state is State.ONLINE
        self.state = state
        self._host.on_fact(StateChanged(state, was_online, reason, keeps_session))

    def _fingerprint_peers(self, server_public_key: ServerKey) -> str:
        is_udp = self.board.transport is Transport.UDP
        key = self.identity.key if is_udp else self.identity.rsa_key
        encoded = [
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for public in (server_public_key, key.public_key())
        ]
        release = self.board.generation.release.encode()
        return hashlib.sha256(b"".join((*encoded, release))).hexdigest()

    def _restore(self, stored: StoredDevice) -> None:
        self._application.events_made = stored.events_made
        if stored.used_claim_code == self.claim_code:
            self.claim_code = None
        if stored.peers == self._peers and stored.session is not None:
            self._numbers = Numbers(stored.message_id, stored.token)
            device_id = bytes.fromhex(self.identity.device_id)
            self._channel.session = restore_session(stored.session, device_id)


def _backoff_s(failed_attempts: int) -> float:
    return min(float(1 << (failed_attempts - 1) // BACKOFF_STEP), MAX_BACKOFF_S)
