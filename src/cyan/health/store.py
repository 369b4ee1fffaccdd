"""The table of vitals and the statements on it."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    String,
    Table,
    Text,
    bindparam,
    delete,
    select,
    tuple_,
)
from sqlalchemy.dialects.sqlite import insert

from cyan.core.db.schema import metadata

health_vitals = Table(
    "health_vitals",
    metadata,
    Column("device_id", String(24), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    # The JSON of the event, without the record around it.
    Column("payload", Text, nullable=False),
    Index(None, "at_ms"),
)

_c = health_vitals.c
_of_device = _c.device_id == bindparam("of_device_id")

_put = insert(health_vitals).values(
    device_id=bindparam("device_id"), at_ms=bindparam("at_ms"), payload=bindparam("payload")
)
PUT: Final = _put.on_conflict_do_update(
    index_elements=["device_id", "at_ms"], set_={"payload": _put.excluded.payload}
)
"""The later one wins when two come in one millisecond."""
TRIM: Final = delete(health_vitals).where(
    _of_device,
    _c.at_ms
    <= select(_c.at_ms)
    .where(_of_device)
    .order_by(_c.at_ms.desc())
    .offset(bindparam("kept"))
    .limit(1)
    .scalar_subquery(),
)
LAST: Final = (
    select(_c.at_ms, _c.payload)
    .where(_of_device, _c.at_ms >= bindparam("from_ms"))
    .order_by(_c.at_ms.desc())
    .limit(1)
)
BETWEEN: Final = (
    select(_c.at_ms, _c.payload)
    .where(_of_device, _c.at_ms >= bindparam("from_ms"), _c.at_ms <= bindparam("to_ms"))
    .order_by(_c.at_ms)
)
FORGET: Final = delete(health_vitals).where(
    tuple_(_c.device_id, _c.at_ms).in_(
        select(_c.device_id, _c.at_ms)
        .where(_c.at_ms < bindparam("before_ms"))
        .order_by(_c.at_ms)
        .limit(bindparam("at_most"))
    )
)
