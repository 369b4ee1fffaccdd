"""Environment variables: read, edited, rolled out."""

from collections.abc import Callable
from typing import TypeAlias

from msgspec.structs import replace
from sqlalchemy import Connection

from cyan.accounts.people import require_account
from cyan.audit import store as audit
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.devices.model import Device
from cyan.environment import store
from cyan.environment.model import Layer, Operation, State, apply, check_size
from cyan.rest.auth import Caller

Change: TypeAlias = Callable[[Layer], Layer]


class Environment:
    """The layers of accounts and devices. A device is given as one that the caller may see."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def get(self, caller: Caller, device: Device | None = None) -> State:
        """The state of the account, or of one device of it."""
        owner_id = caller.user_id
        account = store.to_layer(self._db.row(store.GET, _key(owner_id, store.OF_ACCOUNT)))
        if device is None:
            return State(account, None)
        return State(store.to_layer(self._db.row(store.GET, _key(owner_id, device.id))), account)

    async def edit(
        self, caller: Caller, operations: list[Operation], device: Device | None = None
    ) -> State:
        """Stage a change: devices get it with the next rollout.

        Raises TooMuchError when a device would get more than it takes.
        """

        def change(layer: Layer) -> Layer:
            return replace(layer, latest=apply(layer.latest, operations))

        # Which were changed, not to what: values are the owner's.
        keys: dict[str, object] = {"keys": [operation.key for operation in operations]}
        return await self._change(caller, device, change, "environment.changed", keys)

    async def roll_out(self, caller: Caller, when: str, device: Device | None = None) -> State:
        """What was edited last holds from now on."""
        at_ms, by = self._clock.now_ms(), caller.user_id

        def change(layer: Layer) -> Layer:
            return replace(layer, snapshot=layer.latest, rollout_at_ms=at_ms, rollout_by=by)

        detail: dict[str, object] = {"when": when}
        return await self._change(caller, device, change, "environment.rolled_out", detail)

    async def _change(
        self,
        caller: Caller,
        device: Device | None,
        change: Change,
        action: str,
        detail: dict[str, object],
    ) -> State:
        owner_id, at_ms = caller.user_id, self._clock.now_ms()
        device_id = store.OF_ACCOUNT if device is None else device.id

        def work(connection: Connection) -> None:
            require_account(connection, owner_id)
            row = connection.execute(store.GET, _key(owner_id, device_id)).first()
            before = store.to_layer(row)
            after = change(before)
            if after.latest != before.latest:
                after = replace(after, updated_at_ms=at_ms, updated_by=owner_id)
                _check_sizes(connection, owner_id, device_id, after.latest)
            if row is None:
                after = replace(
                    after,
                    created_at_ms=at_ms,
                    created_by=owner_id,
                    updated_at_ms=at_ms,
                    updated_by=owner_id,
                )
            connection.execute(store.PUT, store.to_row(owner_id, device_id, after))
            subject = f"device:{device_id}" if device_id else f"user:{owner_id}"
            audit.record(connection, f"user:{owner_id}", action, subject, detail, at_ms=at_ms)

        await self._db.write(work)
        return self.get(caller, device)


def _check_sizes(
    connection: Connection, owner_id: str, device_id: str, latest: dict[str, str]
) -> None:
    """No device may get too much, by its own variables or by those that it will inherit."""
    if device_id == store.OF_ACCOUNT:
        check_size(latest)
        for row in connection.execute(store.OF_DEVICES, {"of_owner_id": owner_id}):
            check_size({**latest, **store.to_layer(row).latest})
    else:
        account = connection.execute(store.GET, _key(owner_id, store.OF_ACCOUNT)).first()
        check_size({**store.to_layer(account).latest, **latest})


def _key(owner_id: str, device_id: str) -> dict[str, str]:
    return {"of_owner_id": owner_id, "of_device_id": device_id}
