"""The table of refused devices, and the statements on it."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    select,
    tuple_,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from cyan.core.db.schema import metadata

devices_refusal = Table(
    "devices_refusal",
    metadata,
    # As claimed: nothing proves that it was this device.
    Column("device_id", String(24), primary_key=True),
    Column("reason", String(32), primary_key=True),
    Column("fingerprint", String(64)),
    Column("transport", String(8), nullable=False),
    Column("address", String(45), nullable=False),
    Column("first_at_ms", BigInteger, nullable=False),
    Column("last_at_ms", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Index(None, "last_at_ms"),
)

_refusal = devices_refusal.c
_note_refusal = upsert(devices_refusal).values(
    {
        name: bindparam(name)
        for name in ("device_id", "reason", "fingerprint", "transport", "address")
    }
    | {
        "first_at_ms": bindparam("at_ms"),
        "last_at_ms": bindparam("at_ms"),
        "count": bindparam("times"),
    }
)
NOTE: Final = _note_refusal.on_conflict_do_update(
    index_elements=["device_id", "reason"],
    set_={
        "fingerprint": _note_refusal.excluded.fingerprint,
        "transport": _note_refusal.excluded.transport,
        "address": _note_refusal.excluded.address,
        "last_at_ms": _note_refusal.excluded.last_at_ms,
        "count": _refusal["count"] + _note_refusal.excluded["count"],
    },
)
TRIM: Final = delete(devices_refusal).where(
    tuple_(_refusal.device_id, _refusal.reason).in_(
        select(_refusal.device_id, _refusal.reason)
        .order_by(_refusal.last_at_ms.desc())
        .offset(bindparam("kept"))
    )
)
NEWEST: Final = (
    select(devices_refusal).order_by(_refusal.last_at_ms.desc()).limit(bindparam("page"))
)
