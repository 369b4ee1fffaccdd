"""Replacing what an instance holds, in the caller's transaction; what it held is kept."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection

from cyan.ledgers import store
from cyan.ledgers.model import MAX_VERSIONS, Instance

_KEPT: Final = MAX_VERSIONS


def find(connection: Connection, ledger_id: str, scope_value: str) -> Instance | None:
    """What it holds now."""
    row = connection.execute(store.INSTANCE, _key(ledger_id, scope_value)).first()
    return None if row is None else store.to_instance(row)


def put(
    connection: Connection,
    ledger_id: str,
    scope_value: str,
    data: Mapping[str, object],
    size_bytes: int,
    at_ms: int,
) -> Instance:
    """The new state. Its stamp is later than that of every state before, whatever the clock says:
    devices compare them."""
    before = find(connection, ledger_id, scope_value)
    newest, newest_ms = _newest(connection, ledger_id, scope_value, before)
    at_ms = max(at_ms, newest_ms + 1)
    if before is not None:
        _keep(connection, ledger_id, before, at_ms)
    after = Instance(
        scope_value=scope_value,
        version=newest + 1,
        data=msgspec.json.encode(data).decode(),
        size_bytes=size_bytes,
        created_at_ms=at_ms if before is None else before.created_at_ms,
        updated_at_ms=at_ms,
    )
    row = asdict(after)
    del row["replaced_at_ms"]
    connection.execute(store.PUT, {**row, "ledger_id": ledger_id})
    return after


def remove(connection: Connection, ledger_id: str, scope_value: str, at_ms: int) -> bool:
    """Whether there was something."""
    before = find(connection, ledger_id, scope_value)
    if before is None:
        return False
    _keep(connection, ledger_id, before, max(at_ms, before.updated_at_ms))
    connection.execute(store.REMOVE, _key(ledger_id, scope_value))
    return True


def _keep(connection: Connection, ledger_id: str, before: Instance, at_ms: int) -> None:
    row = {**asdict(before), "ledger_id": ledger_id, "replaced_at_ms": at_ms}
    connection.execute(store.KEEP_VERSION, row)
    connection.execute(
        store.TRIM_VERSIONS,
        {**_key(ledger_id, before.scope_value), "newest": before.version, "kept": _KEPT},
    )


def _newest(
    connection: Connection, ledger_id: str, scope_value: str, before: Instance | None
) -> tuple[int, int]:
    """Number and stamp of the last state, also when it was deleted; zeros when there was none."""
    if before is not None:
        return before.version, before.updated_at_ms
    row = connection.execute(store.NEWEST_VERSION, _key(ledger_id, scope_value)).one()
    return int(row.version), int(row.updated_at_ms)


def _key(ledger_id: str, scope_value: str) -> dict[str, str]:
    return {"of_id": ledger_id, "of_value": scope_value}
