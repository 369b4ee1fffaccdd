"""What a device says over an established session, and what it does with the answers.

One `Conversation` is one connection: firmware forgets its unacknowledged messages when it connects
anew. The order of messages is that of device-protocol.md §3.12, the decision what to leave out on a
resumption that of §4.2.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from cyan.sim.application import SYSTEM_SUBSCRIPTIONS, Application, DueEvent
from cyan.sim.behaviour import Takes
from cyan.sim.facts import EndReason, EventSent, EventSettled, EventSkipped, Fact, Outcome
from cyan.sim.reliability import NEVER, Outstanding, Pending, Purpose, Received
from cyan.sim.session import Numbers, Session, checksum
from cyan.wire import coap
from cyan.wire.blockwise import SZX_1024, Block, split
from cyan.wire.messages import (
    APPLICATION,
    SYSTEM,
    DescribePost,
    Goodbye,
    Hello,
    Publish,
    Subscribe,
    encode_describe_post,
    encode_goodbye,
    encode_hello,
    encode_publish,
    encode_subscribe,
    encode_time_request,
)

PING_TIMEOUT_S: Final = 30.0
"""From a keep-alive ping to giving up when nothing at all arrives (device-protocol.md §2.7)."""

MAX_OUTSTANDING_EVENTS: Final = 16
"""An application that waits for acknowledgements stops here. Fewer than the 64 missed ids that a
server answers after it has come back."""

BLOCK_BYTES: Final = 1024
"""Of a describe (device-protocol.md §2.5)."""

CLAIM_CODE: Final = "spark/device/claim/code"
UPDATES_ENABLED: Final = "particle/device/updates/enabled"
UPDATES_FORCED: Final = "particle/device/updates/forced"

_USER_DISCONNECTED: Final = 2
_NAME_END: Final = b"\0"
"""Between name and data of an event that waits; names have no control characters."""
_SUCCESS_CLASS: Final = 2
_STARTUP: Final = frozenset(
    (
        Purpose.HELLO,
        Purpose.PING,
        Purpose.DESCRIBE,
        Purpose.TIME,
        Purpose.SUBSCRIPTION,
        Purpose.SYSTEM_EVENT,
    )
)


class Link(Protocol):
    """The connection below a conversation, and what the device keeps over connections."""

    claim_code: str | None
    """What the device shows at full handshakes until the server has taken it."""

    def transmit(self, message: bytes) -> None:
        """Seals and sends one CoAP message."""

    def end(self, reason: EndReason, now: float) -> None:
        """Ends the connection; the conversation is over when this returns."""

    def on_accepted(self) -> None:
        """The server has answered: Hello is acknowledged, or the resumption's first message."""

    def on_online(self) -> None:
        """All that is said first is acknowledged."""

    def on_fact(self, fact: Fact) -> None:
        """Takes note."""


class Profile(msgspec.Struct, frozen=True):
    """What a conversation is about: the device's Hello, the silence after which it pings."""

    hello: Hello
    keep_alive_s: float


