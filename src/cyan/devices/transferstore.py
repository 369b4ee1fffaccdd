"""The table of transfer requests, and the statements on it."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from cyan.core.db.schema import metadata

devices_transfer = Table(
    "devices_transfer",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("device_id", String(24), nullable=False),
    # Who had the device when it was asked for. With another owner the request means nothing.
    Column("owner_id", String(24), nullable=False),
    Column("requester_id", String(24), nullable=False),
    # SHA-256 in hex of what the link in the owner's mail knows.
    Column("secret_hash", String(64), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("decided_at_ms", BigInteger),
    Index(None, "created_at_ms"),
    Index(None, "owner_id"),
    Index(None, "requester_id"),
)

_c = devices_transfer.c

ADD: Final = insert(devices_transfer)
ONE: Final = select(devices_transfer).where(_c.id == bindparam("id"))
OPEN_OF_REQUESTER: Final = select(devices_transfer).where(
    _c.requester_id == bindparam("requester_id"),
    _c.state == bindparam("open"),
    _c.created_at_ms > bindparam("after_ms"),
)
COUNT_OF_OWNER: Final = (
    select(func.count())
    .select_from(devices_transfer)
    .where(
        _c.owner_id == bindparam("owner_id"),
        _c.state == bindparam("open"),
        _c.created_at_ms > bindparam("after_ms"),
    )
)
OF_PERSON: Final = (
    select(devices_transfer)
    .where(
        or_(
            _c.owner_id == bindparam("user_id"),
            _c.requester_id == bindparam("user_id"),
        )
    )
    .order_by(_c.created_at_ms.desc(), _c.id)
    .limit(bindparam("page"))
)
DECIDE: Final = (
    update(devices_transfer)
    .where(_c.id == bindparam("of_id"), _c.state == bindparam("open"))
    .values(state=bindparam("new_state"), decided_at_ms=bindparam("at_ms"))
)
FORGET: Final = delete(devices_transfer).where(_c.created_at_ms < bindparam("before_ms"))
