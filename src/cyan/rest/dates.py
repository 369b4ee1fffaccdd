"""Stamps in queries."""

from datetime import UTC, datetime

from cyan.core.clock import to_ms


def parse_date(text: str) -> int:
    """A stamp or date of ISO 8601 in ms since 1970; UTC where it names no zone. Raises ValueError.

    A plus sign that came unescaped, so that it reads as a space, is taken for one.
    """
    try:
        stamp = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return to_ms(stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC))
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error
