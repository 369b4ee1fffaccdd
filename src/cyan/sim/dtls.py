"""The device's channel over UDP: DTLS with connection id, or without before Device OS 3.1.

It shakes hands, and resumes a session without a handshake (device-protocol.md §1.4).
"""

from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from cyan.sim.channel import ChannelUser
from cyan.sim.facts import EndReason, HandshakeDone, Host
from cyan.sim.generations import Resumption
from cyan.sim.reliability import NEVER
from cyan.sim.session import MAX_UNANSWERED_RESUMPTIONS, Session
from cyan.wire.dtls import alerts
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import ALERT, APPLICATION_DATA, split_records
from cyan.wire.errors import MalformedError

HANDSHAKE_WAITS_S: Final = (3.0, 6.0, 12.0, 24.0)
"""Before each retransmission of a flight, the last before giving up (§1.4.2)."""

_ENTROPY_BYTES: Final = 64


class DtlsChannel:
    """A channel of a device with this P-256 key. `random` gives what a handshake needs of it."""

    def __init__(
        self,
        device_id: bytes,
        device_key: ec.EllipticCurvePrivateKey,
        server_public_key: ec.EllipticCurvePublicKey,
        resumption: Resumption,
        host: Host,
        user: ChannelUser,
        random: Random,
    ) -> None:
        self.session: Session | None = None
        self._device_id = device_id
        self._device_key = device_key
        self._server_public_key = server_public_key
        self._resumption = resumption
        self._host = host
        self._user = user
        self._random = random
        self._handshake: ClientHandshake | None = None
        self._waits = 0
        self._deadline = NEVER
        self._is_connected = False
        self._is_resuming = False

    def connect(self, now: float) -> None:
        """Resumes the session if there is one of use, else shakes hands."""
        self._host.open_port()
        session = self.session
        if session is not None and session.unanswered_resumptions >= MAX_UNANSWERED_RESUMPTIONS:
            session = self.session = None
        if session is not None:
            self._resume(session, now)
            return
        self._handshake = ClientHandshake(
            device_key=self._device_key,
            server_public_key=self._server_public_key,
            entropy=self._random.randbytes(_ENTROPY_BYTES),
            offer_connection_id=self._resumption is not Resumption.TRAILER,
        )
        self._await_flight(now, is_first=True)
        self._host.send(self._handshake.start())

    def disconnect(self, *, keeps_session: bool) -> None:
        """A session that is not kept is lost for good."""
        self._handshake = None
        self._deadline = NEVER
        self._is_connected = self._is_resuming = False
        if not keeps_session:
            self.session = None

    def transmit(self, message: bytes) -> None:
        """Seals and sends one record."""
        if self._is_connected and self.session is not None:
            self._host.send(self.session.records.seal_data(message))

    def on_bytes(self, data: bytes, now: float) -> None:
        """Takes a datagram; what is not authentic changes nothing."""
        if self._handshake is not None:
            self._on_handshake(self._handshake, data, now)
            return
        try:
            records = split_records(data)
        except MalformedError:
            return
        for record in records:
            self._on_record(record, now)

    def on_closed(self, now: float) -> None:
        """Says nothing to datagrams."""

    def deadline(self) -> float:
        """The end of the wait for an answer to the last flight of a handshake."""
        return self._deadline

    def on_deadline(self, now: float) -> None:
        """Sends the flight again, or gives up."""
        if self._handshake is None or self._deadline > now:
            return
        if self._waits == len(HANDSHAKE_WAITS_S):
            self._user.end(EndReason.HANDSHAKE_FAILED, now)
            return
        self._await_flight(now)
        for datagram in self._handshake.retransmit():
            self._host.send(datagram)

    def _resume(self, session: Session, now: float) -> None:
        session.unanswered_resumptions += 1
        # From 3.1 to 3.3.1 nothing marks the records of a resumed session (§1.4.6).
        session.records.moving = self._resumption is not Resumption.ORDINARY_CID
        self._is_connected = self._is_resuming = True
        self._user.on_connected(session, now, is_resumed=True)

    def _await_flight(self, now: float, *, is_first: bool = False) -> None:
        if is_first:
            self._waits = 0
        self._deadline = now + HANDSHAKE_WAITS_S[self._waits]
        self._waits += 1

    def _on_handshake(self, handshake: ClientHandshake, datagram: bytes, now: float) -> None:
        answers = handshake.feed(datagram)
        for answer in answers:
            self._host.send(answer)
        if handshake.failed is not None:
            self._user.end(EndReason.HANDSHAKE_FAILED, now)
        elif handshake.established is not None:
            self._handshake = None
            self._deadline = NEVER
            handshake.established.device_id = self._device_id
            self.session = Session(handshake.established)
            self._is_connected = True
            self._user.on_fact(HandshakeDone(resumed=False))
            self._user.on_connected(self.session, now, is_resumed=False)
        elif answers:
            self._await_flight(now, is_first=True)

    def _on_record(self, record: bytes, now: float) -> None:
        session = self.session
        if not self._is_connected or session is None:
            return
        opened = session.records.open(record)
        if opened is None:
            return
        content_type, content = opened
        if content_type == ALERT and alerts.ends_session(content):
            self._user.end(EndReason.ALERT, now)
            return
        if content_type != APPLICATION_DATA:
            return
        session.unanswered_resumptions = 0
        if self._is_resuming:
            self._is_resuming = False
            self._user.on_fact(HandshakeDone(resumed=True))
        self._user.on_message(content, now)
