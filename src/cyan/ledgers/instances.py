"""What ledgers hold: read, set, deleted, and how it was before."""

from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from cyan.accounts.people import require_account
from cyan.audit import store as audit
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.ledgers import store, writing
from cyan.ledgers.access import LedgerAccess
from cyan.ledgers.model import (
    Definition,
    Direction,
    Instance,
    LedgerWritten,
    UnknownInstanceError,
    UnknownVersionError,
    WrittenByDevicesError,
    check_data,
    size_of,
)
from cyan.rest.auth import Caller

_NEVER: Final = 1 << 62
_MAX_VERSION: Final = 1 << 31


class Instances:
    """What can be done with instances. A ledger is given as one that the caller may see."""

    def __init__(self, db: Database, clock: Clock, bus: Bus, access: LedgerAccess) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._access = access

    def list_page(self, ledger: Definition, first: int, at_most: int) -> list[Instance]:
        """Some of them, by scope value."""
        page = {"of_id": ledger.id, "first": first, "at_most": at_most}
        return [store.to_instance(row) for row in self._db.rows(store.INSTANCES, page)]

    def get(self, ledger: Definition, value: str) -> Instance:
        """Raises UnknownInstanceError."""
        row = self._db.row(store.INSTANCE, _key(ledger, value))
        if row is None:
            raise UnknownInstanceError
        return store.to_instance(row)

    async def put(
        self, caller: Caller, ledger: Definition, value: str, data: object, *, merge: bool
    ) -> tuple[Instance, bool]:
        """Set the data, or with `merge` only its keys that are given; and whether it was new.

        Raises UnknownInstanceError, WrittenByDevicesError, InvalidDataError, TooMuchDataError.
        """
        scope_value = self._access.value_to_write(caller, ledger, value)
        if ledger.direction is Direction.UPSTREAM:
            raise WrittenByDevicesError
        given = check_data(data)
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> Instance:
            require_account(connection, caller.user_id)
            whole = given
            before = writing.find(connection, ledger.id, scope_value)
            if merge and before is not None:
                whole = {**msgspec.json.decode(before.data, type=dict[str, Any]), **given}
            after = writing.put(connection, ledger.id, scope_value, whole, size_of(whole), at_ms)
            _record(connection, caller, "ledger.set", ledger, scope_value, at_ms)
            return after

        after = await self._db.write(work)
        if ledger.direction is Direction.DOWNSTREAM:
            self._bus.publish(
                LedgerWritten(
                    ledger.owner_id, ledger.name, ledger.scope, scope_value, after.updated_at_ms
                )
            )
        return after, after.created_at_ms == after.updated_at_ms

    async def delete(self, caller: Caller, ledger: Definition, value: str) -> None:
        """Devices keep what they have. Raises UnknownInstanceError."""
        at_ms, scope_value = self._clock.now_ms(), value.lower()

        def work(connection: Connection) -> None:
            if not writing.remove(connection, ledger.id, scope_value, at_ms):
                raise UnknownInstanceError
            _record(connection, caller, "ledger.deleted", ledger, scope_value, at_ms)

        await self._db.write(work)

    def list_versions(
        self, ledger: Definition, value: str, after_ms: int | None, before_ms: int | None
    ) -> list[Instance]:
        """States that were replaced in this time, the newest first; MAX_VERSIONS at most."""
        chosen = {
            **_key(ledger, value),
            "after_ms": -1 if after_ms is None else after_ms,
            "before_ms": _NEVER if before_ms is None else before_ms,
        }
        return [store.to_instance(row) for row in self._db.rows(store.VERSIONS, chosen)]

    def get_version(self, ledger: Definition, value: str, version: str) -> Instance:
        """One state, the present one too. Raises UnknownVersionError."""
        number = int(version) if version.isdecimal() and len(version) <= 10 else 0
        if not 0 < number < _MAX_VERSION:
            raise UnknownVersionError
        key = _key(ledger, value)
        row = self._db.row(store.VERSION, {**key, "of_version": number})
        if row is None:
            row = self._db.row(store.INSTANCE, key)
        if row is None or row.version != number:
            raise UnknownVersionError
        return store.to_instance(row)


def _key(ledger: Definition, value: str) -> dict[str, str]:
    return {"of_id": ledger.id, "of_value": value.lower()}


def _record(
    connection: Connection,
    caller: Caller,
    action: str,
    ledger: Definition,
    scope_value: str,
    at_ms: int,
) -> None:
    audit.record(
        connection,
        f"user:{caller.user_id}",
        action,
        f"ledger:{ledger.id}",
        {"name": ledger.name, "scope_value": scope_value},
        at_ms=at_ms,
    )
