"""A device over UDP: opens its records, follows its address, repeats what is not acknowledged."""

from collections.abc import Callable, Sequence
from functools import partial

from cyan.devices.presence import DeviceResumed
from cyan.gateway import effects as fx
from cyan.gateway import metrics
from cyan.gateway.conversation import describe
from cyan.gateway.deviceids import LOST_AFTER_S, UNKNOWN, DeviceIds
from cyan.gateway.host import Host
from cyan.gateway.link import NO_ANSWER, Link, MessageTooLargeError
from cyan.gateway.session import Session
from cyan.gateway.udp import read_address
from cyan.wire import coap
from cyan.wire.dtls import alerts
from cyan.wire.dtls.record import ALERT, APPLICATION_DATA, HANDSHAKE, MOVED_CID, ServerRecords
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.exchange import MIN_TIMEOUT_S, Build, Exchange, OnResponse
from cyan.wire.messages import encode_event, read_update_ack

MAX_HELD = 64
"""Messages that wait for a commit of some milliseconds. What is dropped comes again."""

UPDATE_ACK = b"\xb1A"
"""The path of an UpdateAck, behind a header without a token."""

MAX_BURST = 64
"""Chunks of an update in one go; the window of the transfer says how many may be under way."""

ID_CHECKPOINT = 0x3FF
"""The stored row follows our own message ids in steps of 1024 at most: fewer than the margin that
a restart leaves (gateway/store.py)."""


