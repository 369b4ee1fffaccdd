"""The table of environment variables and the statements on it."""

from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Column, Row, String, Table, Text, bindparam, select
from sqlalchemy.dialects.sqlite import insert

from cyan.core.db.schema import metadata
from cyan.environment.model import Layer

OF_ACCOUNT: Final = ""
"""In place of a device id: the layer of the account itself."""

environment_layer = Table(
    "environment_layer",
    metadata,
    Column("owner_id", String(24), primary_key=True),
    # A device's layer is its owner's: who claims the device later does not see it.
    Column("device_id", String(24), primary_key=True),
    Column("latest", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("created_by", String(24), nullable=False),
    Column("updated_by", String(24), nullable=False),
    Column("snapshot", Text),
    Column("rollout_at_ms", BigInteger),
    Column("rollout_by", String(24)),
)

_c = environment_layer.c
_of_owner = _c.owner_id == bindparam("of_owner_id")

GET: Final = select(environment_layer).where(_of_owner, _c.device_id == bindparam("of_device_id"))
OF_DEVICES: Final = select(environment_layer).where(_of_owner, _c.device_id != OF_ACCOUNT)

_put = insert(environment_layer)
PUT: Final = _put.on_conflict_do_update(
    index_elements=["owner_id", "device_id"],
    set_={
        name: _put.excluded[name]
        for name in (
            "latest", "updated_at_ms", "updated_by", "snapshot", "rollout_at_ms", "rollout_by",
        )
    },
)  # fmt: skip


def to_layer(row: Row[Any] | None) -> Layer:
    """The layer of a row; an empty one for none."""
    if row is None:
        return Layer()
    return Layer(
        latest=msgspec.json.decode(row.latest, type=dict[str, str]),
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        created_by=row.created_by,
        updated_by=row.updated_by,
        snapshot=(
            None if row.snapshot is None else msgspec.json.decode(row.snapshot, type=dict[str, str])
        ),
        rollout_at_ms=row.rollout_at_ms,
        rollout_by=row.rollout_by,
    )


def to_row(owner_id: str, device_id: str, layer: Layer) -> dict[str, object]:
    """The values of PUT."""
    snapshot = layer.snapshot
    return {
        **msgspec.structs.asdict(layer),
        "owner_id": owner_id,
        "device_id": device_id,
        "latest": msgspec.json.encode(layer.latest).decode(),
        "snapshot": None if snapshot is None else msgspec.json.encode(snapshot).decode(),
    }
