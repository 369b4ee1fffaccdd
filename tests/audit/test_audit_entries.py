"""Recording what people did, and listing it again."""

import pytest
from sqlalchemy import Connection

from cyan.audit.store import MAX_PAGE, list_entries, record
from cyan.core.db.engine import Database


def add(db: Database, action: str, actor: str = "user:ada", subject: str = "device:1") -> None:
    db.write_blocking(lambda c: record(c, actor, action, subject, at_ms=1))


def test_an_entry_says_who_did_what_to_which_thing_and_when(db: Database) -> None:
    db.write_blocking(
        lambda c: record(
            c, "operator", "device.renamed", "device:1", {"before": "a", "after": "b"}, at_ms=17
        )
    )
    (entry,) = list_entries(db)
    assert (entry.actor, entry.action, entry.subject) == ("operator", "device.renamed", "device:1")
    assert entry.at_ms == 17
    assert entry.detail == {"before": "a", "after": "b"}


def test_an_action_that_fails_leaves_no_entry(db: Database) -> None:
    def claim_and_fail(connection: Connection) -> None:
        record(connection, "user:ada", "device.claimed", "device:1", at_ms=1)
        raise RuntimeError("the claim went wrong")

    with pytest.raises(RuntimeError):
        db.write_blocking(claim_and_fail)
    assert list_entries(db) == []


def test_the_newest_come_first_and_pages_go_back(db: Database) -> None:
    for number in range(5):
        add(db, f"device.action{number}")
    first = list_entries(db, limit=3)
    assert [entry.action[-1] for entry in first] == ["4", "3", "2"]
    rest = list_entries(db, limit=3, before_id=first[-1].id)
    assert [entry.action[-1] for entry in rest] == ["1", "0"]


def test_entries_are_found_by_actor_or_by_subject(db: Database) -> None:
    add(db, "device.claimed", actor="user:ada", subject="device:1")
    add(db, "device.claimed", actor="user:cleo", subject="device:2")
    assert [entry.subject for entry in list_entries(db, actor="user:cleo")] == ["device:2"]
    assert [entry.actor for entry in list_entries(db, subject="device:1")] == ["user:ada"]
    with pytest.raises(ValueError):
        list_entries(db, actor="user:ada", subject="device:1")


def test_a_page_has_a_bound(db: Database) -> None:
    def many(connection: Connection) -> None:
        for _ in range(MAX_PAGE + 1):
            record(connection, "server", "device.pinned", "device:1", at_ms=1)

    db.write_blocking(many)
    assert len(list_entries(db, limit=10_000)) == MAX_PAGE
    assert len(list_entries(db, limit=0)) == 1


def test_a_detail_that_is_too_long_is_marked_as_cut(db: Database) -> None:
    db.write_blocking(
        lambda c: record(c, "server", "firmware.built", "x", {"text": "y" * 5000}, at_ms=1)
    )
    assert list_entries(db)[0].detail == {"cut": True}
