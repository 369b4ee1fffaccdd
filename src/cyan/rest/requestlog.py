"""One line of the log for each request.

Where lines are plain text, this one is put together here: structlog's chain costs 15 µs a line,
more than reading a device from the database. Those of one turn of the loop are written together.
"""

import asyncio
import time
from functools import lru_cache
from urllib.parse import unquote

import structlog

from cyan.core import log, logfmt

_log = structlog.get_logger(__name__)

_lines: list[str] = []
"""Not written yet."""


def write(method: str, raw_path: bytes, status: int, seconds: float, request_id: str) -> None:
    """`request_id` is among the log's context variables too, for all other lines."""
    path = unquote(raw_path.decode("latin-1"))  # so that no secret hides in %xx
    ms = round(seconds * 1000, 1)
    plain = logfmt.plain_info()
    if plain is None:
        _log.info("http.request", method=method, path=path, status=status, ms=ms)
        return
    microseconds = time.time_ns() // 1000
    second = _second(microseconds // 1_000_000)
    _lines.append(
        f"timestamp={second}.{microseconds % 1_000_000:06d}Z level=info event=http.request"
        f" method={logfmt.text(log.redact(method))} path={logfmt.text(log.redact(path))}"
        f" status={status} ms={ms} request_id={request_id}"
    )
    if len(_lines) == 1:
        try:
            asyncio.get_running_loop().call_soon(_flush, plain)
        except RuntimeError:  # nobody to do it later
            _flush(plain)


def _flush(plain: structlog.PrintLogger) -> None:
    text = "\n".join(_lines)
    _lines.clear()
    plain.msg(text)


@lru_cache(2)
def _second(epoch_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))
