"""Structured logs: one line an event, with device id and request id, without secrets."""

import logging
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from ipaddress import IPv6Address
from typing import Any, Final

import msgspec
import structlog

from cyan.core import logfmt

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

EACH_WINDOW_S: Final = 60.0
MAX_LINES_EACH: Final = 10
"""Of one kind about one device, or one network while no device is known, in EACH_WINDOW_S. A board
that works comes and goes once in that time, or twice."""

MAX_SUBJECTS: Final = 4096
"""Devices and networks, by kind, that are remembered for it: less than a megabyte."""

_BY_PEOPLE: Final = frozenset({"device.called"})
"""A line for each call that a person made, however many to one device."""


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


class _Subject(msgspec.Struct, gc=False):
    """A device or a network, and the lines of one kind about it."""

    ends_s: float
    seen: int = 0
    left_out: int = 0


class Pace:
    """Leaves out lines about devices: beyond MAX_LINES_EACH of one kind about one device in
    EACH_WINDOW_S, and beyond MAX_LINES of one kind in WINDOW_S.

    Strangers and broken devices can provoke such lines at the rate of their messages, and would
    fill the disk. The next line that passes says how many were `left_out`.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._seen: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        self._ends_s = 0.0
        # By age, because a dictionary keeps the order of insertion.
        self._subjects: dict[tuple[str, str], _Subject] = {}

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """A processor of structlog's; raises DropEvent."""
        kind = str(event.get("event", ""))
        if not kind.startswith(PACED):
            return event
        now_s = self._now_s()
        left_out = 0
        name = _subject_of(event)
        if name and kind not in _BY_PEOPLE:
            left_out = self._pass_of(kind, name, now_s)
        if now_s >= self._ends_s:
            self._seen.clear()
            self._ends_s = now_s + WINDOW_S
        seen = self._seen[kind] = self._seen.get(kind, 0) + 1
        if seen > MAX_LINES:
            self._leave_out(kind, left_out + 1)
            raise structlog.DropEvent
        left_out += self._left_out.pop(kind, 0)
        if left_out:
            event["left_out"] = left_out
        return event

    def _pass_of(self, kind: str, name: str, now_s: float) -> int:
        """How many lines of this kind about `name` were left out before this one; DropEvent when
        this is left out as well."""
        left_out = 0
        subject = self._subjects.get((kind, name))
        if subject is None or now_s >= subject.ends_s:
            if subject is not None:
                left_out = subject.left_out
                del self._subjects[kind, name]
            elif len(self._subjects) >= MAX_SUBJECTS:
                oldest = next(iter(self._subjects))
                self._leave_out(oldest[0], self._subjects.pop(oldest).left_out)
            subject = self._subjects[kind, name] = _Subject(now_s + EACH_WINDOW_S)
        subject.seen += 1
        if subject.seen > MAX_LINES_EACH:
            subject.left_out += 1
            raise structlog.DropEvent
        return left_out

    def _leave_out(self, kind: str, count: int) -> None:
        if count:
            self._left_out[kind] = self._left_out.get(kind, 0) + count


def _subject_of(event: MutableMapping[str, Any]) -> str:
    """Whom a line is about: a device, else the network that it came from, else nobody ("")."""
    device_id = event.get("device_id") or event.get("claimed_device_id")
    if device_id:
        return str(device_id)
    address = str(event.get("address") or "")
    if ":" not in address:
        return address
    try:
        # One subscriber has 2^64 addresses (RFC 4291 §2.5.4).
        return IPv6Address(address).packed[:8].hex()
    except ValueError:
        return address


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
        # What goes into a file or a pipe has no need of columns, which cost five times as much.
        renderer = logfmt.Lines(sys.stderr if numeric <= logging.INFO else None)
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
