"""Server-sent events: the frames, and the response that carries a stream (rest-api-core.md §10.3).

A stream decides what to send; this part opens, keeps alive, notices who left, and ends.

What a stream has goes straight into the connection's transport where the HTTP server shows it one:
4 to 6 µs for each reader, where waking a task that sends through ASGI costs 11 to 18
(performance-floors.md §3.3). Without one it is sent as ASGI says.
"""

import asyncio
from typing import Final, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

TRANSPORT: Final = "cyan.transport"
"""Extension of an ASGI scope: `{"transport": …}`, the connection's own, for HTTP/1.1."""

OPENING = b":ok\n\n"
"""Sent at once in a write of its own: api-js waits 15 s for a first byte, and loses an event that
comes in the same packet as the headers."""

KEEPALIVE = b":\n\n"
"""A comment; clients ignore it, but their idle timers restart."""

KEEPALIVE_AFTER_S = 9.0
"""Silence after which KEEPALIVE is sent; api-js gives a stream up after 15 s without a byte."""

STALL_LIMIT_S = 60.0
"""A reader that takes no byte for this long is cut off, or its connection would stay forever."""


def frame(name: str, data: bytes, event_id: str | None = None) -> bytes:
    """One event: `event:` line, then `data:` line (JSON in one line), then a blank line.

    Line breaks in the name would end the frame early; publishing refuses them, and here they become
    spaces. `event_id` adds an `id:` line, only for readers that asked for it.
    """
    name = name.replace("\r", " ").replace("\n", " ")
    head = f"id: {event_id}\n" if event_id is not None else ""
    return b"%sevent: %s\ndata: %s\n\n" % (head.encode(), name.encode(), data)


def as_piece(body: bytes) -> bytes:
    """A piece of a body as HTTP/1.1 carries it (RFC 9112 §7.1), made once for all its readers."""
    return b"%x\r\n%b\r\n" % (len(body), body)


class Outlet:
    """The connection of one reader, written to without waiting for it."""

    __slots__ = (
        "_loop",
        "_taken_at",
        "_taken_bytes",
        "_transport",
        "_written_at",
        "_written_bytes",
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._written_at = self._taken_at = self._loop.time()
        self._written_bytes = self._taken_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        """What the reader has not taken yet, beyond what its socket holds."""
        return self._transport.get_write_buffer_size()

    def write(self, piece: bytes) -> None:
        """Add what `as_piece` made. All writes of a turn of the loop leave together."""
        self._written_bytes += len(piece)
        self._written_at = self._loop.time()
        self._transport.write(piece)

    def break_silence(self) -> float:
        """Write KEEPALIVE if it is time for it; seconds until it may be."""
        now = self._loop.time()
        if now - self._written_at >= KEEPALIVE_AFTER_S:
            self._written_at = now
            if not self.waiting_bytes:
                self.write(as_piece(KEEPALIVE))
        return self._written_at + KEEPALIVE_AFTER_S - now

    def is_stalled(self) -> bool:
        """Whether something waits and the reader took nothing of it for STALL_LIMIT_S."""
        now = self._loop.time()
        taken = self._written_bytes - self.waiting_bytes
        if taken != self._taken_bytes or not self.waiting_bytes:
            self._taken_bytes, self._taken_at = taken, now
        return now - self._taken_at >= STALL_LIMIT_S


class EventStream(Protocol):
    """Where the chunks of one reader come from."""

    @property
    def was_cut_off(self) -> bool:
        """Whether it ended because the reader fell too far behind."""
        ...

    async def next_chunk(self) -> bytes | None:
        """Whole frames for one write, as soon as there are any; None at the end.

        Must lose nothing when it is cancelled while it waits: that is how silence is measured.
        """
        ...

    def attach(self, outlet: Outlet) -> bool:
        """Write to the outlet from now on; `next_chunk` then only tells the end.

        False when it is not so far, because much of the past is still to be sent.
        """
        ...

    def close(self) -> None:
        """The reader is gone: free what is held; `next_chunk` then returns None."""
        ...


class SseResponse(Response):
    """200 text/event-stream, for as long as the stream gives chunks and the reader stays."""

    def __init__(self, stream: EventStream) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self.raw_headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            (b"connection", b"keep-alive"),
            (b"x-accel-buffering", b"no"),
        ]
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "HEAD":
            self._stream.close()  # who asks for the head alone gets it, and no endless silence
        shown = scope.get("extensions", {}).get(TRANSPORT, {})
        transport: asyncio.Transport | None = shown.get("transport")
        watcher = asyncio.ensure_future(self._watch_disconnect(receive))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._send_all(send, None if transport is None else Outlet(transport))
            if transport is not None and self._stream.was_cut_off:
                raise TimeoutError  # an end of the body would wait behind all that it did not read
            await self._write(send, b"", more_body=False)
        except OSError:
            # The reader left in the middle of a write, or takes nothing (TimeoutError is one too).
            if transport is not None:
                transport.abort()
                await watcher
        finally:
            self._stream.close()
            watcher.cancel()

    async def _send_all(self, send: Send, outlet: Outlet | None) -> None:
        chunk: bytes | None = OPENING
        while chunk is not None:
            await self._write(send, chunk)
            if outlet is not None and self._stream.attach(outlet):
                await self._look_after(outlet)
                return
            try:
                async with asyncio.timeout(KEEPALIVE_AFTER_S):
                    chunk = await self._stream.next_chunk()
            except TimeoutError:
                chunk = KEEPALIVE

    async def _look_after(self, outlet: Outlet) -> None:
        """Until the stream ends. Raises TimeoutError for a reader that takes nothing."""
        while True:
            try:
                async with asyncio.timeout(outlet.break_silence()):
                    await self._stream.next_chunk()
                    return
            except TimeoutError:
                if outlet.is_stalled():
                    raise

    async def _write(self, send: Send, chunk: bytes, *, more_body: bool = True) -> None:
        async with asyncio.timeout(STALL_LIMIT_S):
            await send({"type": "http.response.body", "body": chunk, "more_body": more_body})

    async def _watch_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stream.close()
