"""What a plan says about developer devices (platform-semantics.md §2.1)."""

import pytest

from cyan.core.db.engine import Database
from cyan.core.ids import UserId
from cyan.plans import store
from cyan.plans.model import DEVELOPER, DeviceLimitError, Plan
from cyan.plans.service import plan_of, require_developer_device

ADA, CLEO = UserId("a" * 24), UserId("c" * 24)


def may_have_one_more(db: Database, user_id: UserId, owned: int) -> bool:
    try:
        db.write_blocking(lambda connection: require_developer_device(connection, user_id, owned))
    except DeviceLimitError:
        return False
    return True


def store_plan(db: Database, word: str, limit: int | None) -> None:
    row = {"word": word, "title": word.title(), "max_developer_devices": limit}
    db.write_blocking(lambda connection: connection.execute(store.plans_plan.insert(), row))


def give_plan(db: Database, user_id: UserId, word: str) -> None:
    row = {"user_id": user_id, "plan": word}
    db.write_blocking(lambda connection: connection.execute(store.plans_account.insert(), row))


def test_an_account_begins_on_the_developer_plan_with_100_devices(db: Database) -> None:
    plan = db.write_blocking(lambda connection: plan_of(connection, ADA))
    assert plan == Plan(word=DEVELOPER, title="Developer", max_developer_devices=100)
    assert may_have_one_more(db, ADA, 99)
    assert not may_have_one_more(db, ADA, 100)


def test_the_refusal_names_the_plan_the_limit_and_the_way_out(db: Database) -> None:
    with pytest.raises(DeviceLimitError, match="Developer plan allows 100 devices") as refusal:
        db.write_blocking(lambda connection: require_developer_device(connection, ADA, 100))
    assert "operator" in refusal.value.message


def test_a_stored_plan_wins_over_the_built_in_one(db: Database) -> None:
    store_plan(db, DEVELOPER, 3)
    assert may_have_one_more(db, ADA, 2)
    assert not may_have_one_more(db, ADA, 3)


def test_an_account_may_have_a_plan_without_limit(db: Database) -> None:
    store_plan(db, "workshop", None)
    give_plan(db, ADA, "workshop")
    assert may_have_one_more(db, ADA, 1_000_000)
    assert not may_have_one_more(db, CLEO, 100)


def test_an_account_whose_plan_is_gone_is_on_the_developer_plan(db: Database) -> None:
    give_plan(db, ADA, "forgotten")
    assert not may_have_one_more(db, ADA, 100)
