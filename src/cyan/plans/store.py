"""Tables of plans that differ from the built-in ones, and of who has which plan."""

from typing import Final

from sqlalchemy import Column, Integer, String, Table, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from cyan.core.db.schema import metadata

plans_plan = Table(
    "plans_plan",
    metadata,
    Column("word", String(32), primary_key=True),
    Column("title", String(64), nullable=False),
    Column("max_developer_devices", Integer),
)

plans_account = Table(
    "plans_account",
    metadata,
    Column("user_id", String(24), primary_key=True),
    Column("plan", String(32), nullable=False),
)

PLAN: Final = select(plans_plan).where(plans_plan.c.word == bindparam("word"))
PLAN_OF_ACCOUNT: Final = select(plans_account.c.plan).where(
    plans_account.c.user_id == bindparam("user_id")
)

PLANS: Final = select(plans_plan)
GIVEN: Final = select(plans_account)

_set = insert(plans_plan)
SET_PLAN: Final = _set.on_conflict_do_update(
    index_elements=["word"],
    set_={
        "title": _set.excluded.title,
        "max_developer_devices": _set.excluded.max_developer_devices,
    },
)

_give = insert(plans_account)
GIVE: Final = _give.on_conflict_do_update(
    index_elements=["user_id"], set_={"plan": _give.excluded.plan}
)
TAKE: Final = delete(plans_account).where(plans_account.c.user_id == bindparam("of_user_id"))
