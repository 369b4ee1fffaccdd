"""Ledgers made, changed and archived."""

from sqlalchemy import Connection

from cyan.accounts.people import require_account
from cyan.audit import store as audit
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import new_object_id
from cyan.ledgers import store
from cyan.ledgers.access import LedgerAccess
from cyan.ledgers.model import (
    MAX_LEDGERS,
    Definition,
    DirectionFixedError,
    LedgerExistsError,
    LedgersRedefined,
    TooManyLedgersError,
    UnknownLedgerError,
    check_description,
    check_direction,
    check_name,
    check_scope,
)
from cyan.rest.auth import Caller


class Definitions:
    """What can be done with definitions."""

    def __init__(self, db: Database, clock: Clock, bus: Bus, access: LedgerAccess) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._access = access

    def totals(self, ledger: Definition) -> tuple[int, int]:
        """How many instances it has, and their bytes together."""
        row = self._db.row(store.TOTALS, {"of_id": ledger.id})
        assert row is not None
        return int(row.instance_count), int(row.total_bytes)

    async def create(
        self, caller: Caller, name: object, description: object, scope: object, direction: object
    ) -> Definition:
        """A new ledger.

        Raises InvalidLedgerNameError, InvalidLedgerError, UpstreamNeedsDeviceScopeError,
        LedgerExistsError, TooManyLedgersError.
        """
        at_ms, known_scope = self._clock.now_ms(), check_scope(scope)
        ledger = Definition(
            id=new_object_id(),
            owner_id=caller.user_id,
            name=check_name(name),
            description=check_description(description),
            scope=known_scope,
            direction=check_direction(direction, known_scope),
            created_at_ms=at_ms,
            updated_at_ms=at_ms,
        )

        def work(connection: Connection) -> None:
            require_account(connection, caller.user_id)
            owner = {"of_owner_id": caller.user_id}
            if connection.execute(store.GET, {**owner, "of_name": ledger.name}).first():
                raise LedgerExistsError
            if connection.execute(store.COUNT, owner).scalar_one() >= MAX_LEDGERS:
                raise TooManyLedgersError
            connection.execute(
                store.ADD,
                {
                    "id": ledger.id,
                    "owner_id": ledger.owner_id,
                    "name": ledger.name,
                    "description": ledger.description,
                    "scope": ledger.scope.value,
                    "direction": ledger.direction and ledger.direction.value,
                    "created_at_ms": at_ms,
                    "updated_at_ms": at_ms,
                },
            )
            _record(connection, caller, "ledger.created", ledger, at_ms)

        await self._db.write(work)
        self._bus.publish(LedgersRedefined(caller.user_id))
        return ledger

    async def update(
        self, caller: Caller, ledger: Definition, description: object, direction: object
    ) -> Definition:
        """Change the description, or give a cloud-only ledger a direction; None leaves as it is.

        Raises InvalidLedgerError, UpstreamNeedsDeviceScopeError, DirectionFixedError,
        UnknownLedgerError.
        """
        at_ms = self._clock.now_ms()
        to = ledger.direction
        if direction is not None:
            to = check_direction(direction, ledger.scope)
        if ledger.direction is not None and to is not ledger.direction:
            raise DirectionFixedError
        text = ledger.description if description is None else check_description(description)

        def work(connection: Connection) -> None:
            change = {
                "of_id": ledger.id,
                "to_description": text,
                "to_direction": to and to.value,
                "at_ms": at_ms,
            }
            if connection.execute(store.UPDATE, change).rowcount != 1:
                raise UnknownLedgerError
            _record(connection, caller, "ledger.changed", ledger, at_ms)

        await self._db.write(work)
        if to is not ledger.direction:
            self._bus.publish(LedgersRedefined(caller.user_id))
        return self._access.get(caller, ledger.name)

    async def archive(self, caller: Caller, ledger: Definition) -> None:
        """Devices do not find it any more, and its name is free; what it held is kept.

        Raises UnknownLedgerError.
        """
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> None:
            if connection.execute(store.ARCHIVE, {"of_id": ledger.id, "at_ms": at_ms}).rowcount < 1:
                raise UnknownLedgerError
            _record(connection, caller, "ledger.archived", ledger, at_ms)

        await self._db.write(work)
        self._bus.publish(LedgersRedefined(caller.user_id))


def _record(
    connection: Connection, caller: Caller, action: str, ledger: Definition, at_ms: int
) -> None:
    audit.record(
        connection,
        f"user:{caller.user_id}",
        action,
        f"ledger:{ledger.id}",
        {"name": ledger.name},
        at_ms=at_ms,
    )
