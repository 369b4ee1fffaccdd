"""Live parts of pages: pieces of HTML by server-sent events.

A page opens one stream: `<div hx-ext="sse" sse-connect="/console/…/live">`; what is sent under a
name replaces the element with `sse-swap="<name>"`. The stream ends with the session that opened it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from cyan.console.visit import Visit
from cyan.rest.sse import EventStream, Outlet, SseResponse

MAX_WAITING_BYTES: Final = 1024 * 1024
"""What a browser may lag behind; then it is cut off, comes again and gets the present state."""

STREAM_LIMIT: Final = ("GET", "/v1/events")
"""A page with a live stream counts as a stream of the API: `Page(…, counts_as=STREAM_LIMIT)`."""


class LiveStream:
    """Pieces that somebody else puts in, for one page. Implements `EventStream`."""

    def __init__(self, on_close: Callable[[], None] = lambda: None) -> None:
        """`on_close` is called once, when the browser is gone or the stream has ended."""
        self._on_close = on_close
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._has_more = asyncio.Event()
        self._is_closed = False
        self.was_cut_off = False

    def put(self, name: str, text: str) -> None:
        """Send a piece under a name; text may have several lines."""
        if self._is_closed:
            return
        piece = frame_of(name, text)
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self.was_cut_off = True
            self.close()
        self._has_more.set()

    async def next_chunk(self) -> bytes | None:
        await self._has_more.wait()
        if self._is_closed:
            return None
        chunk = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._has_more.clear()
        return chunk

    def attach(self, outlet: Outlet) -> bool:
        """Pages are few: they are sent as ASGI says, and nothing is written past it."""
        return False

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._has_more.set()
            self._on_close()


class OfSession:
    """A stream that ends when its session does, however that ended. Implements `EventStream`."""

    def __init__(self, inner: EventStream, is_living: Callable[[], bool]) -> None:
        self._inner = inner
        self._is_living = is_living

    @property
    def was_cut_off(self) -> bool:
        return self._inner.was_cut_off

    async def next_chunk(self) -> bytes | None:
        # Asked before each piece leaves, and each time that silence is broken (`rest/sse.py`).
        if not self._is_living():
            return None
        chunk = await self._inner.next_chunk()
        return chunk if self._is_living() else None

    def attach(self, outlet: Outlet) -> bool:
        return self._inner.attach(outlet)

    def close(self) -> None:
        self._inner.close()


def stream(visit: Visit, inner: EventStream, is_living: Callable[[str], bool]) -> Response:
    """The answer that carries a stream. `is_living` is that of `Sessions`."""
    assert visit.session is not None
    session_id = visit.session.id
    return SseResponse(OfSession(inner, lambda: is_living(session_id)))


def frame_of(name: str, text: str) -> bytes:
    """One event, a `data:` line for each line of the text."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()
