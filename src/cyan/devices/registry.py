"""What the operator does with devices, from the command line: add, list, look at keys.

These wait for the commit (`write_blocking`) and work beside a running server. They follow no plan:
the operator may give an account more devices than it could claim.
"""

from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from sqlalchemy import Connection

from cyan.audit import store as audit
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import ConflictError, InvalidError
from cyan.core.ids import DeviceId, UserId
from cyan.devices import keys, store
from cyan.devices.model import Device, UnknownDeviceError, check_name
from cyan.devices.naming import NameTakenError, name_for_owner

OPERATOR: Final = "operator"

MAX_KEY_FILE_BYTES: Final = 4096
"""A PEM of RSA-2048 has 451 bytes."""


class AlreadyRegisteredError(ConflictError):
    """That device id is registered already."""


class MalformedKeyError(InvalidError):
    """That is no public key of a device: P-256 or RSA, as PEM or DER (SubjectPublicKeyInfo)."""


class DeviceKey(msgspec.Struct, frozen=True):
    """The key that proves a device."""

    public_key: bytes
    """SubjectPublicKeyInfo, DER."""
    fingerprint: str
    pinned_at_ms: int


def read_public_key(content: bytes) -> bytes:
    """A key file's content, PEM or DER, as SubjectPublicKeyInfo in DER. Raises MalformedKeyError.

    The devices' own files are padded behind the DER (device-protocol.md §1.2); that is cut off.
    """
    if len(content) > MAX_KEY_FILE_BYTES:
        raise MalformedKeyError
    try:
        if b"-----BEGIN" in content:
            key = load_pem_public_key(content)
        else:
            key = load_der_public_key(_unpadded(content))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedKeyError from error
    known = isinstance(key, RSAPublicKey) or (
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    )
    if not known:
        raise MalformedKeyError
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def register_device(
    db: Database,
    clock: Clock,
    device_id: DeviceId,
    *,
    name: str | None = None,
    owner: UserId | None = None,
    public_key: bytes | None = None,
) -> Device:
    """Make a device known, with its key and its owner if given; an owned one gets a name.

    `public_key` is SubjectPublicKeyInfo in DER (`read_public_key`); without it the first key that
    connects under this id is pinned. Raises AlreadyRegisteredError, InvalidDeviceNameError,
    NameTakenError, KeyInUseError.
    """
    given = None if name is None else check_name(name)
    at_ms = clock.now_ms()

    def register(connection: Connection) -> Device:
        if connection.execute(store.OWNER, {"id": device_id}).first() is not None:
            raise AlreadyRegisteredError
        chosen = given
        if owner is not None:
            chosen = name_for_owner(connection, owner, given)
            if given is not None and chosen != given:
                raise NameTakenError
        keys.add(connection, device_id, actor=OPERATOR, at_ms=at_ms, name=chosen, owner_id=owner)
        if public_key is not None:
            keys.pin(connection, device_id, public_key, actor=OPERATOR, at_ms=at_ms)
        return store.to_device(connection.execute(store.DEVICE, {"id": device_id}).one())

    return db.write_blocking(register)


def find_device(db: Database, device_id: DeviceId) -> Device | None:
    """A device, whoever owns it."""
    row = db.row(store.DEVICE, {"id": device_id})
    return None if row is None else store.to_device(row)


def list_devices(db: Database, owner: UserId | None = None) -> list[Device]:
    """Every device, or every one of an owner, by id."""
    if owner is None:
        return [store.to_device(row) for row in db.rows(store.ALL_DEVICES)]
    rows = db.rows(store.DEVICES_OF_OWNER, {"owner_id": owner})
    return sorted((store.to_device(row) for row in rows), key=lambda device: device.id)


def show_key(db: Database, device_id: DeviceId) -> DeviceKey | None:
    """The pinned key, None while there is none. Raises UnknownDeviceError."""
    row = db.row(store.KEY, {"id": device_id})
    if row is None:
        raise UnknownDeviceError
    if row.public_key is None:
        return None
    return DeviceKey(row.public_key, row.key_fingerprint, row.key_pinned_at_ms)


def forget_key(db: Database, clock: Clock, device_id: DeviceId) -> None:
    """Let the next key that connects under this id be pinned. Raises UnknownDeviceError."""
    at_ms = clock.now_ms()

    def forget(connection: Connection) -> None:
        row = connection.execute(store.KEY, {"id": device_id}).first()
        if row is None:
            raise UnknownDeviceError
        connection.execute(store.FORGET_KEY, {"device_id": device_id})
        audit.record(
            connection,
            OPERATOR,
            "device.key_forgotten",
            f"device:{device_id}",
            {"fingerprint": row.key_fingerprint},
            at_ms=at_ms,
        )

    db.write_blocking(forget)


def disconnect(db: Database, clock: Clock, device_id: DeviceId) -> None:
    """End the device's session, whatever process holds it: it notes the operator's wish, and the
    running server acts on it within a second. Raises UnknownDeviceError."""
    at_ms = clock.now_ms()

    def note(connection: Connection) -> None:
        if connection.execute(store.KEY, {"id": device_id}).first() is None:
            raise UnknownDeviceError
        subject = f"device:{device_id}"
        audit.record(connection, OPERATOR, "device.disconnected", subject, at_ms=at_ms)

    db.write_blocking(note)


def _unpadded(content: bytes) -> bytes:
    """The DER sequence at the start of `content`, by the length that it states (X.690 §8.1.3)."""
    if len(content) < 4 or content[0] != 0x30:
        return content
    first = content[1]
    if first < 0x80:
        return content[: 2 + first]
    size = first & 0x7F
    return content[: 2 + size + int.from_bytes(content[2 : 2 + size], "big")]
