"""The short way: a request without a body, answered in the turn of the loop that brings it.

It has no task, no messages of ASGI and one write instead of two: half of what a small answer costs
otherwise. A client that keeps its connection says the same headers with each request; those are
read once, as long as they come again byte by byte.
"""

import string
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

import httptools
from starlette.responses import Response
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from cyan.rest.heads import BODY_HEADERS

AnswerNow = Callable[[Scope], Response | None]
"""The answer to a request that has no body and need not wait, else None."""

_PLAIN: Final = string.ascii_letters.encode() + string.digits.encode() + b"/-_."
"""URLs of nothing else are paths: there is nothing to take apart."""

_GET: Final = b"GET "
_VERSION: Final = b" HTTP/1.1\r\n"
"""Between the URL and the headers."""

_LONG_WAY: Final = BODY_HEADERS | {b"expect"}
"""Who sends one of them has something to wait for."""

_header: Final = b": ".join
"""Name and value as a line."""


def no_answer_now(_scope: Scope) -> None:
    """For an application whose requests all take the long way."""


class ShortWay:
    """That of one connection."""

    __slots__ = ("_answer_now", "_scope", "_state", "headers")

    def __init__(self, answer_now: AnswerNow, state: ServerState) -> None:
        self._answer_now = answer_now
        self._state = state
        self.headers: bytes | None = None
        """What came after the first line of the last request; None: that one had another way, or
        the next is not known to begin with the first byte of the next piece."""
        self._scope: Scope = {}
        """Of the last request."""

    def answer(self, scope: Scope, url: bytes) -> bytes | None:
        """The answer to a `GET` of HTTP/1.1 after which the connection stays, as bytes; None if it
        takes the long way, and then nothing has happened."""
        if not _LONG_WAY.isdisjoint(dict(scope["headers"])):
            return None
        scope["method"] = "GET"
        if url.translate(None, _PLAIN):
            parsed = httptools.parse_url(url)
            if not parsed.path:  # `GET http://host` has none
                return None
            scope["raw_path"] = parsed.path
            scope["path"] = unquote(parsed.path.decode("ascii"))
            scope["query_string"] = parsed.query or b""
        else:
            scope["raw_path"] = url
            scope["path"] = url.decode("ascii")
            scope["query_string"] = b""
        self._scope = scope
        return self._bytes(scope)

    def remember(self, data: bytes) -> None:
        """`data` was the request that was answered just now: all of it, and nothing else."""
        line, _, headers = data.partition(_VERSION)
        # More than the first line, when that is in other words: the parser takes `GET / RTSP/1.1`.
        self.headers = None if b"\n" in line else headers

    def answer_alike(self, data: bytes) -> bytes | None:
        """As `answer`, to a request that differs from the remembered one by its path alone. The
        parser would say of the same bytes what it has said of them before."""
        line, _, headers = data.partition(_VERSION)
        url = line[len(_GET) :]
        if headers != self.headers or not line.startswith(b"GET /") or url.translate(None, _PLAIN):
            return None
        scope = {**self._scope}
        scope["raw_path"] = url
        scope["path"] = url.decode("ascii")
        scope["query_string"] = b""
        return self._bytes(scope)

    def _bytes(self, scope: Scope) -> bytes | None:
        response = self._answer_now(scope)
        if response is None:
            return None
        lines = (
            STATUS_LINE[response.status_code][:-2],
            *map(_header, self._state.default_headers),
            *map(_header, response.raw_headers),
            b"",
            response.body,
        )
        return b"\r\n".join(lines)
