"""Stamps as text."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cyan.core.clock import iso, iso_ms

LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""


@given(st.integers(0, LAST_MS))
def test_milliseconds_read_as_their_date_does(epoch_ms: int) -> None:
    stamp = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
    assert iso_ms(epoch_ms) == iso(stamp)
