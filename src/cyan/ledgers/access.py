"""The only way to a ledger on a person's behalf: what is somebody else's does not exist here."""

from cyan.core.db.engine import Database
from cyan.core.ids import is_device_id
from cyan.devices.access import DeviceAccess
from cyan.devices.model import UnknownDeviceError
from cyan.ledgers import store
from cyan.ledgers.model import Definition, Scope, UnknownInstanceError, UnknownLedgerError
from cyan.rest.auth import Caller


class LedgerAccess:
    """Ledgers as a caller may see them: only the owner may, so far."""

    def __init__(self, db: Database, devices: DeviceAccess) -> None:
        self._db = db
        self._devices = devices

    def get(self, caller: Caller, name: str) -> Definition:
        """The caller's ledger. Raises UnknownLedgerError."""
        row = self._db.row(store.GET, {"of_owner_id": caller.user_id, "of_name": name})
        if row is None:
            raise UnknownLedgerError
        return store.to_definition(row)

    def list(self, caller: Caller, *, archived: bool) -> list[Definition]:
        """The caller's, by name; those that are archived, or those that are not."""
        statement = store.LIST_ARCHIVED if archived else store.LIST
        rows = self._db.rows(statement, {"of_owner_id": caller.user_id})
        return [store.to_definition(row) for row in rows]

    def value_to_write(self, caller: Caller, ledger: Definition, text: str) -> str:
        """Whose data may be written under this scope value. Raises UnknownInstanceError."""
        value = text.lower()
        if ledger.scope is Scope.OWNER:
            if value == caller.user_id:
                return value
            raise UnknownInstanceError(
                "The scope value of this ledger is the id of its owner, as GET /v1/user tells it."
            )
        if not is_device_id(text):
            raise UnknownInstanceError("The scope value of this ledger is the id of a device.")
        try:
            return self._devices.get(caller, text).id
        except UnknownDeviceError as error:
            raise UnknownInstanceError("You have no device of this id.") from error

    def device_names(self, caller: Caller) -> dict[str, str | None]:
        """The caller's devices and what they are called."""
        return {device.id: device.name for device in self._devices.list_own(caller)}
