"""Notes: free text of the owner about a device."""

from collections.abc import Mapping

from sqlalchemy import Connection

from cyan.audit import store as audit
from cyan.core.ids import DeviceId, UserId
from cyan.devices import store
from cyan.devices.model import UnknownDeviceError


def write_notes(
    connection: Connection, device_id: DeviceId, owner_id: UserId, notes: str | None, *, at_ms: int
) -> Mapping[str, object]:
    """Replace the notes by checked ones; returns what changed.

    Raises UnknownDeviceError when the device is not the owner's any more.
    """
    done = connection.execute(
        store.SET_NOTES,
        {"device_id": device_id, "for_owner_id": owner_id, "notes": notes, "at_ms": at_ms},
    )
    if done.rowcount != 1:
        raise UnknownDeviceError
    # What the notes say is the owner's; that they changed is all that an audit needs.
    audit.record(
        connection, f"user:{owner_id}", "device.notes_changed", f"device:{device_id}", at_ms=at_ms
    )
    return {"notes": notes}
