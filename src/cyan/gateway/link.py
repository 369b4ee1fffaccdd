"""One live device: runs the CoAP exchange and the conversation, carries the effects out.

What is the same on every transport. `datagrams.py` and `streams.py` add how bytes come and go.
Everything here happens on the loop; what must be kept goes through the host.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from cyan.core.ids import UserId, share_device_id
from cyan.devices.presence import PresenceRow
from cyan.events.model import Event
from cyan.gateway import effects as fx
from cyan.gateway import metrics
from cyan.gateway.asking import DescribeQuestion
from cyan.gateway.conversation import clock, describe, events, goodbye, hello, subscriptions
from cyan.gateway.conversation.about import About
from cyan.gateway.delivery import fit
from cyan.gateway.host import Host
from cyan.gateway.session import Session
from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.exchange import EMPTY_ACK, Build, Exchange, OnResponse, Request
from cyan.wire.messages import (
    ChunkMissed,
    DescribePost,
    Goodbye,
    Hello,
    LedgerPost,
    Ping,
    Publish,
    Subscribe,
    TimeRequest,
    UpdateAck,
    decode_request,
    encode_cloud_hello,
)

NO_ANSWER: Final = -1
"""In place of a message id, for a message that is not confirmable."""

_SETUP: Final = (Hello, DescribePost, Subscribe)

_log = structlog.get_logger(__name__)


class MessageTooLargeError(MisuseError):
    """A message of ours is larger than this device takes."""


class Link(ABC):
    """A session with its exchange, and whether its device is here."""

    __slots__ = (
        "_owner_id", "_owner_version", "adoption", "ended", "established_at_ms", "exchange",
        "has_left", "heard_s", "host", "is_dirty", "is_online", "last_handshake_ms", "published",
        "session", "silence_due_s",
    )  # fmt: skip

    def __init__(
        self,
        host: Host,
        session: Session,
        exchange: Exchange,
        *,
        adoption: int,
        established_at_ms: int,
        heard_s: float,
    ) -> None:
        self.host = host
        self.session = session
        self.exchange = exchange
        self.adoption = adoption
        self.established_at_ms = established_at_ms
        self.last_handshake_ms = established_at_ms
        self.heard_s = heard_s
        self.is_online = False
        self.has_left = False
        self.is_dirty = False
        self.ended: str | None = None
        # Kept as long as no device changes its owner: to look it up is far to go in a large fleet.
        self._owner_id: UserId | None = None
        self._owner_version = -1
        self.published = 0
        """Events of the device over this link."""
        self.silence_due_s = 0.0
        """When the gateway looks for silence next."""

    # -- what a transport is asked -------------------------------------------------------------

    @property
    @abstractmethod
    def ip_address(self) -> str:
        """Where the device is, for people to read."""

    @abstractmethod
    def transmit(self, content: bytes) -> None:
        """Send one CoAP message."""

    @abstractmethod
    def close(self) -> None:
        """Let the device know, as well as the transport can, that the session is over."""

    @abstractmethod
    def send_event(
        self, name: str, data: bytes | None, content_format: int = coap.TEXT, ttl_s: int = 60
    ) -> bool:
        """Send an event; False when it cannot be sent."""

    @abstractmethod
    def on_fresh_session(self, answer_to: int) -> None:
        """A Hello was admitted: the device's counters begin with it."""

    @abstractmethod
    def chunk_room(self) -> int:
        """How many chunks of an update can be sent now; `Updates.on_room` tells when there is
        more."""

    @abstractmethod
    def send_chunks(
        self, chunks: Sequence[int], encode: Callable[[Sequence[int], int], list[bytes]]
    ) -> None:
        """Send these chunks of an update, no more than there is room for; encode(chunks, id) are
        their messages, the first with this message id, the others with the ids after it. Hot
        path."""

    def name_device(self, hello: Hello) -> Hello:
        """The Hello with the device's id in it, where the transport said it before."""
        return hello

    def on_silence(self) -> None:
        """Nothing was heard for longer than the device's limit."""
        self.leave("silence")

    def rest(self, now_s: float) -> None:
        """Called now and then: let go of memory that a quiet device does not need."""
        self.exchange.tidy(now_s)

    # -- presence ------------------------------------------------------------------------------

    @property
    def last_heard_ms(self) -> int:
        return self.host.now_ms() - int((self.host.now_s() - self.heard_s) * 1000)

    # -- what arrives --------------------------------------------------------------------------

    def on_message(self, message: coap.Message, now_s: float) -> None:
        """A request, a response or a ping of the device. Hot path."""
        message_id = message.message_id
        code = message.code
        if code == coap.EMPTY:
            if message.type == coap.CON:
                self.transmit(coap.encode_empty_ack(message_id))
                if self.has_left:
                    self._came_back()
            return
        if code >= coap.CREATED:
            if message.type == coap.CON:
                self.transmit(coap.encode_empty_ack(message_id))
            # Its acknowledgement may have been lost, and the token be another request's by now.
            if self.exchange.is_new(message_id, now_s):
                self.exchange.keep_answer(message_id, EMPTY_ACK)
                self.exchange.on_response(message)
                if not message.token:
                    self.host.updates.on_other_response(self, message)
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
            ownership = self.host.ownership
            if ownership.version != self._owner_version:
                self._owner_version = ownership.version
                self._owner_id = ownership.owner_of(device_id)
            found: Sequence[fx.Effect] = events.on_publish(
                session, device_id, message_id, request,
                owner_id=self._owner_id, at_ms=self.host.now_ms(), about=self.about,
            )  # fmt: skip
        else:
            if type(request) in _SETUP:
                session.last_setup_s = now_s
            found = self._converse(message, request)
        self.perform(found, answer_to)

    def _converse(self, message: coap.Message, request: object) -> Sequence[fx.Effect]:
        session = self.session
        if isinstance(request, Hello):
            return hello.on_hello(session, self.name_device(request))
        assert session.device_id is not None
        if isinstance(request, UpdateAck):
            # A bit instead of an entry: there are thousands in one update.
            self.exchange.keep_answer(message.message_id, EMPTY_ACK)
            self.host.updates.on_ack(self, request)
            return (fx.Reply(),)
        if isinstance(request, ChunkMissed):
            self.host.updates.on_missed(self, request)
            return (fx.Reply(),)
        if isinstance(request, Subscribe):
            return subscriptions.on_subscribe(session, message, request)
        if isinstance(request, DescribePost):
            return describe.on_describe(session, session.device_id, message, request, self.about)
        if isinstance(request, TimeRequest):
            return clock.on_time_request(message, self.host.now_ms() // 1000)
        if isinstance(request, Goodbye):
            return goodbye.on_goodbye(session, request)
        if isinstance(request, LedgerPost):
            return self.host.ledgers.on_post(session, session.device_id, message, request)
        if isinstance(request, Ping):
            return (fx.Reply(),)
        # A confirmable message without an answer costs the device its session, so there is one.
        return (fx.Reply(coap.encode_ack(message.message_id, coap.NOT_FOUND, message.token)),)

    def about(self) -> About:
        """What a conversation can ask about this device."""
        return self.host.about(self)

    def on_reset(self, message_id: int) -> None:
        """The device rejects a message of ours."""
        if self.exchange.is_waiting_for(message_id):
            self.exchange.on_reset(message_id)
        else:
            self.host.updates.on_reset(self, message_id)

    def _on_duplicate(self, message: coap.Message) -> None:
        answer = self.exchange.answer_to(message.message_id)
        if answer is not None and message.type == coap.CON:
            self.transmit(answer or coap.encode_empty_ack(message.message_id))

    def on_malformed(self, content: bytes) -> None:
        """Not a CoAP message; answer what looks like a confirmable one all the same."""
        metrics.dropped_malformed.inc()
        if self.session.device_id is None:
            # Most likely its Hello, to which a device takes any answer for success.
            self.end("the first message cannot be read")
        elif len(content) >= 4 and content[0] >> 4 == 0x4 | coap.CON:
            message_id = content[2] << 8 | content[3]
            self.transmit(coap.encode_ack(message_id, coap.BAD_REQUEST))

    def _log_malformed(self, error: MalformedError) -> None:
        metrics.dropped_malformed.inc()
        _log.info("device.malformed", device_id=self.session.device_id, error=str(error))

    # -- effects -------------------------------------------------------------------------------

    def perform(self, found: Sequence[fx.Effect], answer_to: int = NO_ANSWER) -> None:
        """Carry out what a conversation asks for; `answer_to` is the message in hand."""
        for effect in found:
            if type(effect) is fx.LogEvent:
                self.published += 1
                self.host.log_event(self, effect.event, answer_to)
            elif type(effect) is fx.Reply:
                self._answer(answer_to, effect.data)
            elif type(effect) is fx.Save:
                self.host.save(self, effect.works, partial(self._on_saved, effect, answer_to))
            else:
                self._perform_rare(effect, answer_to)

    def _perform_rare(self, effect: fx.Effect, answer_to: int) -> None:
        device_id = self.session.device_id
        if self.ended is not None:
            # By an effect before this one.
            if type(effect) is fx.Arrive:
                self.host.never_arrived(effect.stored)
            return
        if type(effect) is fx.Admit:
            self.host.admit(
                self,
                effect.hello,
                partial(self._on_admitted, effect, answer_to),
                partial(self.exchange.forget, answer_to),
            )
        elif type(effect) is fx.End:
            self.end(effect.reason)
        elif device_id is None:
            return
        elif type(effect) is fx.Listen:
            self.host.listen(self, effect.subscription)
        elif type(effect) is fx.Emit:
            self.host.emit(device_id, effect.name, effect.data, self.session.product_version)
        elif type(effect) is fx.Tell:
            self.tell(effect.name, effect.data)
        elif type(effect) is fx.Announce:
            self.host.announce(effect.fact)
        elif type(effect) is fx.Claim:
            self.host.claim(self, effect.code, partial(self._on_claimed, effect, answer_to))
        elif type(effect) is fx.Ask:
            question = DescribeQuestion(self, device_id, effect.flags)
            if effect.after_s:
                self.after(effect.after_s, question.on_time)
            else:
                question.ask()
        elif type(effect) is fx.Greet:
            self.transmit(encode_cloud_hello(self.exchange.take_message_id()))
        elif type(effect) is fx.Arrive:
            self.host.install(self)
            self._arrive(effect.stored)
        elif type(effect) is fx.Leave:
            self.leave(effect.reason)

    def _on_saved(self, effect: fx.Save, answer_to: int, ok: bool) -> None:
        if self.ended is not None:
            if ok:
                self.perform([each for each in effect.after if type(each) is fx.Arrive])
            return
        if not ok:
            self.exchange.forget(answer_to)
            return
        if effect.reply is not None:
            self._answer(answer_to, effect.reply)
        self.perform(effect.after, answer_to)

    def _on_claimed(self, effect: fx.Claim, answer_to: int, ok: bool) -> None:
        if self.ended is not None:
            return
        if ok:
            self.perform(effect.after, answer_to)
        else:
            self.exchange.forget(answer_to)

    def _on_admitted(self, effect: fx.Admit, answer_to: int, was_online: bool) -> None:
        """The id belongs to the key."""
        device_id = share_device_id(effect.hello.device_id.hex())
        self.last_handshake_ms = self.host.now_ms()
        self.on_fresh_session(answer_to)
        found = hello.on_admitted(
            self.session,
            device_id,
            effect.hello,
            was_online=was_online,
            row=self.host.presence_row(self, device_id, online=True),
        )
        self.perform(found, answer_to)

    def on_logged(self, message_id: int, ok: bool) -> None:
        """The commit of an event of this device ended. Hot path."""
        if message_id < 0 or self.ended is not None:
            return
        if ok:
            if self.exchange.acknowledge(message_id):
                self.transmit(coap.encode_empty_ack(message_id))
        elif self.exchange.answer_to(message_id) is None:
            self.refuse_event(message_id)

    def refuse_event(self, message_id: int) -> None:
        """The log could not keep it in time; the program on the device is told so at once."""
        metrics.events_refused.inc()
        self._answer(message_id, coap.encode_ack(message_id, coap.SERVICE_UNAVAILABLE))

    # -- what we send --------------------------------------------------------------------------

    @abstractmethod
    def request(
        self, build: Build, on_end: Callable[[str], None], on_response: OnResponse | None
    ) -> Callable[[], None]:
        """Send a confirmable message; the returned function stops waiting for its answer.

        Raises BusyError when too many wait for this device already, MessageTooLargeError when the
        message is larger than the device takes: it would drop it, and count as lost after four
        sends.
        """

    def _cancel(self, sent: Request) -> None:
        self.exchange.cancel(sent, self.host.now_s())

    def within_limit(self, build: Build) -> Build:
        """`build`, refusing what this device would not take: MessageTooLargeError."""
        limit = self.session.max_message_size

        def build_within_limit(message_id: int, token: bytes) -> bytes:
            data = build(message_id, token)
            if len(data) > limit:
                raise MessageTooLargeError(f"message of {len(data)} bytes for a device of {limit}")
            return data

        return build_within_limit

    def deliver(self, event: Event) -> None:
        """An event that this device subscribed to."""
        data, content_format = fit(event, self.session)
        if data is not None and len(data) > self.session.max_event_data:
            # The device would cut it without a word.
            metrics.undelivered_too_large.inc()
            return
        self.send_event(event.name, data, content_format, event.ttl_s)

    def tell(self, name: str, data: str | bytes) -> None:
        """A cloud-made event to this device alone."""
        self.send_event(name, data.encode() if isinstance(data, str) else data)

    def end(self, reason: str, *, tell: bool = True) -> None:
        """End the session for good; the device makes a full handshake when it hears of it."""
        if self.ended is not None:
            return
        device_id = self.session.device_id
        # Before its Hello nobody knows whose it was; who is refused is told elsewhere.
        (_log.debug if device_id is None else _log.info)(
            "session.ended", device_id=device_id, reason=reason
        )
        self.ended = reason
        if tell:
            self.close()
        self.exchange.cancel_all("ended")
        self.leave(reason)
        self.host.forget(self)

    def leave(self, reason: str) -> None:
        """The device is not connected any more; its session may go on later."""
        if self.is_online:
            self.is_online = False
            self.has_left = True
            self.host.went_offline(self, reason)

    def _arrive(self, stored: PresenceRow | None = None) -> None:
        self.has_left = False
        self.is_online = True
        self.host.came_online(self, stored)

    def _came_back(self) -> None:
        """A new message after the device counted as offline: its session goes on, unless the
        answer to it has just ended it."""
        if self.ended is not None:
            return
        self._arrive()
        assert self.session.device_id is not None
        self.host.emit(
            self.session.device_id, hello.STATUS_EVENT, "online", self.session.product_version
        )
        # A question of before may have been lost, with the server that asked it.
        self.perform(describe.still_to_ask(self.session))

    def _answer(self, answer_to: int, data: bytes) -> None:
        if answer_to < 0:
            return
        self.exchange.keep_answer(answer_to, data)
        self.transmit(data or coap.encode_empty_ack(answer_to))

    def after(self, delay_s: float, callback: Callable[[float], None]) -> None:
        """Call `callback(now_s)` after so many seconds; it cannot be cancelled."""
        self.host.at(self.host.now_s() + delay_s, callback)


def _is_setup(message: coap.Message) -> bool:
    """Whether it is a Hello or a describe, by its path."""
    return message.code == coap.POST and message.options[:1] in (
        ((coap.URI_PATH, b"h"),),
        ((coap.URI_PATH, b"d"),),
    )
