"""What stands on the label of a device: serial number, mobile secret, numbers of its modem.

The platform knows them from its factory; here the operator imports them (`cyan device import`).
Whoever holds a label finds the device by its serial number, if it is theirs or nobody's: the ids of
other people's devices stay their own. The mobile secret, which opens the set-up over Bluetooth, is
kept sealed and shown to the owner alone.
"""

import re
from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection

from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import CyanError, InvalidError, NotFoundError
from cyan.core.ids import DeviceId, UserId, parse_device_id
from cyan.core.secrets import Vault
from cyan.devices import store
from cyan.devices.model import Device
from cyan.rest.auth import Caller

SECRET_PURPOSE: Final = b"devices.mobile_secret"

MAX_SECRET_CHARACTERS: Final = 32
"""Known ones have 15 (platform-semantics.md §3.1)."""

LOOKUPS: Final = 50
LOOKUPS_WITHIN_S: Final = 3600.0
"""Of one account (rest-api-core.md §2.4)."""

_SERIAL = re.compile(rf"[A-Z0-9][A-Z0-9-]{{3,{store.MAX_SERIAL_CHARACTERS - 1}}}\Z")
_DIGITS = {"iccid": re.compile(r"\d{18,22}\Z"), "imei": re.compile(r"\d{15}\Z")}
_MAC = re.compile(r"[0-9a-f]{12}\Z")


class MalformedLabelError(InvalidError):
    """That does not stand on a label."""


class UnknownSerialNumberError(NotFoundError):
    """There is no device with this serial number."""


class TooManyLookupsError(CyanError):
    """You have looked up as many serial numbers as one account may within an hour."""


class Label(msgspec.Struct, frozen=True):
    """What is known of one device by its label; None is not known."""

    device_id: DeviceId
    serial_number: str | None = None
    mobile_secret: str | None = None
    iccid: str | None = None
    imei: str | None = None
    mac_wifi: str | None = None
    platform_id: int | None = None

    def __repr__(self) -> str:
        """Without the secret."""
        return f"<Label of {self.device_id}>"


class LabelFields(msgspec.Struct, frozen=True):
    """What labels add to the JSON of devices."""

    serial_number: str | msgspec.UnsetType = msgspec.UNSET
    mac_wifi: str | msgspec.UnsetType = msgspec.UNSET


class LabelDetail(msgspec.Struct, frozen=True):
    """What only the single device shows."""

    mobile_secret: str | msgspec.UnsetType = msgspec.UNSET


def read_label(fields: Mapping[str, str]) -> Label:
    """A label from texts under the names of `Label`; empty ones are not known.

    A serial number may have the mobile secret behind it, with a blank between them, as the data
    matrix on the label has. Raises MalformedLabelError, MalformedDeviceIdError.
    """
    known = {name: text.strip() for name, text in fields.items() if text and text.strip()}
    serial, _, secret = known.get("serial_number", "").partition(" ")
    platform = known.get("platform_id")
    if platform is not None and not (platform.isascii() and platform.isdigit()):
        raise MalformedLabelError(f"A platform is a number, like 13, not {platform[:40]!r}.")
    return Label(
        device_id=parse_device_id(known.get("device_id", "")),
        serial_number=parse_serial(serial) if serial else None,
        mobile_secret=_secret(known.get("mobile_secret") or secret.strip()),
        iccid=_digits("iccid", known.get("iccid")),
        imei=_digits("imei", known.get("imei")),
        mac_wifi=_mac(known.get("mac_wifi")),
        platform_id=None if platform is None else int(platform[:9]),
    )


def parse_serial(text: str) -> str:
    """A serial number in its stored form, capitals. Raises MalformedLabelError."""
    serial = text.strip().upper()
    if not _SERIAL.match(serial):
        raise MalformedLabelError(
            "A serial number has from 4 to 32 letters, digits and hyphens, like P046AC1234567,"
            f" not {text[:40]!r}."
        )
    return serial


def write_label(connection: Connection, vault: Vault, label: Label) -> None:
    """Put what is known of a registered device into its row; the rest stays."""
    secret = label.mobile_secret
    connection.execute(
        store.SET_LABEL,
        {
            "device_id": label.device_id,
            "serial": label.serial_number,
            "secret": None if secret is None else vault.seal(secret.encode(), SECRET_PURPOSE),
            "mac": label.mac_wifi,
            "new_imei": label.imei,
            "new_iccid": label.iccid,
            "platform": label.platform_id,
        },
    )


def read_fields(device: Device) -> LabelFields | None:
    """A reader for `DeviceResource`."""
    if device.serial_number is None and device.mac_wifi is None:
        return None
    return LabelFields(device.serial_number or msgspec.UNSET, device.mac_wifi or msgspec.UNSET)


class Labels:
    """Finds devices by their serial numbers, and opens mobile secrets."""

    def __init__(self, db: Database, clock: Clock, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault
        self._lookups: dict[UserId, deque[float]] = {}

    def find(self, caller: Caller, serial: str) -> Device:
        """The caller's device, or nobody's, with this serial number.

        Raises UnknownSerialNumberError, TooManyLookupsError.
        """
        self._count(caller.user_id)
        try:
            text = parse_serial(serial)
        except MalformedLabelError as error:
            raise UnknownSerialNumberError from error
        row = self._db.row(store.DEVICE_OF_SERIAL, {"serial_number": text})
        device = None if row is None else store.to_device(row)
        if device is None or device.owner_id not in (None, caller.user_id):
            raise UnknownSerialNumberError
        return device

    def secret_of(self, device: Device) -> str | None:
        """The mobile secret, for its owner's eyes."""
        return None if device.mobile_secret is None else self._open(device.mobile_secret)

    def read_detail(self, device: Device) -> LabelDetail | None:
        """A reader for `DeviceResource`, for the single device."""
        if device.mobile_secret is None:
            return None
        return LabelDetail(self._open(device.mobile_secret))

    def _open(self, sealed: bytes) -> str:
        return self._vault.open(sealed, SECRET_PURPOSE).decode()

    def _count(self, user_id: UserId) -> None:
        now_s = self._clock.monotonic()
        made = self._lookups.setdefault(user_id, deque(maxlen=LOOKUPS))
        if len(made) == LOOKUPS and now_s - made[0] < LOOKUPS_WITHIN_S:
            raise TooManyLookupsError
        made.append(now_s)


def _secret(text: str) -> str | None:
    if not text:
        return None
    if len(text) > MAX_SECRET_CHARACTERS or not text.isascii() or not text.isprintable():
        raise MalformedLabelError("A mobile secret has at most 32 printable characters.")
    return text


def _digits(name: str, text: str | None) -> str | None:
    if text is not None and not (text.isascii() and _DIGITS[name].match(text)):
        counts = {"iccid": "from 18 to 22", "imei": "15"}
        raise MalformedLabelError(
            f"An {name.upper()} has {counts[name]} digits, unlike {text[:40]!r}."
        )
    return text


def _mac(text: str | None) -> str | None:
    if text is None:
        return None
    digits = re.sub(r"[:\-. ]", "", text.lower())
    if not _MAC.match(digits):
        raise MalformedLabelError(f"A MAC address has 12 hex digits, unlike {text[:40]!r}.")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
