"""Ledgers as a device knows them: which one it means, what that holds, and who wants to hear."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from cyan.core.db.engine import Database, Prepared
from cyan.core.ids import DeviceId, UserId
from cyan.ledgers import store, writing
from cyan.ledgers.model import Definition, Direction, Instance, LedgerWritten, Scope

_FIND_LISTENER = Prepared(store.LISTENER)


class Synced(msgspec.Struct, frozen=True):
    """A ledger for one device."""

    ledger: Definition
    scope_value: str

    @property
    def scope_id(self) -> bytes:
        """What the device compares: another ledger of the same name, or another owner's, or the
        ledger of another device is another one (24 of 32 bytes, device-protocol.md §6.2)."""
        return bytes.fromhex(self.ledger.id) + bytes.fromhex(self.scope_value)


class Listener(msgspec.Struct, frozen=True):
    """A device that asked for ledgers in the session of this connection id."""

    device_id: DeviceId
    connection_id: bytes
    names: tuple[str, ...]
    """Of ledgers that it wants to hear of."""


class DeviceLedgers:
    """What devices may know. The owner of a device decides which ledgers it has."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, device_id: DeviceId, name: str) -> Synced | None:
        """The ledger that a device means by a name, None when it has none of it."""
        row = self._db.row(store.OF_DEVICE, {"of_device_id": device_id, "of_name": name})
        if row is None:
            return None
        ledger = store.to_definition(row)
        value = device_id if ledger.scope is Scope.DEVICE else ledger.owner_id
        return Synced(ledger, value)

    def held(self, synced: Synced) -> Instance | None:
        """What it holds."""
        key = {"of_id": synced.ledger.id, "of_value": synced.scope_value}
        row = self._db.row(store.INSTANCE, key)
        return None if row is None else store.to_instance(row)

    def last_written(self, within_ms: int, at_most: int) -> list[LedgerWritten]:
        """The last writes of the cloud: those of so many ms before the very last one."""
        chosen = {
            "of_direction": Direction.DOWNSTREAM.value,
            "within_ms": within_ms,
            "at_most": at_most,
        }
        return [
            LedgerWritten(
                UserId(row.owner_id), row.name, Scope(row.scope), row.scope_value, row.updated_at_ms
            )
            for row in self._db.rows(store.LAST_WRITTEN, chosen)
        ]

    def find_listener(self, device_id: DeviceId) -> Listener | None:
        """Whether and how a device listens."""
        rows = _FIND_LISTENER.rows(self._db, {"of_device_id": device_id})
        return _listener(*rows[0]) if rows else None

    def listeners_of(self, owner_id: str) -> list[Listener]:
        """All devices of an owner that listen."""
        rows = self._db.rows(store.LISTENERS_OF, {"of_owner_id": owner_id})
        return [_listener(row.device_id, row.connection_id, row.names) for row in rows]


def write(
    connection: Connection, synced: Synced, data: Mapping[str, object], size_bytes: int, at_ms: int
) -> None:
    """The device wrote its ledger (a unit of work for the writer)."""
    writing.put(connection, synced.ledger.id, synced.scope_value, data, size_bytes, at_ms)


def listen(connection: Connection, listener: Listener) -> None:
    """The device wants to hear of these from now on (a unit of work for the writer)."""
    connection.execute(
        store.LISTEN,
        {
            "device_id": listener.device_id,
            "connection_id": listener.connection_id.hex(),
            "names": msgspec.json.encode(listener.names).decode(),
        },
    )


def _listener(device_id: str, connection_id: str, names: str) -> Listener:
    return Listener(
        DeviceId(device_id),
        bytes.fromhex(connection_id),
        msgspec.json.decode(names, type=tuple[str, ...]),
    )
