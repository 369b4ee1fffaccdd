"""One HTTP connection: uvicorn's, with bounds on what a stranger can make us keep or wait for.

The parser below it takes header lines and chunk extensions of any length, and a connection that
says nothing is kept forever; anybody can open one, without a token.
"""

import asyncio
from http import HTTPStatus
from typing import Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cyan.rest.errors import described
from cyan.rest.sse import TRANSPORT

MAX_HEAD_BYTES: Final = 64 * 1024
"""Bytes that may come without completing a head or a piece of a body. Node takes 16 KiB, nginx
32 KiB; the longest URL that the parser takes has 64 KiB."""

HEAD_TIMEOUT_S: Final = 30.0
"""How long a connection may take to say what it wants (nginx: client_header_timeout, 60 s)."""


class BoundedConnection(HttpToolsProtocol):
    """Ends a connection whose request does not come to a point: too long (431) or too slow."""

    _waiting: asyncio.TimerHandle | None = None
    _pending_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
            self._wait_for_head()
        self._pending_bytes += len(data)
        super().data_received(data)
        if self._pending_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"The head of a request has at most {MAX_HEAD_BYTES} bytes.")

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed gets JSON like everything else."""
        self._refuse(400, msg)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._pending_bytes = 0
        super().on_headers_complete()
        if self.scope["http_version"] == "1.1":  # before it, bodies have no pieces
            self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        super().on_message_complete()

    def _wait_for_head(self) -> None:
        self._waiting = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _refuse(self, status: int, reason: str) -> None:
        """Unless an answer is on its way already, which this one would break into."""
        if self.cycle is None or self.cycle.response_complete:
            phrase = HTTPStatus(status).phrase
            content = msgspec.json.encode(described(status, "bad_request", reason).body)
            self.transport.write(
                b"HTTP/1.1 %d %b\r\ncontent-type: application/json; charset=utf-8\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%b"
                % (status, phrase.encode(), len(content), content)
            )
        self.transport.close()
