"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

from cyan.core.clock import to_ms

START = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


class HandClock:
    """Both clocks of `cyan.core.clock.Clock`, moved together by `advance`."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def now_ms(self) -> int:
        return to_ms(self._now)

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
