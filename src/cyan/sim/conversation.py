"""What a device says over an established connection, and what it does with the answers.

One `Conversation` is one connection: firmware forgets its unacknowledged messages when it connects
anew. Section numbers are those of device-protocol.md.
"""

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from cyan.sim.application import Application, DueEvent
from cyan.sim.boards import Board
from cyan.sim.facts import (
    ClockSet,
    EndReason,
    EventSent,
    EventSettled,
    EventSkipped,
    Fact,
    Outcome,
)
from cyan.sim.introduction import Introduction, Told
from cyan.sim.platforms import Transport
from cyan.sim.posting import Part
from cyan.sim.reliability import (
    NEVER,
    Detail,
    Outstanding,
    Pending,
    Purpose,
    Reaction,
    Received,
)
from cyan.sim.session import Memory, Numbers
from cyan.sim.vitals import Vitals
from cyan.wire import coap
from cyan.wire.messages import (
    Goodbye,
    Hello,
    Publish,
    encode_goodbye,
    encode_hello,
    encode_publish,
)

HELLO_TIMEOUT_S: Final = 4.0
"""On TCP, for the server's Hello (§1.3.3). On UDP the acknowledgement has the time of any other."""

EVENT_PATIENCE_S: Final = 20.0
"""On TCP, before the application hears that an event was not acknowledged (§3.6)."""

MAX_OUTSTANDING_EVENTS: Final = 16
"""An application that waits for acknowledgements stops here. Fewer than the 64 missed ids that a
server answers after it has come back."""

_USER_DISCONNECTED: Final = 2
_SUCCESS_CLASS: Final = 2
_TIME_AT: Final = slice(6, 10)
"""Where firmware reads the time in any 2.05, whatever the message has there (§2.1)."""
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


class Link(Told, Protocol):
    """The connection below a conversation."""

    def transmit(self, message: bytes) -> None:
        """Protects and sends one CoAP message."""

    def end(self, reason: EndReason, now: float) -> None:
        """Ends the connection; the conversation is over when this returns."""

    def on_accepted(self) -> None:
        """The server has answered: Hello is acknowledged, or the resumption's first message."""

    def on_online(self, now: float) -> None:
        """All that is said first is acknowledged."""

    def on_fact(self, fact: Fact) -> None:
        """Takes note."""

    def reset(self, how: str, now: float) -> None:
        """Does what the server asks: `reboot`, `safe mode`, `dfu` or `network` (§3.11)."""

    def restart_updated(self, now: float) -> None:
        """Restarts after an update, without Goodbye (§5.1, §5.2.3)."""

    def restart_timed_out(self, now: float) -> None:
        """Restarts because an update did not come to its end (§5.1)."""

    def vitals(self, now: float) -> Vitals:
        """What the device has counted since its boot."""


class Transfer(Protocol):
    """An update on its way to the device, for as long as it runs."""

    def deadline(self) -> float:
        """When `on_deadline` has to be called."""

    def on_deadline(self, now: float) -> None:
        """Does what is due; it may end the connection."""

    def abandon(self, now: float, *, is_sudden: bool) -> None:
        """The connection is over; after a sudden end nothing could be written down."""


class Profile(msgspec.Struct, frozen=True):
    """What a conversation is about."""

    hello: Hello
    board: Board


