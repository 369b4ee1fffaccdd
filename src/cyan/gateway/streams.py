"""A device over TCP: nothing is lost or comes twice, and the session ends with the connection."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec

from cyan.gateway import metrics
from cyan.gateway.host import Host
from cyan.gateway.link import Link
from cyan.gateway.session import Session
from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.exchange import Build, Exchange, OnResponse
from cyan.wire.lightssl.frames import Channel
from cyan.wire.messages import Hello, encode_event

MAX_UNSENT_BYTES: Final = 64 * 1024
"""What may wait in memory for a device that does not read. Events beyond it are not delivered; an
answer beyond it ends the connection, since nothing that the device asks can be answered."""

MAX_UNSENT_OF_UPDATE: Final = 16 * 1024
"""What an update has waiting here: as much as the device takes in a fraction of a second, since
whatever else it is sent waits behind that."""

CHUNK_ROOM_BYTES: Final = 1200
"""A frame of the largest chunk."""


class Stream(Protocol):
    """A connection, as a link sees it."""

    ip_address: str

    def write(self, data: bytes) -> None: ...

    def unsent_bytes(self) -> int: ...

    def close(self) -> None: ...

    def on_hello(self) -> None:
        """The device has proved itself."""
        ...


class StreamLink(Link):
    """One connection after its handshake.

    Acknowledgements do not always echo our message ids (device-protocol.md §1.3.3): what a token
    does not tell, the order does. Nothing is sent again, and events are not confirmable.
    """

    __slots__ = ("_channel", "_claimed_id", "stream")

    def __init__(
        self,
        host: Host,
        session: Session,
        exchange: Exchange,
        stream: Stream,
        channel: Channel,
        claimed_id: bytes,
        *,
        established_at_ms: int,
        heard_s: float,
    ) -> None:
        """`claimed_id` is what the device called itself in the handshake; its Hello has no id."""
        super().__init__(
            host,
            session,
            exchange,
            adoption=0,
            established_at_ms=established_at_ms,
            heard_s=heard_s,
        )
        self.stream = stream
        self._channel = channel
        self._claimed_id = claimed_id

    @property
    def ip_address(self) -> str:
        return self.stream.ip_address

    # -- what arrives --------------------------------------------------------------------------

    def on_bytes(self, data: bytes, now_s: float) -> int:
        """Whatever came of the stream; returns how many messages were in it. Hot path."""
        try:
            contents = self._channel.feed(data)
        except MalformedError as error:
            self.end(f"the stream cannot be read: {error}")
            return 0
        for content in contents:
            if self.ended is not None:
                break
            self._on_content(content, now_s)
        return len(contents)

    def _on_content(self, content: bytes, now_s: float) -> None:
        self.heard_s = now_s
        if not self.is_dirty:
            self.host.mark_dirty(self)
        try:
            message = coap.decode(content)
        except MalformedError:
            self.on_malformed(content)
            return
        kind = message.type
        if kind <= coap.NON:
            self.on_message(message, now_s)
        elif kind == coap.RST:
            self.on_reset(message.message_id)
        elif message.token:
            self.exchange.on_response(message)
        elif message.code == coap.EMPTY and not self.exchange.is_waiting_for(message.message_id):
            self.exchange.on_pong()
        else:
            self.exchange.on_ack(message)

    @property
    def is_asking(self) -> bool:
        return self.exchange.is_asking

    def on_closed(self) -> None:
        """The connection is no more."""
        self.end("the connection was closed", tell=False)

    def on_silence(self) -> None:
        self.end("silence")

    def name_device(self, hello: Hello) -> Hello:
        return msgspec.structs.replace(hello, device_id=self._claimed_id)

    def on_fresh_session(self, answer_to: int) -> None:
        """Nothing to do: the stream keeps the order."""

    # -- what we send --------------------------------------------------------------------------

    def transmit(self, content: bytes) -> None:
        if self.stream.unsent_bytes() > MAX_UNSENT_BYTES:
            self.end("it does not read what is sent")
            return
        self.stream.write(self._channel.seal(content))

    def chunk_room(self) -> int:
        return (MAX_UNSENT_OF_UPDATE - self.stream.unsent_bytes()) // CHUNK_ROOM_BYTES

    def send_chunks(
        self, chunks: Sequence[int], encode: Callable[[Sequence[int], int], list[bytes]]
    ) -> None:
        message_id = self.exchange.next_message_id
        self.exchange.next_message_id = message_id + len(chunks) & 0xFFFF
        for content in encode(chunks, message_id):
            self.stream.write(self._channel.seal(content))

    def on_room(self) -> None:
        """The connection takes more again."""
        self.host.updates.on_room(self)

    def close(self) -> None:
        """Closing says it all; firmware connects again at once."""

    def request(
        self, build: Build, on_end: Callable[[str], None], on_response: OnResponse | None
    ) -> Callable[[], None]:
        sent = self.exchange.send(
            self.within_limit(build), self.host.now_s(), 0.0, on_end, on_response
        )
        self.transmit(sent.data)
        return partial(self._cancel, sent)

    def send_event(
        self, name: str, data: bytes | None, content_format: int = coap.TEXT, ttl_s: int = 60
    ) -> bool:
        """Not confirmable: a device does not acknowledge events over TCP (§1.3.3)."""
        if not self.is_online:
            return False
        if self.stream.unsent_bytes() > MAX_UNSENT_BYTES:
            metrics.undelivered_busy.inc()
            return False
        try:
            content = encode_event(
                self.exchange.take_message_id(), name, data, confirmable=False,
                content_format=content_format, max_age=ttl_s,
            )  # fmt: skip
        except MisuseError:
            metrics.undelivered_too_large.inc()
            return False
        if len(content) > self.session.max_message_size:
            metrics.undelivered_too_large.inc()
            return False
        self.transmit(content)
        return True

    def end(self, reason: str, *, tell: bool = True) -> None:
        super().end(reason, tell=tell)
        self.stream.close()
