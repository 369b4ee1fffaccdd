"""One line of the log for each request.

Where lines are plain text, this one is put together here: structlog's chain costs 15 µs a line,
more than reading a device from the database. Those of one turn of the loop are written together.
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

_lines: list[str] = []
"""Not written yet."""


def write(method: str, raw_path: bytes, status: int, seconds: float, request_id: str) -> None:
    """`request_id` is among the log's context variables too, for all other lines."""
    # Where lines of this turn wait already, they are plain ones.
    plain = None if _lines else logfmt.plain_info()
    if plain is None and not _lines:
        ms = round(seconds * 1000, 1)
        _log.info("http.request", method=method, path=_path(raw_path), status=status, ms=ms)
        return
    microseconds = time.time_ns() // 1000
    second = _second(microseconds // 1_000_000)
    if _PLAIN.fullmatch(raw_path):
        path = raw_path.decode()
    else:
        path = logfmt.text(log.redact(_path(raw_path)))
    _lines.append(
        f"timestamp={second}.{microseconds % 1_000_000:06d}Z level=info event=http.request"
        f" method={_method(method)} path={path}"
        f" status={status} ms={seconds * 1000:.1f} request_id={request_id}"
    )
    if plain is not None:
        try:
            asyncio.get_running_loop().call_soon(_flush, plain)
        except RuntimeError:  # nobody to do it later
            _flush(plain)


def _path(raw_path: bytes) -> str:
    return unquote(raw_path.decode("latin-1"))  # so that no secret hides in %xx


@lru_cache(64)
def _method(name: str) -> str:
    return logfmt.text(log.redact(name))


def _flush(plain: structlog.PrintLogger) -> None:
    text = "\n".join(_lines)
    _lines.clear()
    plain.msg(text)


@lru_cache(2)
def _second(epoch_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))
