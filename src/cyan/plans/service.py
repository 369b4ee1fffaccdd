"""The one place that says whether an account may have more of something.

Asked inside the transaction that makes it more, with the count as that transaction sees it.
"""

from typing import Final

from sqlalchemy import Connection

from cyan.core.ids import UserId
from cyan.plans import store
from cyan.plans.model import BUILT_IN, DEVELOPER, DeviceLimitError, Plan

_BUILT_IN: Final = {plan.word: plan for plan in BUILT_IN}


def plan_of(connection: Connection, user_id: UserId) -> Plan:
    """The account's plan, with the limits that are in force."""
    word = connection.execute(store.PLAN_OF_ACCOUNT, {"user_id": user_id}).scalar() or DEVELOPER
    row = connection.execute(store.PLAN, {"word": word}).first()
    if row is None:
        return _BUILT_IN.get(word, _BUILT_IN[DEVELOPER])
    return Plan(word=row.word, title=row.title, max_developer_devices=row.max_developer_devices)


def require_developer_device(connection: Connection, user_id: UserId, owned: int) -> None:
    """Whether an account that owns `owned` developer devices may have one more.

    Raises DeviceLimitError.
    """
    plan = plan_of(connection, user_id)
    if plan.max_developer_devices is not None and owned >= plan.max_developer_devices:
        raise DeviceLimitError(plan)
