"""What the head of a request has to say before anything is done for it (RFC 9112)."""

import string
from collections.abc import Iterable, Sequence
from typing import Final

import httptools
import structlog

_log = structlog.get_logger(__name__)

Headers = Sequence[tuple[bytes, bytes]]
"""Names in small letters, and values."""

_HOST: Final = (string.ascii_letters + string.digits + "-._~%!$&'()*+,;=:[]").encode()
"""What a name or address and a port are made of (RFC 3986 §3.2.2, §3.2.3)."""

BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
"""With one of them there is more of a request than its head (RFC 9112 §6)."""


class RefusedRequestError(Exception):
    """A request that cannot be served, and after which nothing of its connection can be read."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def fault_of(error: httptools.HttpParserError) -> RefusedRequestError:
    """What is wrong with what cannot be parsed."""
    if not isinstance(error, httptools.HttpParserCallbackError):
        return RefusedRequestError(400, f"This is not HTTP/1.1: {error}.")
    cause = error.__context__
    if isinstance(cause, RefusedRequestError):
        return cause
    _log.error("http.failed", exc_info=cause)
    return RefusedRequestError(500, "The server failed to read the request.")


def check_head(method: bytes, url: bytes, version: str, headers: Headers) -> None:
    """Raises RefusedRequestError for what the parser takes, though nobody can know what is meant:
    whom it is for (§3.2), what is wanted of them, or where its body ends (§6.1). The parser itself
    refuses two lengths, and a length beside a coding."""
    if method == b"CONNECT":
        raise RefusedRequestError(501, "This server is no proxy: it does not take CONNECT.")
    last = dict(headers)
    host = last.get(b"host")
    hosts = 0 if host is None else 1
    if len(last) < len(headers):  # some name comes again
        hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (not hosts and version == "1.1"):
        raise RefusedRequestError(
            400, f"A request has one Host header, this one has {hosts}; send `Host: name`."
        )
    if host and host.translate(None, _HOST):
        raise RefusedRequestError(400, "Host has no name or address; send `Host: name:port`.")
    if b"transfer-encoding" in last:
        codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
        if codings != [b"chunked"]:
            raise RefusedRequestError(
                400, "The body has an unknown Transfer-Encoding; send `Transfer-Encoding: chunked`."
            )
    if not url.startswith(b"/") and not _has_path(url):
        raise RefusedRequestError(400, "The target of the request is no path; ask for `/`.")


def announces_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a body comes after the head."""
    return not BODY_HEADERS.isdisjoint(dict(headers))


def _has_path(url: bytes) -> bool:
    try:
        return bool(httptools.parse_url(url).path)
    except httptools.HttpParserInvalidURLError:
        return False


def without_upgrade(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """The same head, of one that does not ask for another protocol."""
    lines = [b": ".join(header) for header in headers if header[0] != b"upgrade"]
    return b"\r\n".join((b"%b %b HTTP/%b" % (method, url, version.encode()), *lines, b"", b""))
