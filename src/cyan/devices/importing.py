"""Labels of many devices from a file, for the operator. All lines must be right, or none counts."""

import csv
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Final

import msgspec
from sqlalchemy import Connection

from cyan.audit import store as audit
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import InvalidError
from cyan.core.secrets import Vault
from cyan.devices import keys, store
from cyan.devices.labels import Label, MalformedLabelError, read_label, write_label

OPERATOR: Final = "operator"

MAX_LINES: Final = 1_000_000
"""Ours: a file of 100 MB, which is read into memory."""

MAX_COMPLAINTS: Final = 20
"""Wrong lines that are named; who sees so many has the wrong file."""

AT_ONCE: Final = 500
"""Devices of one transaction: a running server waits for it."""

COLUMNS: Final = {
    "device_id": "device_id",
    "deviceid": "device_id",
    "id": "device_id",
    "serial_number": "serial_number",
    "serialnumber": "serial_number",
    "serial": "serial_number",
    "mobile_secret": "mobile_secret",
    "iccid": "iccid",
    "imei": "imei",
    "mac_wifi": "mac_wifi",
    "mac": "mac_wifi",
    "platform_id": "platform_id",
}
"""Names of columns, in any case and with blanks for underscores, and what they are."""


class ImportRefusedError(InvalidError):
    """The file cannot be imported."""


class Imported(msgspec.Struct, frozen=True):
    """How many devices the file was about, and how many of them were not known before."""

    devices: int
    registered: int


def read_labels(lines: Iterable[str]) -> list[Label]:
    """The labels of a CSV file, whose first line names the columns.

    Raises ImportRefusedError, which names the first wrong lines.
    """
    reader = csv.reader(lines)
    try:
        names = _columns(next(reader, []))
        rows = [(reader.line_num, row) for row in islice(reader, MAX_LINES + 1) if any(row)]
    except csv.Error as error:
        raise ImportRefusedError(f"Line {reader.line_num} is not CSV: {error}.") from error
    if len(rows) > MAX_LINES:
        raise ImportRefusedError(f"The file has more than {MAX_LINES} lines; split it.")
    labels: list[Label] = []
    complaints: list[str] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        try:
            label = read_label(
                {name: text for name, text in zip(names, row, strict=False) if name is not None}
            )
            for once in (label.device_id, label.serial_number):
                if once is not None and seen.setdefault(once, number) != number:
                    raise MalformedLabelError(f"{once} is in line {seen[once]} already.")
        except InvalidError as error:
            complaints.append(f"line {number}: {error.message}")
        else:
            labels.append(label)
    _complain(complaints)
    return labels


def import_labels(db: Database, clock: Clock, vault: Vault, labels: list[Label]) -> Imported:
    """Write the labels; devices that are not known become so. Waits for the commits.

    Raises ImportRefusedError when a serial number belongs to another device.
    """
    _complain(list(_taken(db, labels)))
    at_ms = clock.now_ms()
    registered = sum(
        db.write_blocking(
            partial(_write, vault=vault, labels=labels[start : start + AT_ONCE], at_ms=at_ms)
        )
        for start in range(0, len(labels), AT_ONCE)
    )
    return Imported(len(labels), registered)


def _columns(header: list[str]) -> list[str | None]:
    names = [
        COLUMNS.get(text.strip().lstrip("\ufeff").lower().replace(" ", "_")) for text in header
    ]
    if "device_id" not in names:
        raise ImportRefusedError(
            "The first line names the columns; one of them is device_id. The others may be"
            f" {', '.join(sorted(set(COLUMNS.values()) - {'device_id'}))}."
        )
    return names


def _taken(db: Database, labels: list[Label]) -> Iterator[str]:
    for label in labels:
        if label.serial_number is None:
            continue
        row = db.row(store.DEVICE_OF_SERIAL, {"serial_number": label.serial_number})
        holder = None if row is None else store.to_device(row)
        if holder is not None and holder.id != label.device_id:
            yield f"{label.serial_number} is the serial number of {holder.id} already"


def _complain(complaints: list[str]) -> None:
    if not complaints:
        return
    more = len(complaints) - MAX_COMPLAINTS
    rest = f"\n(and {more} more)" if more > 0 else ""
    listed = "\n".join(complaints[:MAX_COMPLAINTS])
    raise ImportRefusedError(f"Nothing was imported:\n{listed}{rest}")


def _write(connection: Connection, vault: Vault, labels: list[Label], at_ms: int) -> int:
    registered = 0
    for label in labels:
        if connection.execute(store.OWNER, {"id": label.device_id}).first() is None:
            keys.add(connection, label.device_id, actor=OPERATOR, at_ms=at_ms)
            registered += 1
        write_label(connection, vault, label)
    detail: dict[str, object] = {"devices": len(labels), "registered": registered}
    audit.record(connection, OPERATOR, "device.labels_imported", "devices", detail, at_ms=at_ms)
    return registered
