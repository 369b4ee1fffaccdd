"""The list of refused devices: what it tells, and that strangers cannot fill it."""

import pytest

from cyan.core.db.engine import Database
from cyan.devices import refusals
from cyan.devices.refusals import Refusal
from tests.devices.world import device_id

KEY = "ab" * 32


def note(
    db: Database,
    number: int,
    at_ms: int,
    *,
    reason: str = "unknown_device",
    fingerprint: str | None = KEY,
    address: str = "192.0.2.7",
    times: int = 1,
) -> None:
    db.write_blocking(
        lambda connection: refusals.note(
            connection,
            device_id(number),
            reason,
            fingerprint=fingerprint,
            transport=refusals.UDP,
            address=address,
            at_ms=at_ms,
            times=times,
        )
    )


def test_a_refusal_says_who_why_with_which_key_and_from_where(db: Database) -> None:
    note(db, 1, 5000)
    assert refusals.list_recent(db) == [
        Refusal(device_id(1), "unknown_device", KEY, "udp", "192.0.2.7", 5000, 5000, 1)
    ]


def test_the_same_again_counts_and_keeps_the_first_time_and_the_last_circumstances(
    db: Database,
) -> None:
    note(db, 1, 5000)
    note(db, 1, 15_000, fingerprint=None, address="2001:db8::1", times=7)
    assert refusals.list_recent(db) == [
        Refusal(device_id(1), "unknown_device", None, "udp", "2001:db8::1", 5000, 15_000, 8)
    ]


def test_each_device_and_reason_stands_for_itself(db: Database) -> None:
    note(db, 1, 5000)
    note(db, 1, 5001, reason="wrong_key")
    note(db, 2, 5002)
    assert [(found.count, found.last_at_ms) for found in refusals.list_recent(db)] == [
        (1, 5002),
        (1, 5001),
        (1, 5000),
    ]


def test_the_latest_comes_first_and_the_page_is_bounded(db: Database) -> None:
    for number in range(5):
        note(db, number, 1000 * number)
    found = refusals.list_recent(db, 2)
    assert [refusal.device_id for refusal in found] == [device_id(4), device_id(3)]


def test_made_up_ids_push_out_the_oldest_and_no_more(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_REFUSALS", 10)
    for number in range(25):
        note(db, number, number)
    found = refusals.list_recent(db, 1000)
    assert [refusal.last_at_ms for refusal in found] == list(range(24, 14, -1))


def test_what_a_stranger_claims_is_cut(db: Database) -> None:
    db.write_blocking(
        lambda connection: refusals.note(
            connection,
            "f" * 300,
            "r" * 300,
            fingerprint=None,
            transport=refusals.TCP,
            address="a" * 300,
            at_ms=1,
        )
    )
    (found,) = refusals.list_recent(db)
    assert (len(found.device_id), len(found.reason), len(found.address)) == (24, 32, 45)
