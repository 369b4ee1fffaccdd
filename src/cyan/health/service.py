"""Vitals: kept when they come, read back, asked for."""

from sqlalchemy import Connection

from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.core.ports import DeviceLink
from cyan.devices.model import Device
from cyan.health import store
from cyan.health.model import MAX_RECORDS, NoVitalsError, Record


def keep(connection: Connection, device_id: DeviceId, payload: str, at_ms: int) -> None:
    """Store a rendered set (a unit of work for the writer), within the device's MAX_RECORDS."""
    connection.execute(store.PUT, {"device_id": device_id, "at_ms": at_ms, "payload": payload})
    connection.execute(store.TRIM, {"of_device_id": device_id, "kept": MAX_RECORDS})


class Vitals:
    """What has been kept of a device that the caller may see, and a way to get more.

    Only what it said since it is the present owner's: cells and networks tell where it was before.
    """

    def __init__(self, db: Database, link: DeviceLink) -> None:
        self._db = db
        self._link = link

    def get_last(self, device: Device) -> Record:
        """The newest set. Raises NoVitalsError."""
        row = self._db.row(store.LAST, {"of_device_id": device.id, "from_ms": _since_ms(device)})
        if row is None:
            raise NoVitalsError
        return Record(device.id, row.at_ms, row.payload)

    def list_between(self, device: Device, from_ms: int, to_ms: int) -> list[Record]:
        """All sets of a time, both ends included, the oldest first; at most MAX_RECORDS."""
        since_ms = max(from_ms, _since_ms(device))
        rows = self._db.rows(
            store.BETWEEN, {"of_device_id": device.id, "from_ms": since_ms, "to_ms": to_ms}
        )
        return [Record(device.id, row.at_ms, row.payload) for row in rows]

    def request(self, device: Device) -> None:
        """Ask the device for a set, without waiting: it comes as an event and is kept.

        Raises DeviceOfflineError, DeviceBusyError, DeviceRefusedError.
        """
        self._link.request_vitals(device.id)


def _since_ms(device: Device) -> int:
    """When it became its owner's; 0 for one that was registered as theirs."""
    return device.claimed_at_ms or 0
