"""Structured logs: one line an event, with device id and request id, without secrets."""

import logging
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

_SECRET_KEYS = frozenset(
    {"password", "token", "access_token", "refresh_token", "authorization", "client_secret", "otp"}
)
_IN_QUERY = re.compile(r"((?:access_token|token|password|client_secret)=)[^&\s\"']+", re.IGNORECASE)
TOKEN_CHARACTERS = 40
_IN_PATH = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])", re.IGNORECASE)
"""Our bearer secrets are 40 hex digits, wherever they turn up (a path to delete a token, say), and
however they are spelt. A fingerprint has 64 and stays."""

MAX_VALUE_CHARACTERS = 500
"""A peer's text is cut to this before it is logged."""

WINDOW_S = 10.0
MAX_LINES = 500
"""Of one kind in WINDOW_S: enough to see a fleet of some size come back line by line."""

PACED = ("device.", "session.", "handshake.", "describe.", "tcp.")
"""What devices provoke. These names are ours: there are a few dozen."""


def without_secrets(text: str) -> str:
    """`text` without bearer secrets, else as it is."""
    if "=" in text:
        text = _IN_QUERY.sub(r"\1[redacted]", text)
    return _IN_PATH.sub("[redacted]", text) if len(text) >= TOKEN_CHARACTERS else text


def redact(text: str) -> str:
    """`text` without bearer secrets and control characters, cut to a bounded length."""
    text = without_secrets(text)
    if len(text) > MAX_VALUE_CHARACTERS:
        text = text[: MAX_VALUE_CHARACTERS - 1] + "…"
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _clean(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key in _SECRET_KEYS:
            event[key] = "[redacted]"
        elif key == "exception" and isinstance(value, str):
            # A traceback keeps its lines and its length, which are ours.
            event[key] = without_secrets(value)
        elif isinstance(value, str) and key != "timestamp":
            event[key] = redact(value)
    return event


class Pace:
    """Leaves out lines about devices beyond MAX_LINES of one kind in WINDOW_S.

    Strangers and broken devices can provoke such lines at the rate of their messages, and would
    fill the disk. The next line that passes says how many were `left_out`.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._seen: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        self._ends_s = 0.0

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """A processor of structlog's; raises DropEvent."""
        kind = str(event.get("event", ""))
        if not kind.startswith(PACED):
            return event
        now_s = self._now_s()
        if now_s >= self._ends_s:
            self._seen.clear()
            self._ends_s = now_s + WINDOW_S
        seen = self._seen[kind] = self._seen.get(kind, 0) + 1
        if seen > MAX_LINES:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            raise structlog.DropEvent
        left_out = self._left_out.pop(kind, 0)
        if left_out:
            event["left_out"] = left_out
        return event


def configure(log_format: str, level: str) -> None:
    """Send structlog's and the standard library's lines to standard error in one form."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        Pace(),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _clean,
    ]
    renderer: Any
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    elif sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer(pad_event_to=28)
    else:
        # What goes into a file or a pipe has no need of columns, which cost three times as much.
        order = ["timestamp", "level", "event"]
        renderer = structlog.processors.LogfmtRenderer(key_order=order, bool_as_flag=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(numeric, logging.WARNING))