class Conversation:
    """One connection's messages. Start it with `start_full` or `start_resumed`."""

    def __init__(
        self,
        profile: Profile,
        application: Application,
        session: Session,
        numbers: Numbers,
        outstanding: Outstanding,
        link: Link,
    ) -> None:
        self.application = application
        self.is_online = False
        self.link = link
        self.outstanding = outstanding
        self.profile = profile
        self.received = Received()
        self.waits_for_hello = False
        self._session = session
        self._numbers = numbers
        self._blocks: deque[tuple[int, bytes, Block]] = deque()
        self._refused_subscription = False
        self._quiet_since = 0.0
        self._ping_sent_at: float | None = None

    def start_full(self, now: float) -> None:
        """After a handshake: Hello first, and nothing else before its acknowledgement."""
        self.waits_for_hello = True
        self._quiet_since = now
        self.say(Purpose.HELLO, lambda id_: encode_hello(id_, self.profile.hello), now)

    def start_resumed(self, now: float) -> None:
        """With a session of before: an empty message if the server knows all, else as anew."""
        synced = self._session.synced
        current = (self._hello_checksum(), checksum(self.application.system_describe))
        if (synced.hello, synced.system) != current:
            self._session.synced = type(synced)()
            self.start_full(now)
            return
        self._quiet_since = now
        self.say(Purpose.PING, coap.encode_ping, now)
        self._say_updates(now)
        self._say_application(now)

    def say(
        self, purpose: Purpose, encode: Callable[[int], bytes], now: float, detail: bytes = b""
    ) -> None:
        """Sends a confirmable message under the next id."""
        message_id = self._numbers.next_message_id()
        message = encode(message_id)
        self.outstanding.add(message_id, message, purpose, detail, now)
        self.link.transmit(message)

    def say_system_event(self, name: str, data: bytes, now: float) -> None:
        """Publishes an event of the firmware itself."""
        event = Publish(name, data)
        self.say(Purpose.SYSTEM_EVENT, lambda id_: encode_publish(id_, event), now)

    def publish(self, due: DueEvent, now: float) -> None:
        """Publishes an event of the application."""
        confirmable = due.event.ack.is_confirmable(True)
        if confirmable and self.outstanding.count(Purpose.EVENT) >= MAX_OUTSTANDING_EVENTS:
            self.link.on_fact(EventSkipped())
            return
        event = self.application.make(due, confirmable=confirmable)
        data = event.data or b""
        self.link.on_fact(EventSent(event.name, data))
        if not confirmable:
            self.link.transmit(encode_publish(self.next_message_id(), event))
            return
        detail = event.name.encode() + _NAME_END + data
        self.say(Purpose.EVENT, lambda id_: encode_publish(id_, event), now, detail)

    def say_goodbye(self, now: float) -> None:
        """Announces that the device goes because its user wants it to."""
        goodbye = Goodbye(disconnect_reason=_USER_DISCONNECTED)
        self.say(Purpose.GOODBYE, lambda id_: encode_goodbye(id_, goodbye), now)

    def next_message_id(self) -> int:
        """For what is sent without waiting for an acknowledgement."""
        return self._numbers.next_message_id()

    def heard(self, now: float) -> None:
        """Something authentic arrived."""
        self._quiet_since = now
        self._ping_sent_at = None

    def on_acknowledgement(self, message: coap.Message, now: float) -> None:
        """Takes an ACK; one that fits nothing outstanding is swallowed."""
        pending = self.outstanding.settle(message.message_id)
        if pending is None:
            return
        is_success = message.code == coap.EMPTY or message.code >> 5 == _SUCCESS_CLASS
        match pending.purpose:
            case Purpose.EVENT:
                outcome = Outcome.ACKNOWLEDGED if is_success else Outcome.REFUSED
                self._settle_event(pending, outcome)
            case Purpose.HELLO:
                self._on_hello_acknowledged(now)
            case Purpose.DESCRIBE:
                # Any acknowledgement counts as success, an error too (device-protocol.md §2.3).
                self._on_describe_acknowledged(pending.detail, now)
            case Purpose.SUBSCRIPTION:
                self._on_subscription_acknowledged(is_success)
            case _:
                pass
        if not self.is_online and not self.waits_for_hello and self._has_said_all():
            self.is_online = True
            self.link.on_online()

    def abandon(self) -> None:
        """Gives up everything unacknowledged, as firmware does when a connection ends."""
        for pending in self.outstanding.clear():
            if pending.purpose is Purpose.EVENT:
                self._settle_event(pending, Outcome.GIVEN_UP)

    def deadline(self) -> float:
        """When `on_deadline` has to be called."""
        return min(self.outstanding.deadline(), self.received.deadline, self._keep_alive_deadline())

    def on_deadline(self, now: float) -> None:
        """Retransmits, pings and gives up as the time has come for it."""
        if self.received.deadline <= now:
            self.link.end(EndReason.UNKNOWN_MESSAGE, now)
            return
        if self._keep_alive_deadline() <= now:
            if self._ping_sent_at is not None:
                self.link.end(EndReason.PING_TIMEOUT, now)
                return
            self._ping_sent_at = now
            self.say(Purpose.PING, coap.encode_ping, now)
        again = self.outstanding.due(now)
        if again is None:
            self.link.end(EndReason.MESSAGE_TIMEOUT, now)
            return
        for message in again:
            self.link.transmit(message)

    def _keep_alive_deadline(self) -> float:
        if self.waits_for_hello:
            return NEVER
        if self._ping_sent_at is not None:
            return self._ping_sent_at + PING_TIMEOUT_S
        return self._quiet_since + self.profile.keep_alive_s

    def _on_hello_acknowledged(self, now: float) -> None:
        self.waits_for_hello = False
        self._sync(hello=self._hello_checksum())
        self.link.on_accepted()
        self._describe(SYSTEM, self.application.system_describe, now)
        if self.link.claim_code is not None:
            self.say_system_event(CLAIM_CODE, self.link.claim_code.encode(), now)
        token = self._numbers.next_token()
        self.say(Purpose.TIME, lambda id_: encode_time_request(id_, token), now)
        self._say_updates(now)
        self._say_application(now)

    def _say_updates(self, now: float) -> None:
        self.say_system_event(UPDATES_ENABLED, b"true", now)
        self.say_system_event(UPDATES_FORCED, b"false", now)

    def _say_application(self, now: float) -> None:
        synced = self._session.synced
        describe = self.application.application_describe
        if synced.application != checksum(describe):
            self._describe(APPLICATION, describe, now)
        if synced.subscriptions != self._subscriptions_checksum():
            for subscribe in self._all_subscriptions():
                self.say(
                    Purpose.SUBSCRIPTION,
                    lambda id_, subscribe=subscribe: encode_subscribe(id_, subscribe),  # type: ignore[misc]
                    now,
                )

    def _describe(self, flags: int, payload: bytes, now: float) -> None:
        """Sends a describe; behind one in blocks that is still under way it waits its turn."""
        is_idle = not self._blocks
        blocks = [(flags, part, block) for block, part in split(payload, SZX_1024)]
        if is_idle:
            self._post(blocks[0], now)
            self._blocks.extend(blocks[1:])
        else:
            self._blocks.extend(blocks)

    def _post(self, entry: tuple[int, bytes, Block], now: float) -> None:
        flags, payload, block = entry
        token = self._numbers.next_token()
        is_single = block.number == 0 and not block.more
        post = DescribePost(
            flags,
            payload,
            coap.OCTET_STREAM if flags == SYSTEM else coap.TEXT,
            None if is_single else block,
        )
        self.say(
            Purpose.DESCRIBE,
            lambda id_: encode_describe_post(id_, token, post),
            now,
            bytes((flags, block.more)),
        )

    def _on_describe_acknowledged(self, detail: bytes, now: float) -> None:
        flags, more = detail
        if not more and flags == SYSTEM:
            self._sync(system=checksum(self.application.system_describe))
        elif not more:
            self._sync(application=checksum(self.application.application_describe))
        if self._blocks:
            self._post(self._blocks.popleft(), now)

    def _on_subscription_acknowledged(self, is_success: bool) -> None:
        self._refused_subscription = self._refused_subscription or not is_success
        if not self._refused_subscription and not self.outstanding.count(Purpose.SUBSCRIPTION):
            self._sync(subscriptions=self._subscriptions_checksum())

    def _settle_event(self, pending: Pending, outcome: Outcome) -> None:
        name, _, data = pending.detail.partition(_NAME_END)
        self.link.on_fact(EventSettled(name.decode(), data, outcome))

    def _has_said_all(self) -> bool:
        return not self._blocks and not any(map(self.outstanding.count, _STARTUP))

    def _sync(self, **checksums: int) -> None:
        self._session.synced = msgspec.structs.replace(self._session.synced, **checksums)

    def _all_subscriptions(self) -> list[Subscribe]:
        return [Subscribe(prefix) for prefix in SYSTEM_SUBSCRIPTIONS] + [
            Subscribe(
                subscription.prefix,
                binary=subscription.takes is Takes.ALL,
                cbor=subscription.takes is Takes.CBOR,
            )
            for subscription in self.application.subscriptions
        ]

    def _subscriptions_checksum(self) -> int:
        return checksum(
            b"".join(encode_subscribe(0, subscribe) for subscribe in self._all_subscriptions())
        )

    def _hello_checksum(self) -> int:
        return checksum(encode_hello(0, self.profile.hello))