class Conversation:
    """One connection's messages. Start it with `start_full` or `start_resumed`."""

    def __init__(
        self,
        profile: Profile,
        application: Application,
        memory: Memory,
        numbers: Numbers,
        outstanding: Outstanding,
        link: Link,
    ) -> None:
        self.application = application
        self.board = profile.board
        self.is_online = False
        self.is_stream = profile.board.transport is Transport.TCP
        self.link = link
        self.outstanding = outstanding
        self.received = Received()
        self.transfer: Transfer | None = None
        self.waits_for_hello = False
        self._hello = profile.hello
        self._introduction = Introduction(
            profile.board, profile.hello, application, memory, numbers, link, self
        )
        self._numbers = numbers
        self._hello_deadline = NEVER
        self._quiet_since = 0.0
        self._ping_sent_at: float | None = None

    def start_full(self, now: float) -> None:
        """After a handshake: Hello first, and on UDP nothing else before its acknowledgement."""
        self.waits_for_hello = True
        self._quiet_since = now
        if self.is_stream:
            self._hello_deadline = now + HELLO_TIMEOUT_S
            self.tell(lambda id_: encode_hello(id_, self._hello, confirmable=False))
        else:
            self.say(Purpose.HELLO, lambda id_: encode_hello(id_, self._hello), now)

    def start_resumed(self, now: float) -> None:
        """With a session of before: an empty message if the server knows all, else as anew."""
        if not self._introduction.is_known():
            self.start_full(now)
            return
        self._quiet_since = now
        self.say(Purpose.PING, coap.encode_ping, now)
        self._introduction.say_after_resumption(now)

    def say(
        self,
        purpose: Purpose,
        encode: Callable[[int], bytes],
        now: float,
        detail: Detail = None,
    ) -> None:
        """Sends a confirmable message under the next id."""
        message_id = self._numbers.next_message_id()
        message = encode(message_id)
        if not self.is_stream:
            self.outstanding.add(message_id, message, purpose, detail, now)
        elif detail is not None:
            give_up_at = now + EVENT_PATIENCE_S if purpose is Purpose.EVENT else NEVER
            self.outstanding.add_once(message_id, message, purpose, detail, give_up_at)
        self.link.transmit(message)

    def tell(self, encode: Callable[[int], bytes]) -> None:
        """Sends a message that wants no acknowledgement under the next id."""
        self.link.transmit(encode(self._numbers.next_message_id()))

    def say_system_event(self, name: str, data: bytes, now: float) -> None:
        """Publishes an event of the firmware itself; on TCP it wants no acknowledgement."""
        event = Publish(name, data, confirmable=not self.is_stream)
        if self.is_stream:
            self.tell(lambda id_: encode_publish(id_, event))
        else:
            self.say(Purpose.SYSTEM_EVENT, lambda id_: encode_publish(id_, event), now)

    def publish(self, due: DueEvent, now: float) -> None:
        """Publishes an event of the application, cut to what its firmware sends."""
        confirmable = due.event.ack.is_confirmable(not self.is_stream)
        if self.transfer is not None:
            # Firmware tells its application that it is busy (§2.7).
            self.link.on_fact(EventSkipped())
            return
        if confirmable and self.outstanding.count(Purpose.EVENT) >= MAX_OUTSTANDING_EVENTS:
            self.link.on_fact(EventSkipped())
            return
        event = self.application.make(due, confirmable=confirmable)
        data = (event.data or b"")[: self.board.generation.max_event_bytes]
        event = msgspec.structs.replace(event, data=data)
        self.link.on_fact(EventSent(event.name, data))
        if confirmable:
            self.say(Purpose.EVENT, lambda id_: encode_publish(id_, event), now, event)
        else:
            self.tell(lambda id_: encode_publish(id_, event))

    def say_goodbye(self, now: float) -> None:
        """Announces that the device goes because its user wants it to (≥2.0)."""
        goodbye = Goodbye(disconnect_reason=_USER_DISCONNECTED)
        if not self.board.generation.knows_goodbye:
            return
        if self.is_stream:
            self.tell(lambda id_: encode_goodbye(id_, goodbye, confirmable=False))
        else:
            self.say(Purpose.GOODBYE, lambda id_: encode_goodbye(id_, goodbye), now)

    def next_message_id(self) -> int:
        """For what is sent without waiting for an acknowledgement."""
        return self._numbers.next_message_id()

    def acknowledge(
        self, message: coap.Message, now: float, code: int = coap.EMPTY, *, fresh_id: bool = False
    ) -> None:
        """Acknowledges a confirmable message. On TCP some acknowledgements have a `fresh_id`."""
        if message.type != coap.CON:
            return
        token = b"" if code == coap.EMPTY else message.token
        is_fresh = fresh_id and self.is_stream
        message_id = self.next_message_id() if is_fresh else message.message_id
        self.acknowledge_with(coap.encode_ack(message_id, code, token), message, now)

    def acknowledge_with(self, acknowledgement: bytes, message: coap.Message, now: float) -> None:
        """Sends this acknowledgement, and on UDP again when the message comes again."""
        if message.type == coap.CON:
            self._note(message.message_id, acknowledgement, now)
        self.link.transmit(acknowledgement)

    def leave_unacknowledged(self, message: coap.Message, now: float) -> None:
        """Lets a confirmable message wait for ever, which costs a UDP session (§2.1)."""
        if message.type == coap.CON:
            self._note(message.message_id, None, now)

    def heard(self, now: float) -> None:
        """Something authentic arrived."""
        self._quiet_since = now
        self._ping_sent_at = None

    def on_hello_answered(self, now: float) -> None:
        """The server has taken our Hello: by an acknowledgement on UDP, by its own on TCP."""
        self.waits_for_hello = False
        self._hello_deadline = NEVER
        self.link.on_accepted()
        self._introduction.say_after_hello(now)
        if self.is_stream:
            self._become_online(now)

    def on_acknowledgement(self, message: coap.Message, now: float) -> None:
        """Takes an ACK; one that fits nothing outstanding is swallowed on UDP."""
        pending = self.outstanding.settle(message.message_id)
        is_describe = pending is not None and isinstance(pending.detail, Part | int)
        if message.code == coap.CONTENT and not is_describe and (self.is_stream or pending):
            self.set_clock(message)
        if pending is None:
            return
        self._on_settled(pending, message.code, now)
        if not self.waits_for_hello and self._has_said_all():
            self._become_online(now)
        if isinstance(pending.detail, Reaction):
            pending.detail.run(now)

    def set_clock(self, message: coap.Message) -> None:
        """Takes a 2.05 for the time, as firmware does with any that answers no describe (§2.1)."""
        raw = coap.encode(message)[_TIME_AT].ljust(4, b"\0")
        self.link.on_fact(ClockSet(int.from_bytes(raw, "big")))

    def on_described(self, flags: int) -> None:
        """The server knows these describes, as far as the device can tell."""
        self._introduction.on_described(flags)

    def abandon(self, now: float, *, is_sudden: bool = False) -> None:
        """Gives up everything unacknowledged, as firmware does when a connection ends."""
        if self.transfer is not None:
            self.transfer.abandon(now, is_sudden=is_sudden)
            self.transfer = None
        for pending in self.outstanding.clear():
            self._settle_event(pending, Outcome.GIVEN_UP)

    def deadline(self) -> float:
        """When `on_deadline` has to be called."""
        return min(
            self.outstanding.deadline(),
            self.received.deadline,
            self._hello_deadline,
            self._keep_alive_deadline() if self.transfer is None else self.transfer.deadline(),
        )

    def on_deadline(self, now: float) -> None:
        """Retransmits, pings and gives up as the time has come for it."""
        if self.received.deadline <= now:
            self.link.end(EndReason.UNKNOWN_MESSAGE, now)
            return
        if self._hello_deadline <= now:
            self.link.end(EndReason.MESSAGE_TIMEOUT, now)
            return
        if self.transfer is not None:
            # There are no pings during an update (§2.7).
            if self.transfer.deadline() <= now:
                self.transfer.on_deadline(now)
                return
        elif self._keep_alive_deadline() <= now:
            if self._ping_sent_at is not None:
                self.link.end(EndReason.PING_TIMEOUT, now)
                return
            self._ping_sent_at = now
            self.say(Purpose.PING, coap.encode_ping, now)
        if self.is_stream:
            for pending in self.outstanding.expire(now):
                self._settle_event(pending, Outcome.GIVEN_UP)
            return
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
            return self._ping_sent_at + self.board.ping_timeout_s
        return self._quiet_since + self.board.keep_alive_s

    def _become_online(self, now: float) -> None:
        if not self.is_online:
            self.is_online = True
            self.link.on_online(now)

    def _note(self, message_id: int, acknowledgement: bytes | None, now: float) -> None:
        # On TCP nothing is remembered: what comes again is done again (§1.3.3).
        if not self.is_stream:
            self.received.add(message_id, acknowledgement, now)

    def _on_settled(self, pending: Pending, code: int, now: float) -> None:
        is_success = code == coap.EMPTY or code >> 5 == _SUCCESS_CLASS
        match pending.detail:
            case Publish():
                self._settle_event(pending, Outcome.ACKNOWLEDGED if is_success else Outcome.REFUSED)
            case Part() as part:
                self._introduction.on_part_acknowledged(part, now, is_success=is_success)
            case int() as flags:
                self._introduction.on_described(flags)
            case None if pending.purpose is Purpose.HELLO:
                self.on_hello_answered(now)
            case None if pending.purpose is Purpose.SUBSCRIPTION:
                self._introduction.on_subscription_acknowledged(
                    is_success=is_success,
                    is_last=not self.outstanding.count(Purpose.SUBSCRIPTION),
                )

    def _settle_event(self, pending: Pending, outcome: Outcome) -> None:
        event = pending.detail
        if isinstance(event, Publish):
            self.link.on_fact(EventSettled(event.name, event.data or b"", outcome))

    def _has_said_all(self) -> bool:
        return self._introduction.is_said and not any(map(self.outstanding.count, _STARTUP))
