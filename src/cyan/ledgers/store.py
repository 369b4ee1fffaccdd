"""The tables of ledgers and the statements on them."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from cyan.core.db.schema import metadata
from cyan.core.ids import UserId
from cyan.devices.store import devices_device
from cyan.ledgers.model import Definition, Direction, Instance, Scope

ledgers_definition = Table(
    "ledgers_definition",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("owner_id", String(24), nullable=False),
    Column("name", String(32), nullable=False),
    Column("description", Text, nullable=False),
    Column("scope", String(8), nullable=False),
    Column("direction", String(16)),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("archived_at_ms", BigInteger),
    Index(None, "owner_id", "name"),
)

ledgers_instance = Table(
    "ledgers_instance",
    metadata,
    Column("ledger_id", String(24), primary_key=True),
    Column("scope_value", String(24), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("data", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

ledgers_version = Table(
    "ledgers_version",
    metadata,
    Column("ledger_id", String(24), primary_key=True),
    Column("scope_value", String(24), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("data", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("replaced_at_ms", BigInteger, nullable=False),
)

ledgers_listener = Table(
    "ledgers_listener",
    metadata,
    # A device that has asked for ledgers, in which session it did, and which it wants to follow.
    Column("device_id", String(24), primary_key=True),
    Column("connection_id", String(64), nullable=False),
    Column("names", Text, nullable=False),
)

_d = ledgers_definition.c
_i = ledgers_instance.c
_v = ledgers_version.c

_of_owner = _d.owner_id == bindparam("of_owner_id")
_live = _d.archived_at_ms.is_(null())

GET: Final = select(ledgers_definition).where(_of_owner, _d.name == bindparam("of_name"), _live)
LIST: Final = select(ledgers_definition).where(_of_owner, _live).order_by(_d.name)
LIST_ARCHIVED: Final = (
    select(ledgers_definition).where(_of_owner, ~_live).order_by(_d.name, _d.archived_at_ms)
)
COUNT: Final = select(func.count()).where(_of_owner, _live)
ADD: Final = insert(ledgers_definition)
UPDATE: Final = (
    update(ledgers_definition)
    .where(_d.id == bindparam("of_id"), _live)
    .values(
        description=bindparam("to_description"),
        direction=bindparam("to_direction"),
        updated_at_ms=bindparam("at_ms"),
    )
)
ARCHIVE: Final = (
    update(ledgers_definition)
    .where(_d.id == bindparam("of_id"), _live)
    .values(archived_at_ms=bindparam("at_ms"))
)
TOTALS: Final = select(
    func.count().label("instance_count"),
    func.coalesce(func.sum(_i.size_bytes), 0).label("total_bytes"),
).where(_i.ledger_id == bindparam("of_id"))

_this = (_i.ledger_id == bindparam("of_id"), _i.scope_value == bindparam("of_value"))
_these = (_v.ledger_id == bindparam("of_id"), _v.scope_value == bindparam("of_value"))
_INSTANCE: Final = (
    _i.scope_value, _i.version, _i.data, _i.size_bytes, _i.created_at_ms, _i.updated_at_ms,
    null().label("replaced_at_ms"),
)  # fmt: skip
_VERSION: Final = (
    _v.scope_value, _v.version, _v.data, _v.size_bytes, _v.created_at_ms, _v.updated_at_ms,
    _v.replaced_at_ms,
)  # fmt: skip

INSTANCE: Final = select(*_INSTANCE).where(*_this)
INSTANCES: Final = (
    select(*_INSTANCE)
    .where(_i.ledger_id == bindparam("of_id"))
    .order_by(_i.scope_value)
    .limit(bindparam("at_most"))
    .offset(bindparam("first"))
)
PUT: Final = upsert(ledgers_instance).on_conflict_do_update(
    index_elements=["ledger_id", "scope_value"],
    set_={
        name: upsert(ledgers_instance).excluded[name]
        for name in ("version", "data", "size_bytes", "updated_at_ms")
    },
)
REMOVE: Final = delete(ledgers_instance).where(*_this)
KEEP_VERSION: Final = insert(ledgers_version)
NEWEST_VERSION: Final = select(
    func.coalesce(func.max(_v.version), 0).label("version"),
    func.coalesce(func.max(_v.updated_at_ms), 0).label("updated_at_ms"),
).where(*_these)
VERSIONS: Final = (
    select(*_VERSION)
    .where(
        *_these,
        _v.replaced_at_ms > bindparam("after_ms"),
        _v.replaced_at_ms < bindparam("before_ms"),
    )
    .order_by(_v.version.desc())
)
VERSION: Final = select(*_VERSION).where(*_these, _v.version == bindparam("of_version"))
TRIM_VERSIONS: Final = delete(ledgers_version).where(
    *_these, _v.version <= bindparam("newest") - bindparam("kept")
)

OF_DEVICE: Final = (
    select(ledgers_definition)
    .join(devices_device, devices_device.c.owner_id == _d.owner_id)
    .where(
        devices_device.c.id == bindparam("of_device_id"),
        _d.name == bindparam("of_name"),
        _d.direction.is_not(null()),
        _live,
    )
)
"""The ledger that a device means by a name: one of its owner's that leaves the cloud."""

LAST_WRITTEN: Final = (
    select(_d.owner_id, _d.name, _d.scope, _i.scope_value, _i.updated_at_ms)
    .join_from(ledgers_instance, ledgers_definition, _i.ledger_id == _d.id)
    .where(
        _d.direction == bindparam("of_direction"),
        _live,
        _i.updated_at_ms
        >= select(func.max(ledgers_instance.alias().c.updated_at_ms)).scalar_subquery()
        - bindparam("within_ms"),
    )
    .limit(bindparam("at_most"))
)

_l = ledgers_listener.c
_LISTENERS: Final = select(ledgers_listener).join(
    devices_device, devices_device.c.id == _l.device_id
)
LISTENER: Final = select(ledgers_listener).where(_l.device_id == bindparam("of_device_id"))
LISTENERS_OF: Final = _LISTENERS.where(devices_device.c.owner_id == bindparam("of_owner_id"))
LISTEN: Final = upsert(ledgers_listener).on_conflict_do_update(
    index_elements=["device_id"],
    set_={name: upsert(ledgers_listener).excluded[name] for name in ("connection_id", "names")},
)


def to_definition(row: Row[Any]) -> Definition:
    """A row of the definitions."""
    return Definition(
        id=row.id,
        owner_id=UserId(row.owner_id),
        name=row.name,
        description=row.description,
        scope=Scope(row.scope),
        direction=None if row.direction is None else Direction(row.direction),
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        archived_at_ms=row.archived_at_ms,
    )


def to_instance(row: Row[Any]) -> Instance:
    """A row of instances or versions."""
    return Instance(**row._mapping)