class DatagramLink(Link):
    """A DTLS session with its counters and its address."""

    __slots__ = (
        "_budget_ends_s", "_expected", "_held", "_ids", "_timer_s", "address", "batch", "budget",
        "is_moving", "records",
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
        super().__init__(
            host,
            session,
            exchange,
            adoption=adoption,
            established_at_ms=established_at_ms,
            heard_s=heard_s,
        )
        self.records = records
        self.address = address
        # While every message of the device comes in its turn, the next one's id is all that there
        # is to remember, and stands here: an object of its own would be far away.
        self._ids: DeviceIds | None = None
        self._expected = UNKNOWN
        self._put_away(ids)
        self.is_moving = False
        self.batch = -1
        """The one of the journal that has its newest entry; -1 if the stored row says it all."""
        self.budget = 0
        """Records that it may send until `_budget_ends_s`."""
        self._budget_ends_s = 0.0
        self._timer_s = 0.0
        self._held: list[bytes] | None = None

    @property
    def ip_address(self) -> str:
        return read_address(self.address)[0]

    # -- what arrives --------------------------------------------------------------------------

    def rest(self, now_s: float) -> None:
        super().rest(now_s)
        self.records.release_ciphers()

    def _may_speak(self, now_s: float) -> bool:
        """Asked when the budget is used up, which only authentic records do. What is dropped comes
        again, 4 s later; no firmware sends so much that it could lose its session by it."""
        if now_s < self._budget_ends_s:
            metrics.dropped_over_rate.inc()
            return False
        self._budget_ends_s = now_s + 1
        self.budget = self.host.messages_per_s - 1
        return True

    def on_record(self, record: bytes, address: bytes, now_s: float, moved: bool = False) -> None:
        """One whole record of this session. Hot path.

        `moved` says so of a record whose outer type had told it (firmware 3.0 and before).
        """
        records = self.records
        highest = records.highest_received
        opened = records.open(record)
        if opened is None:
            metrics.dropped_not_authentic.inc()
            return
        self.heard_s = now_s
        if not self.is_dirty:
            self.host.mark_dirty(self)
        if address != self.address and records.highest_received > highest:
            # Only a record newer than all seen moves the session: an old one may be a replay.
            self.host.on_moved_to(self, address)
        content_type, content = opened
        self.budget -= 1
        if self.budget < 0 and not self._may_speak(now_s):
            return
        if content_type != APPLICATION_DATA or self.ended is not None:
            self._on_other_record(content_type, content)
            return
        if record[0] != MOVED_CID and not moved:
            self.is_moving = False
        elif not self.is_moving and records.highest_received > highest:
            self._on_moved()
        if content[4:6] == UPDATE_ACK and self._on_update_ack(content, now_s):
            return
        try:
            message = coap.decode(content)
        except MalformedError:
            self.on_malformed(content)
            return
        kind = message.type
        if kind <= coap.NON:
            if message.message_id == self._expected:
                self._expected = message.message_id + 1 & 0xFFFF
            elif not self._follow(message.message_id, now_s):
                return
            self.on_message(message, now_s)
        elif kind == coap.ACK:
            self.exchange.on_ack(message)
        else:
            self.on_reset(message.message_id)

    def _on_update_ack(self, content: bytes, now_s: float) -> bool:
        """A device that takes a file sends hundreds of these in a second; whether it was one that
        needs nothing else. Hot path."""
        ack = read_update_ack(content)
        message_id = content[2] << 8 | content[3]
        if ack is None or not self.is_online:
            return False
        if message_id == self._expected:
            self._expected = message_id + 1 & 0xFFFF
        elif not self._follow(message_id, now_s):
            return True
        self.host.updates.on_ack(self, ack)
        return True

    def _on_other_record(self, content_type: int, content: bytes) -> None:
        if content_type == ALERT and alerts.ends_session(content):
            self.end("closed by the device", tell=False)
        elif content_type == HANDSHAKE:
            self.host.send_final_again(self.session.connection_id)
        elif self.ended is not None:
            # Our close_notify was lost: the device is still talking.
            self.close()

    def _on_moved(self) -> None:
        self.is_moving = True
        metrics.handshakes_resumed.inc()
        if self.has_left:
            self._came_back()
        device_id = self.session.device_id
        if device_id is None:
            return
        # An update ends with the connection; the next one goes on with what the device has of it.
        self.host.updates.on_gone(self)
        self.perform((fx.Announce(DeviceResumed(device_id)),))
        if self.session.has_application:
            # After a reset the device's update status is unknown again, session or not.
            is_pending = self.about().has_pending_update()
            self.tell(describe.PENDING_EVENT, "true" if is_pending else "false")

    # -- which messages of the device are missing ----------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Whether every message before the newest has come."""
        return self._ids is None or self._ids.is_complete

    @property
    def last_device_message_id(self) -> int:
        """The newest message id of the device, UNKNOWN before the first."""
        return self._expected - 1 & 0xFFFF if self._ids is None else self._ids.last()

    def expect(self, message_id: int) -> None:
        """The device's next message has this id, and none is missing."""
        self._ids, self._expected = None, message_id & 0xFFFF

    def _take_out(self) -> DeviceIds:
        return DeviceIds(self.last_device_message_id) if self._ids is None else self._ids

    def _put_away(self, ids: DeviceIds) -> None:
        if ids.expected is None or ids.is_watched or ids.may_have_missed:
            self._ids, self._expected = ids, UNKNOWN
        else:
            self._ids, self._expected = None, ids.expected

    def _follow(self, message_id: int, now_s: float) -> bool:
        """A message came that is not the next one, or after others that are missing; whether the
        session goes on."""
        ids = self._take_out()
        was_watched = ids.is_watched
        missed = ids.follow(message_id, now_s)
        self._put_away(ids)
        if missed and not self._answer_missed(missed):
            return False
        if ids.is_watched and not was_watched:
            self.host.at(now_s + LOST_AFTER_S, self._answer_lost)
        return True

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
            self.transmit(answer or coap.encode_empty_ack(message_id))
        return True

    def _answer_lost(self, now_s: float) -> None:
        """What was lost on its way, all four times, would cost the device its session some seconds
        from now; 5.03 tells the program the truth, and saves the session. As above, not while it is
        being set up."""
        if self.ended is not None:
            return
        ids = self._take_out()
        if self.session.settled:
            for message_id in ids.take_lost(now_s):
                if self.exchange.answer_to(message_id) is None:
                    answer = coap.encode_ack(message_id, coap.SERVICE_UNAVAILABLE)
                    self.exchange.keep_answer(message_id, answer)
                    self.transmit(answer)
        due_s = ids.watch(now_s)
        self._put_away(ids)
        if due_s is not None:
            self.host.at(due_s, self._answer_lost)

    def on_fresh_session(self, answer_to: int) -> None:
        if answer_to != NO_ANSWER:
            ids = self._take_out()
            ids.restart(answer_to)
            self._put_away(ids)

    # -- what we send --------------------------------------------------------------------------

    def hold(self) -> None:
        """Send nothing until `release`."""
        if self._held is None:
            self._held = []

    def release(self) -> None:
        """Send what was held back, and hold no more."""
        held, self._held = self._held, None
        for content in held or ():
            self.transmit(content)

    def transmit(self, content: bytes) -> None:
        if self._held is not None:
            if len(self._held) < MAX_HELD:
                self._held.append(content)
            return
        self.host.send(self.records.seal_data(content), self.address)

    def chunk_room(self) -> int:
        return MAX_BURST if self._held is None else 0

    def send_chunks(
        self, chunks: Sequence[int], encode: Callable[[Sequence[int], int], list[bytes]]
    ) -> None:
        exchange, count = self.exchange, len(chunks)
        message_id = exchange.next_message_id
        exchange.next_message_id = message_id + count & 0xFFFF
        # What the device says of them is none of the messages that its rate is meant for.
        self.budget += count
        if (message_id & ID_CHECKPOINT) + count > ID_CHECKPOINT:
            self.host.mark_urgent(self)
        self.host.send_all(self.records.seal_all(encode(chunks, message_id)), self.address)

    def close(self) -> None:
        self.host.send(self.records.seal(ALERT, alerts.CLOSE_NOTIFY), self.address)

    def request(
        self, build: Build, on_end: Callable[[str], None], on_response: OnResponse | None
    ) -> Callable[[], None]:
        exchange = self.exchange
        sent = exchange.send(
            self.within_limit(build), self.host.now_s(), self.host.stretch(), on_end, on_response
        )
        self.host.mark_dirty(self)
        if exchange.next_message_id & ID_CHECKPOINT == 0:
            self.host.mark_urgent(self)
        self.transmit(sent.data)
        self._set_timer(sent.due_s)
        return partial(self._cancel, sent)

    def send_event(
        self, name: str, data: bytes | None, content_format: int = coap.TEXT, ttl_s: int = 60
    ) -> bool:
        """Confirmable: a lost one is sent again."""
        if not self.is_online:
            return False
        if self.exchange.is_full:
            # Looked at first: a device that falls behind costs little for each event it misses.
            metrics.undelivered_busy.inc()
            return False
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

    def _on_event_ended(self, how: str) -> None:
        if how == "timeout":
            metrics.undelivered_unanswered.inc()
            # On a bad network one message in a hundred finds no answer, from a device that talks.
            if self.host.now_s() - self.heard_s >= MIN_TIMEOUT_S:
                self.leave("messages of ours were not answered")

    def _set_timer(self, due_s: float) -> None:
        if self._timer_s == 0.0 or due_s < self._timer_s:
            self._timer_s = due_s
            self.host.at(due_s, self._on_timer)

    def _on_timer(self, now_s: float) -> None:
        if self._timer_s == 0.0 or now_s < self._timer_s:
            return  # an earlier timer has done this one's work, and set the next
        self._timer_s = 0.0
        if self.ended is not None:
            return
        for data in self.exchange.due(now_s, self.host.stretch()):
            self.transmit(data)
        due_s = self.exchange.next_due_s()
        if due_s is not None:
            self._set_timer(due_s)
