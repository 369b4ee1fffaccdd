"""One line of the log for each request.

Where lines are plain text, this one is put together here: structlog's chain costs 15 µs a line,
more than reading a device from the database. Those of one turn of the loop are made and written
together.
"""

import asyncio
import re
import time
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import structlog

from cyan.core import log, logfmt

_log = structlog.get_logger(__name__)

_PLAIN: Final = re.compile(rb"[\w/-]{1,%d}" % (log.TOKEN_CHARACTERS - 1))
"""Paths, such as that of a device, in which there is nothing to hide, cut or quote."""

_Request = tuple[int, str, bytes, int, float, str]
"""When it ended (nanoseconds since 1970), method, path, status, seconds, its id."""

_ended: list[_Request] = []
"""Not written yet."""


def write(method: str, raw_path: bytes, status: int, seconds: float, request_id: str) -> None:
    """`request_id` is among the log's context variables too, for all other lines."""
    request = (time.time_ns(), method, raw_path, status, seconds, request_id)
    if _ended:  # plain lines wait already
        _ended.append(request)
        return
    plain = logfmt.plain_info()
    if plain is None:
        ms = round(seconds * 1000, 1)
        _log.info("http.request", method=method, path=_path(raw_path), status=status, ms=ms)
        return
    _ended.append(request)
    try:
        asyncio.get_running_loop().call_soon(_flush, plain)
    except RuntimeError:  # nobody to do it later
        _flush(plain)


def _flush(plain: structlog.PrintLogger) -> None:
    text = "\n".join([_line(*request) for request in _ended])
    _ended.clear()
    plain.msg(text)


def _line(
    at_ns: int, method: str, raw_path: bytes, status: int, seconds: float, request_id: str
) -> str:
    if _PLAIN.fullmatch(raw_path):
        path = raw_path.decode()
    else:
        path = logfmt.text(log.redact(_path(raw_path)))
    at_s, ns = divmod(at_ns, 1_000_000_000)
    return (
        f"timestamp={_second(at_s)}.{ns // 1000:06d}Z level=info event=http.request"
        f" method={_method(method)} path={path}"
        f" status={status} ms={seconds * 1000:.1f} request_id={request_id}"
    )


def _path(raw_path: bytes) -> str:
    return unquote(raw_path.decode("latin-1"))  # so that no secret hides in %xx


@lru_cache(64)
def _method(name: str) -> str:
    return logfmt.text(log.redact(name))


@lru_cache(2)
def _second(epoch_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))
