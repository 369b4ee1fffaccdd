"""The pages of a person's devices, read from the tables of `devices`.

Written out, because what is asked for differs from page to page. In the order of names a page walks
along the index of owner and name and costs the same in a fleet of any size, if most of its devices
fit. To look inside of names, and to sort otherwise, each device is looked at: for fleets that are
not large. In a large one is found what begins with a text, by an index too.
"""

import re
import sqlite3
from typing import Any, Final

import msgspec

from cyan.core.ids import UserId
from cyan.devices.model import Device
from cyan.devices.store import MAX_SERIAL_CHARACTERS, to_device, whole_device

COUNTED: Final = 10_000
"""Devices that fit a filter are counted up to here; then it is said that there are more."""

COUNTED_OF_MANY: Final = 100
"""The same in a large fleet, and as many are found by what they begin with."""

_LAST_CHARACTER: Final = chr(0x10FFFF)
"""Sorts behind all that may follow a beginning."""

_ID_BEGINS: Final = re.compile(r"[0-9a-fA-F]{1,24}")
_SERIAL_BEGINS: Final = re.compile(rf"[0-9A-Za-z-]{{1,{MAX_SERIAL_CHARACTERS}}}")

_COLUMNS: Final = ", ".join(whole_device("d"))

_ORDERS: Final = {
    "name": "d.name",
    "id": "d.id",
    "connected": "d.last_handshake_at_ms",
    "version": "d.product_version",
}
ORDERS: Final = tuple(_ORDERS)

_ONLINE: Final = "EXISTS (SELECT 1 FROM devices_presence p WHERE p.device_id = d.id AND p.online)"


class Sought(msgspec.Struct, frozen=True):
    """Which devices of an owner. `text` is looked for inside names, ids and serial numbers, in any
    case (of ASCII); None does not matter. `order` is one of ORDERS."""

    owner_id: UserId
    text: str = ""
    online: bool | None = None
    platform_id: int | None = None
    development: bool | None = None
    order: str = "name"
    descending: bool = False

    @property
    def has_filter(self) -> bool:
        return bool(self.text) or (self.online, self.platform_id, self.development) != (None,) * 3


def page(connection: sqlite3.Connection, sought: Sought, offset: int, limit: int) -> list[Device]:
    """So many devices behind the first `offset` ones, in the order that is asked for."""
    where, values = _where(sought)
    way = "DESC" if sought.descending else "ASC"
    # The id decides between equals; where names do, the index has the order already.
    tie = "" if sought.order in ("name", "id") else ", d.name"
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM devices_device d WHERE {where}"  # noqa: S608 - placeholders only
        f" ORDER BY {_ORDERS[sought.order]} {way}{tie} LIMIT :limit OFFSET :offset",
        {**values, "limit": limit, "offset": offset},
    )
    return [to_device(row) for row in rows]


def count(connection: sqlite3.Connection, sought: Sought, most: int) -> int:
    """How many there are in all, `most` + 1 for any more."""
    where, values = _where(sought)
    row = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM devices_device d"  # noqa: S608 - placeholders only
        f" WHERE {where} LIMIT :most)",
        {**values, "most": most + 1},
    ).fetchone()
    return int(row[0])


def begin_so(connection: sqlite3.Connection, sought: Sought, most: int) -> list[str]:
    """Ids of at most `most` devices whose name, id or serial number begins with the text, in the
    order of names. Names are looked for as the text is, and in lower and upper case."""
    text = sought.text
    where, values = _where(msgspec.structs.replace(sought, text=""))
    # With the sign SQLite walks along the column's own index, not through all of the owner's.
    beside = where.replace("d.owner_id", "+d.owner_id")
    found: dict[str, str] = {}
    # A column is only asked for what can be in it.
    cases = dict.fromkeys((text, text.lower(), text.upper(), text.capitalize()))
    variants = [("name", each) for each in cases]
    if _ID_BEGINS.fullmatch(text):
        variants.append(("id", text.lower()))
    if _SERIAL_BEGINS.fullmatch(text):
        variants.append(("serial_number", text.upper()))
    for column, begin in variants:
        if len(found) >= most:
            break
        rows = connection.execute(
            "SELECT d.id, d.name FROM devices_device d"  # noqa: S608 - placeholders only
            f" WHERE {where if column == 'name' else beside}"
            f" AND d.{column} >= :begin AND d.{column} < :end ORDER BY d.{column} LIMIT :most",
            {**values, "begin": begin, "end": begin + _LAST_CHARACTER, "most": most},
        )
        found.update(rows)
    ids = sorted(found, key=lambda device_id: (found[device_id], device_id))[:most]
    return ids[::-1] if sought.descending else ids


def these(connection: sqlite3.Connection, owner_id: UserId, ids: list[str]) -> list[Device]:
    """The owner's devices with these ids, in this order."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM devices_device d WHERE +d.owner_id = :owner_id"  # noqa: S608
        " AND d.id IN (SELECT value FROM json_each(:ids))",
        {"owner_id": owner_id, "ids": msgspec.json.encode(ids).decode()},
    )
    found: dict[str, Device] = {device.id: device for device in map(to_device, rows)}
    return [found[device_id] for device_id in ids if device_id in found]


def _where(sought: Sought) -> tuple[str, dict[str, Any]]:
    clauses, values = ["d.owner_id = :owner_id"], dict[str, Any](owner_id=sought.owner_id)
    if sought.text:
        escaped = sought.text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        values["text"] = f"%{escaped}%"
        clauses.append(
            "(d.name LIKE :text ESCAPE '!' OR d.id LIKE :text ESCAPE '!'"
            " OR d.serial_number LIKE :text ESCAPE '!')"
        )
    if sought.online is not None:
        clauses.append(_ONLINE if sought.online else f"NOT {_ONLINE}")
    if sought.platform_id is not None:
        clauses.append("d.platform_id = :platform_id")
        values["platform_id"] = sought.platform_id
    if sought.development is not None:
        clauses.append("coalesce(d.development, 0) = :development")
        values["development"] = int(sought.development)
    return " AND ".join(clauses), values
