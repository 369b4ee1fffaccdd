"""Stamps in queries: what is read, and what is out of range."""

import pytest

from cyan.core.clock import iso_ms
from cyan.rest.dates import parse_date


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31T12:00:00 02:00", "2026-01-31T10:00:00.000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_date_is_read_as_utc_or_its_own_zone(text: str, read: str) -> None:
    assert iso_ms(parse_date(text)) == read


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "",
        "2026-02-30",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_what_is_no_date_is_refused_and_what_no_answer_can_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date(text)
