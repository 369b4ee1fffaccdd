"""Who owns which device, in memory: asked once for every event, so a dictionary answers.

The table is the truth. `refresh` reads one device again after each commit that changed its owner,
`load` reads all; both are right in any order of calls, because neither trusts what it is told.
"""

from collections.abc import Set

from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId, share_device_id
from cyan.devices import store

_NOTHING: frozenset[DeviceId] = frozenset()


class Ownership:
    """Owners by device and devices by owner. Used on the loop only."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._owners: dict[DeviceId, UserId] = {}
        self._devices: dict[UserId, set[DeviceId]] = {}
        self.version = 0
        """Another one after each change: what was asked for before it is to be asked again."""
        self.load()

    def owner_of(self, device_id: DeviceId) -> UserId | None:
        """The owner, None for an unclaimed or unknown device."""
        return self._owners.get(device_id)

    def devices_of(self, user_id: UserId) -> Set[DeviceId]:
        """The user's devices, as a live view: do not keep it over an await."""
        return self._devices.get(user_id, _NOTHING)

    def load(self) -> None:
        """Read every owner."""
        self.version += 1
        self._owners.clear()
        self._devices.clear()
        users: dict[str, UserId] = {}
        for row in self._db.rows(store.OWNERS):
            # One string object for each owner, however many devices: 100,000 are common here.
            owner = users.setdefault(row.owner_id, UserId(row.owner_id))
            self._set(share_device_id(row.id), owner)

    def refresh(self, device_id: DeviceId) -> None:
        """Read one device's owner, as last committed."""
        rows = store.OWNER_QUICKLY.rows(self._db, {"id": device_id})
        owner = UserId(rows[0][0]) if rows and rows[0][0] is not None else None
        previous = self._owners.get(device_id)
        if owner == previous:
            return
        self.version += 1
        if previous is not None:
            del self._owners[device_id]
            rest = self._devices[previous]
            rest.discard(device_id)
            if not rest:
                del self._devices[previous]
        if owner is not None:
            self._set(device_id, owner)

    def _set(self, device_id: DeviceId, owner: UserId) -> None:
        self._owners[device_id] = owner
        self._devices.setdefault(owner, set()).add(device_id)
