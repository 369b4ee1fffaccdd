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

_BOOTED: Final = ("s", "u", "m")
"""System parts, the user's application, a monolithic firmware."""

_DEPENDENCIES: Final = 4
"""The bit of a module's checks that stands for its dependencies (§3.3.3)."""


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
        },
    )


def store_application(
    connection: Connection,
    device_id: DeviceId,
    functions: tuple[str, ...],
    variables: dict[str, int],
) -> None:
    """The application describe (§3.3.2): function names, and variable names with their types."""
    connection.execute(
        store.APPLICATION,
        {
            "device_id": device_id,
            "functions": msgspec.json.encode(functions).decode(),
            "variables": msgspec.json.encode(variables).decode(),
        },
    )


def store_system(connection: Connection, device_id: DeviceId, system: dict[str, object]) -> None:
    """The system describe in its JSON form (§3.3.3: p, m, imei, iccid, cellfw)."""
    connection.execute(
        store.SYSTEM,
        {
            "device_id": device_id,
            "system": msgspec.json.encode(system).decode(),
            "safe_mode": is_safe_mode(system),
            "imei": _text(system, "imei", store.MAX_SIM_CHARACTERS),
            "iccid": _text(system, "iccid", store.MAX_SIM_CHARACTERS),
            "modem_firmware": _text(system, "cellfw", store.MAX_MODEM_FIRMWARE_CHARACTERS),
        },
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


def is_safe_mode(system: dict[str, object]) -> bool:
    """Whether a module that the application needs did not fit: its dependencies were checked and
    are not met, which sends the device into safe mode (§3.3.3, platform-semantics.md §9.8)."""
    modules = system.get("m")
    return isinstance(modules, list) and any(_lacks_dependency(module) for module in modules)


def _lacks_dependency(module: object) -> bool:
    if not isinstance(module, dict) or module.get("f") not in _BOOTED:
        return False
    checked, passed = module.get("vc"), module.get("vv")
    return (
        module.get("l", "m") == "m"
        and isinstance(checked, int)
        and isinstance(passed, int)
        and bool(checked & ~passed & _DEPENDENCIES)
    )


def _text(system: dict[str, object], key: str, limit: int) -> str | None:
    value = system.get(key)
    return value[:limit] if isinstance(value, str) and value else None
