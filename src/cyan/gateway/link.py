"""One live device: opens its records, runs the CoAP exchange and the conversation, carries the
effects out. Everything here happens on the loop; what must be kept goes through the host."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from cyan.core.ids import DeviceId
from cyan.devices.presence import PresenceRow
from cyan.events.model import MAX_DATA_BYTES, Event
from cyan.gateway import effects as fx
from cyan.gateway import metrics
from cyan.gateway.conversation import clock, describe, events, goodbye, hello, subscriptions
from cyan.gateway.deviceids import DeviceIds
from cyan.gateway.host import Host
from cyan.gateway.session import Session
from cyan.gateway.udp import read_address
from cyan.wire import coap
from cyan.wire.dtls import alerts
from cyan.wire.dtls.record import ALERT, APPLICATION_DATA, HANDSHAKE, MOVED_CID, ServerRecords
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.exchange import EMPTY_ACK, Exchange
from cyan.wire.messages import (
    DescribePost,
    Goodbye,
    Hello,
    Ping,
    Publish,
    Subscribe,
    TimeRequest,
    decode_request,
    encode_event,
)

NO_ANSWER: Final = -1
"""In place of a message id, for a message that is not confirmable."""

_SETUP: Final = (Hello, DescribePost, Subscribe)

_log = structlog.get_logger(__name__)


class MessageTooLargeError(MisuseError):
    """A message of ours is larger than this device takes."""


class Link:
    """A session with its counters, its exchange and its address."""

    __slots__ = (
        "_host", "_timer_s", "address", "adoption", "ended", "established_at_ms", "exchange",
        "has_left", "heard_s", "ids", "is_dirty", "is_moving", "is_online",
        "last_handshake_ms", "records", "session", "silence_due_s",
    )  # fmt: skip

    def __init__(
        self,
        host: Host,
        session: Session,
        records: ServerRecords,
        exchange: Exchange,
        address: bytes,
        *,
        adoption: int,
        established_at_ms: int,
        heard_s: float,
        ids: DeviceIds,
    ) -> None:
        self._host = host
        self.session = session
        self.records = records
        self.exchange = exchange
        self.address = address
        self.adoption = adoption
        self.established_at_ms = established_at_ms
        self.last_handshake_ms = established_at_ms
        self.heard_s = heard_s
        self.ids = ids
        self.is_moving = False
        self.is_online = False
        self.has_left = False
        self.is_dirty = False
        self.ended: str | None = None
        self.silence_due_s = 0.0
        """When the gateway looks for silence next."""
        self._timer_s = 0.0

    # -- presence ------------------------------------------------------------------------------

    @property
    def last_heard_ms(self) -> int:
        return self._host.now_ms() - int((self._host.now_s() - self.heard_s) * 1000)

    @property
    def ip_address(self) -> str:
        return read_address(self.address)[0]

    # -- what arrives --------------------------------------------------------------------------

    def on_record(self, record: bytes, address: bytes, now_s: float) -> None:
        """One whole record with this session's connection id. Hot path."""
        records = self.records
        highest = records.highest_received
        opened = records.open(record)
        if opened is None:
            metrics.dropped_not_authentic.inc()
            return
        self.heard_s = now_s
        if not self.is_dirty:
            self._host.mark_dirty(self)
        if address != self.address and records.highest_received > highest:
            # Only a record newer than all seen moves the session: an old one may be a replay.
            self.address = address
        content_type, content = opened
        if content_type != APPLICATION_DATA or self.ended is not None:
            self._on_other_record(content_type, content)
            return
        if record[0] != MOVED_CID:
            self.is_moving = False
        elif not self.is_moving and records.highest_received > highest:
            self._on_moved()
        try:
            message = coap.decode(content)
        except MalformedError:
            self._on_malformed(content)
            return
        kind = message.type
        if kind <= coap.NON:
            ids = self.ids
            if message.message_id == ids.expected and not ids.may_have_missed:
                ids.expected = message.message_id + 1 & 0xFFFF
            else:
                missed = ids.follow(message.message_id)
                if missed and not self._answer_missed(missed):
                    return
            self._on_message(message, now_s)
        elif kind == coap.ACK:
            self.exchange.on_ack(message.message_id, message.code, message.payload)
        else:
            self.exchange.on_reset(message.message_id)

    def _on_message(self, message: coap.Message, now_s: float) -> None:
        message_id = message.message_id
        code = message.code
        if code == coap.EMPTY:
            if message.type == coap.CON:
                self._send(coap.encode_empty_ack(message_id))
                if self.has_left:
                    self._came_back()
            return
        if code >= coap.CREATED:
            if message.type == coap.CON:
                self._send(coap.encode_empty_ack(message_id))
            # Its acknowledgement may have been lost, and the token be another request's by now.
            if self.exchange.is_new(message_id, now_s):
                self.exchange.keep_answer(message_id, EMPTY_ACK)
                self.exchange.on_response(message.token, code, message.payload)
            return
        try:
            request = decode_request(message)
        except MalformedError as error:
            request = None
            self._log_malformed(error)
        session = self.session
        if request is None and (session.device_id is None or _is_setup(message)):
            # The device would take any answer to its Hello or a describe for success.
            self.end("a message of the connection's set-up cannot be read")
            return
        if session.device_id is None and type(request) is not Hello:
            # The id is not compared yet. A device waits for the answer to its Hello, so this was
            # on its way before; it comes again.
            return
        if not self.exchange.is_new(message_id, now_s):
            self._on_duplicate(message)
            return
        if self.has_left:
            self._came_back()
        answer_to = message_id if message.type == coap.CON else NO_ANSWER
        if request is None:
            self._answer(answer_to, coap.encode_ack(message_id, coap.BAD_REQUEST, message.token))
            return
        if type(request) is Publish:
            device_id = session.device_id
            assert device_id is not None
            owner_id = self._host.owner_of(device_id)
            found: Sequence[fx.Effect] = events.on_publish(
                session, device_id, message_id, request,
                owner_id=owner_id, at_ms=self._host.now_ms(),
            )  # fmt: skip
        else:
            if type(request) in _SETUP:
                session.last_setup_s = now_s
            found = self._converse(message, request)
        self._perform(found, answer_to)

    def _converse(self, message: coap.Message, request: object) -> Sequence[fx.Effect]:
        session = self.session
        if isinstance(request, Hello):
            return hello.on_hello(session, request)
        assert session.device_id is not None
        if isinstance(request, Subscribe):
            return subscriptions.on_subscribe(session, message, request)
        if isinstance(request, DescribePost):
            return describe.on_describe(session, session.device_id, message, request)
        if isinstance(request, TimeRequest):
            return clock.on_time_request(message, self._host.now_ms() // 1000)
        if isinstance(request, Goodbye):
            return goodbye.on_goodbye(request)
        if isinstance(request, Ping):
            return (fx.Reply(),)
        # A confirmable message without an answer costs the device its session, so there is one.
        return (fx.Reply(coap.encode_ack(message.message_id, coap.NOT_FOUND, message.token)),)

    def _on_duplicate(self, message: coap.Message) -> None:
        answer = self.exchange.answer_to(message.message_id)
        if answer is not None and message.type == coap.CON:
            self._send(answer or coap.encode_empty_ack(message.message_id))

    def _on_other_record(self, content_type: int, content: bytes) -> None:
        if content_type == ALERT and alerts.ends_session(content):
            self.end("closed by the device", tell=False)
        elif content_type == HANDSHAKE:
            self._host.send_final_again(self.session.connection_id)
        elif self.ended is not None:
            # Our close_notify was lost: the device is still talking.
            self._host.send(self.records.seal(ALERT, alerts.CLOSE_NOTIFY), self.address)

    def _on_moved(self) -> None:
        self.is_moving = True
        metrics.handshakes_resumed.inc()
        if self.has_left:
            self._came_back()
        if self.session.device_id is not None and self.session.has_application:
            # After a reset the device's update status is unknown again, session or not.
            self._tell(describe.PENDING_EVENT, "false")

    def _on_malformed(self, content: bytes) -> None:
        """Not a CoAP message; answer what looks like a confirmable one all the same."""
        metrics.dropped_malformed.inc()
        if self.session.device_id is None:
            # Most likely its Hello, to which a device takes any answer for success.
            self.end("the first message cannot be read")
        elif len(content) >= 4 and content[0] >> 4 == 0x4 | coap.CON:
            message_id = content[2] << 8 | content[3]
            self._send(coap.encode_ack(message_id, coap.BAD_REQUEST))

    def _log_malformed(self, error: MalformedError) -> None:
        metrics.dropped_malformed.inc()
        _log.info("device.malformed", device_id=self.session.device_id, error=str(error))

    def _answer_missed(self, missed: list[int]) -> bool:
        """What the device sent while no server was there would cost it the session when it is never
        answered: success for what the log has, 5.03 for the rest. A device takes any answer to a
        describe or a subscription for success, so a session that was not set up ends instead."""
        if not self.session.settled:
            self.end("the server restarted while the session was being set up")
            return False
        for message_id in missed:
            answer = self.exchange.answer_to(message_id)
            if answer is None:
                answer = coap.encode_ack(message_id, coap.SERVICE_UNAVAILABLE)
                self.exchange.keep_answer(message_id, answer)
            self._send(answer or coap.encode_empty_ack(message_id))
        return True

    # -- effects -------------------------------------------------------------------------------

    def _perform(self, found: Sequence[fx.Effect], answer_to: int) -> None:
        for effect in found:
            if type(effect) is fx.LogEvent:
                self._host.log_event(self, effect.event, answer_to)
            elif type(effect) is fx.Reply:
                self._answer(answer_to, effect.data)
            elif type(effect) is fx.Save:
                self._host.save(self, effect.works, partial(self._on_saved, effect, answer_to))
            else:
                self._perform_rare(effect, answer_to)

    def _perform_rare(self, effect: fx.Effect, answer_to: int) -> None:
        device_id = self.session.device_id
        if isinstance(effect, fx.Admit):
            self._host.admit(
                self,
                effect.hello,
                partial(self._on_admitted, effect, answer_to),
                partial(self.exchange.forget, answer_to),
            )
        elif isinstance(effect, fx.End):
            self.end(effect.reason)
        elif device_id is None:
            return
        elif isinstance(effect, fx.Listen):
            self._host.listen(self, effect.subscription)
        elif isinstance(effect, fx.Emit):
            self._host.emit(device_id, effect.name, effect.data, self.session.product_version)
        elif isinstance(effect, fx.Tell):
            self._tell(effect.name, effect.data)
        elif isinstance(effect, fx.Arrive):
            self._host.install(self)
            self._arrive(effect.stored)
        elif isinstance(effect, fx.Leave):
            self.leave(effect.reason)

    def _on_saved(self, effect: fx.Save, answer_to: int, ok: bool) -> None:
        if self.ended is not None:
            return
        if not ok:
            self.exchange.forget(answer_to)
            return
        if effect.reply is not None:
            self._answer(answer_to, effect.reply)
        self._perform(effect.after, answer_to)

    def _on_admitted(self, effect: fx.Admit, answer_to: int, was_online: bool) -> None:
        """The id belongs to the key."""
        device_id = DeviceId(effect.hello.device_id.hex())
        self.last_handshake_ms = self._host.now_ms()
        if answer_to != NO_ANSWER:
            self.ids.restart(answer_to)
        found = hello.on_admitted(
            self.session,
            device_id,
            effect.hello,
            was_online=was_online,
            row=self._host.presence_row(self, device_id, online=True),
        )
        self._perform(found, answer_to)

    def on_logged(self, message_id: int, ok: bool) -> None:
        """The commit of an event of this device ended. Hot path."""
        if message_id < 0 or self.ended is not None:
            return
        if ok:
            if self.exchange.acknowledge(message_id):
                content = coap.encode_empty_ack(message_id)
                self._host.send(self.records.seal_data(content), self.address)
        elif self.exchange.answer_to(message_id) is None:
            self.refuse_event(message_id)

    def refuse_event(self, message_id: int) -> None:
        """The log could not keep it in time; the program on the device is told so at once."""
        metrics.events_refused.inc()
        self._answer(message_id, coap.encode_ack(message_id, coap.SERVICE_UNAVAILABLE))

    # -- what we send --------------------------------------------------------------------------

    def request(
        self,
        build: Callable[[int, bytes], bytes],
        on_end: Callable[[str], None],
        on_response: Callable[[int, bytes], None] | None,
    ) -> Callable[[], None]:
        """Send a confirmable message; the returned function stops waiting for its answer.

        Raises MisuseError when too many wait for this device already, or when the message is
        larger than the device takes: it would drop it, and count as lost after four sends.
        """
        now_s = self._host.now_s()
        limit = self.session.max_message_size

        def build_within_limit(message_id: int, token: bytes) -> bytes:
            data = build(message_id, token)
            if len(data) > limit:
                raise MessageTooLargeError(f"message of {len(data)} bytes for a device of {limit}")
            return data

        sent = self.exchange.send(
            build_within_limit, now_s, self._host.stretch(), on_end, on_response
        )
        self._host.mark_dirty(self)
        self._send(sent.data)
        self._set_timer(sent.due_s)
        return partial(self.exchange.cancel, sent)

    def deliver(self, event: Event) -> None:
        """An event that this device subscribed to."""
        if event.data is not None and len(event.data) > MAX_DATA_BYTES:
            metrics.undelivered_too_large.inc()
            return
        self.send_event(event.name, event.data, event.content_format, event.ttl_s)

    def send_event(
        self, name: str, data: bytes | None, content_format: int = coap.TEXT, ttl_s: int = 60
    ) -> bool:
        """Send an event, confirmable; False when it cannot be sent."""
        if not self.is_online:
            return False
        if self.exchange.is_full:
            # Looked at first: a device that falls behind costs little for each event it misses.
            metrics.undelivered_busy.inc()
            return False
        if content_format == coap.STRUCTURED and any(s.cbor for s in self.session.subscriptions):
            # Firmware 6.2 compares with plain CBOR (device-protocol.md §3.8).
            content_format = coap.CBOR
        try:
            self.request(
                lambda message_id, _token: encode_event(
                    message_id, name, data, confirmable=True,
                    content_format=content_format, max_age=ttl_s,
                ),
                self._on_event_ended,
                None,
            )  # fmt: skip
        except MessageTooLargeError:
            metrics.undelivered_too_large.inc()
            return False
        except MisuseError:
            metrics.undelivered_busy.inc()
            return False
        return True

    def end(self, reason: str, *, tell: bool = True) -> None:
        """End the session for good; the device makes a full handshake when it hears of it."""
        if self.ended is not None:
            return
        _log.info("session.ended", device_id=self.session.device_id, reason=reason)
        self.ended = reason
        if tell:
            self._host.send(self.records.seal(ALERT, alerts.CLOSE_NOTIFY), self.address)
        self.exchange.cancel_all("ended")
        self.leave(reason)
        self._host.forget(self)

    def leave(self, reason: str) -> None:
        """The device is not connected any more; its session may go on later."""
        if self.is_online:
            self.is_online = False
            self.has_left = True
            self._host.went_offline(self, reason)

    def _arrive(self, stored: PresenceRow | None = None) -> None:
        self.has_left = False
        self.is_online = True
        self._host.came_online(self, stored)

    def _came_back(self) -> None:
        """A new message after the device counted as offline: its session goes on."""
        self._arrive()
        assert self.session.device_id is not None
        self._host.emit(
            self.session.device_id, hello.STATUS_EVENT, "online", self.session.product_version
        )

    def _tell(self, name: str, data: str) -> None:
        self.send_event(name, data.encode())

    def _on_event_ended(self, how: str) -> None:
        if how == "timeout":
            metrics.undelivered_unanswered.inc()
            self.leave("messages of ours were not answered")

    def _answer(self, answer_to: int, data: bytes) -> None:
        if answer_to < 0:
            return
        self.exchange.keep_answer(answer_to, data)
        self._send(data or coap.encode_empty_ack(answer_to))

    def _send(self, data: bytes) -> None:
        self._host.send(self.records.seal_data(data), self.address)

    def _set_timer(self, due_s: float) -> None:
        if self._timer_s == 0.0 or due_s < self._timer_s:
            self._timer_s = due_s
            self._host.at(due_s, self._on_timer)

    def after(self, delay_s: float, callback: Callable[[float], None]) -> None:
        """Call `callback(now_s)` after so many seconds; it cannot be cancelled."""
        self._host.at(self._host.now_s() + delay_s, callback)

    def _on_timer(self, now_s: float) -> None:
        if self._timer_s == 0.0 or now_s < self._timer_s:
            return  # an earlier timer has done this one's work, and set the next
        self._timer_s = 0.0
        if self.ended is not None:
            return
        for data in self.exchange.due(now_s, self._host.stretch()):
            self._send(data)
        due_s = self.exchange.next_due_s()
        if due_s is not None:
            self._set_timer(due_s)


def _is_setup(message: coap.Message) -> bool:
    """Whether it is a Hello or a describe, by its path."""
    return message.code == coap.POST and message.options[:1] in (
        ((coap.URI_PATH, b"h"),),
        ((coap.URI_PATH, b"d"),),
    )
