"""One simulated device, sans-IO: datagrams and time in, datagrams and facts out.

It connects, comes back with its session or without, and shakes hands again when and as late as
firmware does (device-protocol.md §1.4.6, §1.4.7, session-behaviour.md). The owner calls
`on_datagram`, and `on_deadline` at `deadline()`; times are seconds of any monotonic clock.
"""

import hashlib
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.sim.application import Application
from cyan.sim.behaviour import Behaviour
from cyan.sim.conversation import Conversation, Profile
from cyan.sim.facts import EndReason, Fact, HandshakeDone, Host, State, StateChanged
from cyan.sim.identity import Identity
from cyan.sim.platforms import MAX_MESSAGE_BYTES, OTA_CHUNK_BYTES, SYSTEM_VERSION, Platform
from cyan.sim.reliability import NEVER, Outstanding
from cyan.sim.requests import Requests
from cyan.sim.session import (
    MAX_UNANSWERED_RESUMPTIONS,
    Numbers,
    Session,
    StoredDevice,
    restore_session,
    store_session,
)
from cyan.wire import coap
from cyan.wire.dtls import alerts
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import ALERT, APPLICATION_DATA, split_records
from cyan.wire.errors import MalformedError
from cyan.wire.messages import (
    COMPRESSED_OTA,
    DEVICE_INITIATED_DESCRIBE,
    DIAGNOSTICS,
    IMMEDIATE_UPDATES,
    KNOWS_GOODBYE,
    NO_VERSION,
    OTA_V3,
    Hello,
)

HANDSHAKE_WAITS_S: Final = (3.0, 6.0, 12.0, 24.0)
"""Before each retransmission of a flight, the last before giving up (device-protocol.md §1.4.2)."""

AT_ONCE_S: Final = 0.015
"""From an alert to the next ClientHello (session-behaviour.md)."""

RECONNECT_S: Final = 1.0
"""After a silence, between two resumptions 56 s apart (device-protocol.md §1.4.6)."""

BACKOFF_STEP: Final = 5
MAX_BACKOFF_S: Final = 128.0
"""1 s after each of the first five failures in a row, 2 s after the next five, and so on doubling
(device-protocol.md §1.4.7)."""

_ENTROPY_BYTES: Final = 64
_TOKENS: Final = 256
_HELLO_FLAGS: Final = (
    DIAGNOSTICS
    | IMMEDIATE_UPDATES
    | KNOWS_GOODBYE
    | DEVICE_INITIATED_DESCRIBE
    | COMPRESSED_OTA
    | OTA_V3
)


