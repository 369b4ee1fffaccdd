"""Server-sent events: the frames, and the response that carries a stream (rest-api-core.md §10.3).

A stream decides what to send; this part opens, keeps alive, notices who left, and ends.
"""

import asyncio
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

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


class EventStream(Protocol):
    """Where the chunks of one reader come from."""

    async def next_chunk(self) -> bytes | None:
        """Whole frames for one write, as soon as there are any; None at the end.

        Must lose nothing when it is cancelled while it waits: that is how silence is measured.
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
        watcher = asyncio.ensure_future(self._watch_disconnect(receive))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._write(send, OPENING)
            while True:
                try:
                    async with asyncio.timeout(KEEPALIVE_AFTER_S):
                        chunk = await self._stream.next_chunk()
                except TimeoutError:
                    chunk = KEEPALIVE
                if chunk is None:
                    break
                await self._write(send, chunk)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            pass  # the reader left in the middle of a write, or stalled (TimeoutError is one too)
        finally:
            self._stream.close()
            watcher.cancel()

    async def _write(self, send: Send, chunk: bytes) -> None:
        async with asyncio.timeout(STALL_LIMIT_S):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _watch_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stream.close()
