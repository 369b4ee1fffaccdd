"""What the operator does with plans: makes and changes them, and gives them to accounts.

Each function but the lists is a unit of work for the writer, so that the caller's audit entry
stands or falls with it. A change counts for the next device that an account takes; what it has it
keeps.
"""

import re
from typing import Final

from sqlalchemy import Connection

from cyan.core.db.engine import Database
from cyan.core.errors import InvalidError, NotFoundError
from cyan.core.ids import UserId
from cyan.plans import store
from cyan.plans.model import BUILT_IN, DEVELOPER, Plan

MAX_TITLE_CHARACTERS: Final = 64
"""As wide as its column."""

_WORD: Final = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_BUILT_IN: Final = {plan.word: plan for plan in BUILT_IN}


class InvalidPlanError(InvalidError):
    """A plan is named by one word of small letters, digits and dashes, at most 32, like workshop;
    its title has from 1 to 64 characters."""


class UnknownPlanError(NotFoundError):
    """There is no plan of this name."""


def list_plans(db: Database) -> list[Plan]:
    """All plans by their words, those that every server has included."""
    stored = {
        row.word: Plan(row.word, row.title, row.max_developer_devices)
        for row in db.rows(store.PLANS)
    }
    return [plan for _, plan in sorted({**_BUILT_IN, **stored}.items())]


def list_given(db: Database) -> dict[UserId, str]:
    """The word of the plan of each account to which one was given."""
    return {UserId(row.user_id): row.plan for row in db.rows(store.GIVEN)}


def set_plan(connection: Connection, plan: Plan) -> None:
    """Make a plan, or change the one of this word. Raises InvalidPlanError."""
    title = plan.title
    if not _WORD.match(plan.word) or not 1 <= len(title) <= MAX_TITLE_CHARACTERS:
        raise InvalidPlanError
    if not title.isprintable():
        raise InvalidPlanError
    connection.execute(
        store.SET_PLAN,
        {
            "word": plan.word,
            "title": title,
            "max_developer_devices": plan.max_developer_devices,
        },
    )


def give_plan(connection: Connection, user_id: UserId, word: str) -> None:
    """Put an account on a plan. Raises UnknownPlanError."""
    is_stored = connection.execute(store.PLAN, {"word": word}).first() is not None
    if not is_stored and word not in _BUILT_IN:
        raise UnknownPlanError(f"There is no plan {word}. `cyan plan list` shows those that are.")
    if word == DEVELOPER:
        connection.execute(store.TAKE, {"of_user_id": user_id})
    else:
        connection.execute(store.GIVE, {"user_id": user_id, "plan": word})
