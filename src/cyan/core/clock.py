"""The two clocks: stamps are aware UTC, timers are monotonic seconds. Both are passed in."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from; tests move it by hand."""

    def now(self) -> datetime:
        """Wall time, aware UTC."""
        ...

    def now_ms(self) -> int:
        """Wall time as milliseconds since 1970, for rows and hot paths."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, for timers."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


def iso(stamp: datetime) -> str:
    """`2024-05-13T11:11:42.463Z`: three decimals and Z, the one form that every client reads."""
    return (
        stamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"
    )


def iso_ms(epoch_ms: int) -> str:
    """`iso` of a stamp in milliseconds since 1970."""
    return iso(from_ms(epoch_ms))


def from_ms(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


def to_ms(stamp: datetime) -> int:
    return round(stamp.timestamp() * 1000)
