"""What a device said of itself: Hello, its describes and its update switches.

Each `store_…` is a unit of work for the database writer, so that the gateway can commit it together
with its own row of the session before it acknowledges. A device that is not registered (any more)
is left alone.
"""

from typing import Final

import msgspec
from sqlalchemy import Connection

from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.core.ports import DescribedDevice
from cyan.devices import store
from cyan.devices.limits import VERSION_3_0
from cyan.devices.safemode import is_safe_mode
from cyan.wire.describe import SystemDescribe

SAFE_MODE_HOLDS_MS: Final = 60_000
"""A device that starts says "safe mode" and then "last reset", which may come in the other order
when one of them is lost: a repeated message is up to 42 s late (device-protocol.md §2.2)."""


def store_hello(
    connection: Connection,
    device_id: DeviceId,
    *,
    platform_id: int,
    product_id: int,
    product_version: int,
    system_version: int | None,
    at_ms: int,
    ip_address: str,
    max_message_bytes: int | None = None,
    max_binary_bytes: int | None = None,
    ota_chunk_bytes: int | None = None,
) -> None:
    """What Hello said (device-protocol.md §3.2), at the end of a full handshake."""
    store.HELLO.run(
        connection,
        {
            "device_id": device_id,
            "platform_id": platform_id,
            "product_id": product_id,
            "product_version": product_version,
            "system_version": system_version,
            "at_ms": at_ms,
            "ip_address": ip_address,
            "max_message_bytes": max_message_bytes,
            "max_binary_bytes": max_binary_bytes,
            "ota_chunk_bytes": ota_chunk_bytes,
            "first_with_version": VERSION_3_0,
        },
    )


def store_application(
    connection: Connection,
    device_id: DeviceId,
    functions: tuple[str, ...],
    variables: dict[str, int],
) -> None:
    """The application describe (§3.3.2): function names, and variable names with their types."""
    store.APPLICATION.run(
        connection,
        {
            "device_id": device_id,
            "functions": msgspec.json.encode(functions).decode(),
            "variables": msgspec.json.encode(variables).decode(),
            "has_any": bool(functions or variables),
        },
    )


def store_system(
    connection: Connection, device_id: DeviceId, system: SystemDescribe, platform_id: int | None
) -> None:
    """The system describe (§3.3.3), kept in its JSON form with `platform_id` of Hello in it."""
    store.SYSTEM.run(
        connection,
        {
            "device_id": device_id,
            "system": msgspec.json.encode(system.to_json(platform_id)).decode(),
            "safe_mode": is_safe_mode(system),
            "application_hash": system.app_hash,
            "system_version": system.system_version,
            "imei": _cut(system.imei, store.MAX_SIM_CHARACTERS),
            "iccid": _cut(system.iccid, store.MAX_SIM_CHARACTERS),
            "modem_firmware": _cut(
                system.modem_firmware_version, store.MAX_MODEM_FIRMWARE_CHARACTERS
            ),
        },
    )


def store_safe_mode(connection: Connection, device_id: DeviceId, at_ms: int) -> None:
    """The device said that it runs in safe mode, which its describe need not show."""
    connection.execute(store.SAFE_MODE, {"device_id": device_id, "at_ms": at_ms})


def store_reset(connection: Connection, device_id: DeviceId, at_ms: int) -> None:
    """The device has started; unless it said so just now, it is not in safe mode any more."""
    connection.execute(
        store.NO_SAFE_MODE, {"device_id": device_id, "before_ms": at_ms - SAFE_MODE_HOLDS_MS}
    )


def store_transfer_limits(
    connection: Connection,
    device_id: DeviceId,
    *,
    max_binary_bytes: int | None = None,
    ota_chunk_bytes: int | None = None,
) -> None:
    """What old firmware takes in an update (§3.11, §5.1); None: not said."""
    connection.execute(
        store.TRANSFER_LIMITS,
        {"device_id": device_id, "max_binary": max_binary_bytes, "ota_chunk": ota_chunk_bytes},
    )


def store_patch_version(connection: Connection, device_id: DeviceId, version: str) -> None:
    """The patch of the Wi-Fi chip of a Core (§3.11)."""
    patch_version = version[: store.MAX_PATCH_VERSION_CHARACTERS]
    connection.execute(
        store.PATCH_VERSION, {"device_id": device_id, "patch_version": patch_version}
    )


def store_updates(
    connection: Connection, device_id: DeviceId, *, enabled: bool | None, forced: bool | None
) -> None:
    """Whether the device takes updates, and whether it takes them nevertheless; None: not said."""
    connection.execute(
        store.UPDATES, {"device_id": device_id, "enabled": enabled, "forced": forced}
    )


def described(db: Database, device_id: DeviceId) -> DescribedDevice:
    """Its functions and variables; empty for a device that has not described itself yet."""
    row = db.row(store.DESCRIBED, {"id": device_id})
    if row is None:
        return DescribedDevice()
    return DescribedDevice(
        functions=store.read_functions(row.functions),
        variables=store.read_variables(row.variables),
    )


def find_system(db: Database, device_id: DeviceId) -> dict[str, object] | None:
    """Its system describe in the JSON form, None when it sent none."""
    row = db.row(store.SYSTEM_DESCRIBE, {"id": device_id})
    return None if row is None or row.system is None else store.read_system(row.system)


def find_application_hash(db: Database, device_id: DeviceId) -> str | None:
    """SHA-256 of the application that it described last, in hex."""
    rows = store.APPLICATION_HASH.rows(db, {"id": device_id})
    found: str | None = rows[0][0] if rows else None
    return found


def find_name(db: Database, device_id: DeviceId) -> str | None:
    """What its owner calls it; None without an owner."""
    row = db.row(store.NAME, {"id": device_id})
    return None if row is None else row.name


def _cut(text: str | None, limit: int) -> str | None:
    return text[:limit] if text else None
