"""What features have of an account: for who asks, and for when the account is deleted."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Column, Connection, bindparam, delete, func, select

from cyan.accounts.userapi import DeviceCounts
from cyan.console.store import sessions as console_session
from cyan.console.store import sessions as console_sessions
from cyan.core.db.engine import Database
from cyan.core.ids import UserId
from cyan.core.ports import AccountUse
from cyan.devices.model import CELLULAR_PLATFORMS
from cyan.devices.store import devices_claim_code, devices_device, devices_registrar
from cyan.devices.transferstore import devices_transfer
from cyan.environment.store import environment_layer
from cyan.firmware.binariesstore import firmware_binary
from cyan.ledgers.store import ledgers_definition, ledgers_instance, ledgers_version
from cyan.libraries.store import libraries_upload
from cyan.plans.store import plans_account
from cyan.secrets.store import secrets_secret

_owned = devices_device.c
_BY_PLATFORM: Final = (
    select(_owned.platform_id, func.count().label("devices"))
    .where(_owned.owner_id == bindparam("of_owner_id"))
    .group_by(_owned.platform_id)
)


def device_counts(database: Database) -> Callable[[UserId], DeviceCounts]:
    """What `GET /v1/user` tells of a person's devices."""

    def count(user_id: UserId) -> DeviceCounts:
        rows = database.rows(_BY_PLATFORM, {"of_owner_id": user_id})
        cellular = sum(row.devices for row in rows if row.platform_id in CELLULAR_PLATFORMS)
        return DeviceCounts(wifi=sum(row.devices for row in rows) - cellular, cellular=cellular)

    return count


def account_uses() -> list[AccountUse]:
    """One for each feature that has something of accounts."""
    return [
        OwnedDevices(),
        LedgerContents(),
        OwnRows(
            console_sessions.c.user_id,
            console_session.c.user_id,
            devices_claim_code.c.owner_id,
            devices_registrar.c.user_id,
            devices_transfer.c.owner_id,
            devices_transfer.c.requester_id,
            environment_layer.c.owner_id,
            firmware_binary.c.owner_id,
            ledgers_definition.c.owner_id,
            libraries_upload.c.owner_id,
            plans_account.c.user_id,
            secrets_secret.c.owner_id,
        ),
    ]


class OwnRows:
    """Rows that go with the account. `columns` hold the id of whose they are."""

    def __init__(self, *columns: Column[str]) -> None:
        self.columns = columns

    def reason_to_stay(self, connection: Connection, user_id: UserId) -> str | None:
        return None

    def forget(self, connection: Connection, user_id: UserId) -> None:
        for column in self.columns:
            connection.execute(delete(column.table).where(column == user_id))


class OwnedDevices:
    """Devices are released first: their person decides what becomes of them."""

    def reason_to_stay(self, connection: Connection, user_id: UserId) -> str | None:
        owned = select(func.count()).where(devices_device.c.owner_id == user_id)
        count = connection.execute(owned).scalar_one()
        if not count:
            return None
        return f"The account still owns {count} devices. Release them first."

    def forget(self, connection: Connection, user_id: UserId) -> None:
        pass


class LedgerContents:
    """What stands in an account's ledgers; the ledgers themselves go after it, as its rows."""

    def reason_to_stay(self, connection: Connection, user_id: UserId) -> str | None:
        return None

    def forget(self, connection: Connection, user_id: UserId) -> None:
        own = select(ledgers_definition.c.id).where(ledgers_definition.c.owner_id == user_id)
        for table in (ledgers_instance, ledgers_version):
            connection.execute(delete(table).where(table.c.ledger_id.in_(own)))