class Device:
    """A device that has not begun to connect; `start` makes it. `state` is where it stands."""

    def __init__(
        self,
        identity: Identity,
        platform: Platform,
        behaviour: Behaviour,
        server_public_key: ec.EllipticCurvePublicKey,
        host: Host,
        *,
        seed: str,
        claim_code: str | None = None,
        stored: StoredDevice | None = None,
    ) -> None:
        self.claim_code = claim_code
        self.identity = identity
        self.state = State.OFFLINE
        self._host = host
        self._server_public_key = server_public_key
        # The seed decides every random byte, so that a run can be had again.
        self._random = Random(f"{seed}/{identity.device_id}")  # noqa: S311
        self._application = Application(
            identity.device_id, identity.name, behaviour, f"{seed}/{identity.device_id}"
        )
        self._numbers = Numbers(1, self._random.randrange(_TOKENS))
        self._outstanding = Outstanding(self._random)
        self._profile = Profile(_hello(identity, platform), platform.keep_alive_s)
        self._connect_at = NEVER
        self._failed_attempts = 0
        self._handshake: ClientHandshake | None = None
        self._handshake_waits = 0
        self._handshake_deadline = NEVER
        self._conversation: Conversation | None = None
        self._requests: Requests | None = None
        self._is_accepted = False
        self._is_resuming = False
        self._is_paused = False
        self._given_claim_code = claim_code
        self._started_at = 0.0
        self._session: Session | None = None
        self._peers = self._fingerprint_peers()
        if stored is not None:
            self._restore(stored)

    @property
    def session(self) -> Session | None:
        """The session that it has or would resume."""
        return self._session

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
            None if self._session is None else store_session(self._session, ahead),
            used_claim_code=self._given_claim_code if self.claim_code is None else None,
        )

    def deadline(self) -> float:
        """When `on_deadline` has to be called."""
        if self._is_paused:
            return NEVER
        if self._conversation is not None:
            deadline = self._conversation.deadline()
        elif self._handshake is not None:
            deadline = self._handshake_deadline
        else:
            deadline = self._connect_at
        return min(deadline, self._application.deadline())

    def on_deadline(self, now: float) -> None:
        """Does what is due."""
        while due := self._application.take_due(now):
            # Events whose time passed while the device was away are not made up for.
            if self._conversation is not None and self._conversation.is_online:
                self._conversation.publish(due, now)
        if self._conversation is not None:
            if self._conversation.deadline() <= now:
                self._conversation.on_deadline(now)
        elif self._handshake is not None:
            if self._handshake_deadline <= now:
                self._on_handshake_silence(now)
        elif self._connect_at <= now:
            self._connect(now)

    def on_datagram(self, datagram: bytes, now: float) -> None:
        """Takes a datagram; what is not authentic changes nothing."""
        if self._handshake is not None:
            self._on_handshake_datagram(datagram, now)
            return
        conversation = self._conversation
        if conversation is None or self._session is None:
            return
        try:
            records = split_records(datagram)
        except MalformedError:
            return
        for record in records:
            opened = self._session.records.open(record)
            if opened is None:
                continue
            self._on_content(*opened, conversation, now)
            if self._conversation is not conversation:
                return

    # What the conversation asks of its link.

    def transmit(self, message: bytes) -> None:
        """Seals and sends one CoAP message."""
        if self._session is not None:
            self._host.send(self._session.records.seal_data(message))

    def end(self, reason: EndReason, now: float) -> None:
        """Ends the connection or the attempt, and plans the next one."""
        if self._conversation is not None:
            self._conversation.abandon()
        self._conversation = None
        self._requests = None
        self._handshake = None
        if not reason.keeps_session:
            self._session = None
        if not self._is_accepted:
            self._failed_attempts += 1
            delay = _backoff_s(self._failed_attempts)
        elif reason in (EndReason.PING_TIMEOUT, EndReason.RESTART):
            delay = RECONNECT_S
        else:
            delay = AT_ONCE_S
        self._connect_at = now + delay
        self._change(State.OFFLINE, reason=reason)

    def on_accepted(self) -> None:
        """The attempt has succeeded: a later one begins with the shortest delay again."""
        self._is_accepted = True
        self._failed_attempts = 0

    def on_online(self) -> None:
        """The device breathes cyan."""
        self._change(State.ONLINE)

    def on_fact(self, fact: Fact) -> None:
        """Hands it to the host."""
        self._host.on_fact(fact)

    def _connect(self, now: float) -> None:
        self._connect_at = NEVER
        self._is_accepted = False
        self._host.open_port()
        session = self._session
        if session is not None and session.unanswered_resumptions >= MAX_UNANSWERED_RESUMPTIONS:
            session = self._session = None
        self._is_resuming = session is not None
        self._change(State.CONNECTING)
        if session is not None:
            session.unanswered_resumptions += 1
            session.records.moving = True
            self._converse(session, now).start_resumed(now)
            return
        self._handshake = ClientHandshake(
            device_key=self.identity.key,
            server_public_key=self._server_public_key,
            entropy=self._random.randbytes(_ENTROPY_BYTES),
        )
        self._handshake_waits = 0
        self._await_flight(now)
        self._host.send(self._handshake.start())

    def _converse(self, session: Session, now: float) -> Conversation:
        conversation = Conversation(
            self._profile, self._application, session, self._numbers, self._outstanding, self
        )
        self._conversation = conversation
        self._requests = Requests(conversation, self._started_at)
        return conversation

    def _on_handshake_datagram(self, datagram: bytes, now: float) -> None:
        handshake = self._handshake
        assert handshake is not None
        answers = handshake.feed(datagram)
        for answer in answers:
            self._host.send(answer)
        if handshake.failed is not None:
            self.end(EndReason.HANDSHAKE_FAILED, now)
        elif handshake.established is not None:
            self._handshake = None
            self._session = Session(handshake.established)
            self._host.on_fact(HandshakeDone(resumed=False))
            self._converse(self._session, now).start_full(now)
        elif answers:
            self._handshake_waits = 0
            self._await_flight(now)

    def _await_flight(self, now: float) -> None:
        self._handshake_deadline = now + HANDSHAKE_WAITS_S[self._handshake_waits]
        self._handshake_waits += 1

    def _on_handshake_silence(self, now: float) -> None:
        assert self._handshake is not None
        if self._handshake_waits == len(HANDSHAKE_WAITS_S):
            self.end(EndReason.HANDSHAKE_FAILED, now)
            return
        self._await_flight(now)
        for datagram in self._handshake.retransmit():
            self._host.send(datagram)

    def _on_content(
        self, content_type: int, content: bytes, conversation: Conversation, now: float
    ) -> None:
        assert self._session is not None
        if content_type == ALERT and alerts.ends_session(content):
            self.end(EndReason.ALERT, now)
            return
        if content_type != APPLICATION_DATA:
            return
        self._session.unanswered_resumptions = 0
        conversation.heard(now)
        if self._is_resuming:
            self._is_resuming = False
            self._host.on_fact(HandshakeDone(resumed=True))
        try:
            message = coap.decode(content)
        except MalformedError:
            return
        self._on_message(message, conversation, now)

    def _on_message(self, message: coap.Message, conversation: Conversation, now: float) -> None:
        if message.type == coap.RST:
            # With any id (device-protocol.md §1.4.6).
            self.end(EndReason.RESET, now)
            return
        if message.type == coap.ACK:
            if not conversation.waits_for_hello:
                self.on_accepted()
            conversation.on_acknowledgement(message, now)
        elif not conversation.waits_for_hello and self._requests is not None:
            self._requests.on_request(message, now)

    def _change(self, state: State, reason: EndReason | None = None) -> None:
        was_online = self.state is State.ONLINE
        self.state = state
        self._host.on_fact(StateChanged(state, was_online, reason))

    def _fingerprint_peers(self) -> str:
        keys = (self._server_public_key, self.identity.key.public_key())
        encoded = [
            key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in keys
        ]
        return hashlib.sha256(b"".join(encoded)).hexdigest()

    def _restore(self, stored: StoredDevice) -> None:
        self._application.events_made = stored.events_made
        if stored.used_claim_code == self.claim_code:
            self.claim_code = None
        if stored.peers == self._peers and stored.session is not None:
            self._numbers = Numbers(stored.message_id, stored.token)
            self._session = restore_session(stored.session)


def _backoff_s(failed_attempts: int) -> float:
    return min(float(1 << (failed_attempts - 1) // BACKOFF_STEP), MAX_BACKOFF_S)


def _hello(identity: Identity, platform: Platform) -> Hello:
    """Device OS 4.0 and later says its platform for its product (device-protocol.md §3.2)."""
    return Hello(
        product_id=platform.id,
        product_version=NO_VERSION,
        flags=_HELLO_FLAGS,
        platform_id=platform.id,
        device_id=bytes.fromhex(identity.device_id),
        system_version=SYSTEM_VERSION,
        max_message_size=MAX_MESSAGE_BYTES,
        max_binary_size=platform.max_binary_bytes,
        ota_chunk_size=OTA_CHUNK_BYTES,
    )
