"""What a check tells: how a thing stands, what was found, and what to do next."""

from enum import Enum
from typing import Final

import msgspec

MAX_SHOWN: Final = 5
"""Things of one kind that are named one by one; of the others their number is told."""

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


class Level(Enum):
    """`PROBLEM`: something does not work, or is about to break. `WARNING`: it works, and may not be
    what was meant, or not for long."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """`check` names the check for scripts (`folder.mode`) and does not change between versions.
    Whatever is not ok has a next step."""

    check: str
    level: Level
    found: str
    next_step: str | None = None


def ok(check: str, found: str) -> Finding:
    return Finding(check, Level.OK, found)


def warning(check: str, found: str, next_step: str) -> Finding:
    return Finding(check, Level.WARNING, found, next_step)


def problem(check: str, found: str, next_step: str) -> Finding:
    return Finding(check, Level.PROBLEM, found, next_step)


def shown_bytes(size_bytes: int) -> str:
    """`3.4 GiB`, for people."""
    shown, unit = float(size_bytes), 0
    while shown >= 1024 and unit < len(_UNITS) - 1:
        shown, unit = shown / 1024, unit + 1
    return f"{shown:.0f} {_UNITS[unit]}" if unit == 0 else f"{shown:.1f} {_UNITS[unit]}"


def counted(count: int, thing: str, things: str | None = None) -> str:
    """`1 device`, `2 devices`; `things` where the plural is not made by an s."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def shown_some(texts: list[str]) -> str:
    """The first few of many, and how many more there are."""
    more = len(texts) - MAX_SHOWN
    return ", ".join(texts[:MAX_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
