"""Stamps in queries."""

from datetime import UTC, datetime
from typing import Final

from cyan.core.clock import to_ms

LAST_MS: Final = to_ms(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
"""Answers write years of four digits, but a zone can put a stamp of the year 9999 into the next."""


def parse_date(text: str) -> int:
    """A stamp or date of ISO 8601 in ms since 1970; UTC where it names no zone. Raises ValueError.

    A plus sign that came unescaped, so that it reads as a space, is taken for one.
    """
    try:
        stamp = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        ms = to_ms(stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC))
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error
    if ms > LAST_MS:
        raise ValueError(f"{text!r} is out of range")
    return ms
