"""Which key proves which device.

The handshake has proved that the peer holds a key; the id comes after it, in Hello, unproven. A
device gets in when the two belong together: one key belongs to one device, for good, until its
owner or the operator forgets it.
"""

import hashlib
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import Connection, Row

from cyan.audit import store as audit
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import ConflictError
from cyan.core.ids import DeviceId, UserId
from cyan.devices import store

REGISTERED: Final = "registered"
OPEN: Final = "open"
"""Enrolment: `open` takes an unknown id with the first key that is seen for it."""

UNKNOWN_DEVICE: Final = "unknown_device"
WRONG_KEY: Final = "wrong_key"
KEY_OF_ANOTHER_DEVICE: Final = "key_of_another_device"

_log = structlog.get_logger(__name__)


class Admitted(msgspec.Struct, frozen=True):
    """The key is the device's own; `newly_pinned` when it became so just now."""

    newly_pinned: bool


class Refused(msgspec.Struct, frozen=True):
    """The device may not come in; `reason` is one of this module's three words."""

    reason: str


Admission = Admitted | Refused


class KeyInUseError(ConflictError):
    """That key belongs to another device."""


def fingerprint(public_key: bytes) -> str:
    """SHA-256 of the SubjectPublicKeyInfo (DER) in hex: what operators compare."""
    return hashlib.sha256(public_key).hexdigest()


def find_by_key(db: Database, public_key: bytes) -> DeviceId | None:
    """The device that this key (SPKI, DER) is pinned to."""
    row = db.row(store.HOLDER_OF_KEY, {"key_fingerprint": fingerprint(public_key)})
    return None if row is None else DeviceId(row.id)


def is_pinned(db: Database, device_id: DeviceId, public_key: bytes) -> bool:
    """Whether this key is already the device's own: what nearly every Hello finds."""
    return find_key(db, device_id) == public_key


def find_key(db: Database, device_id: DeviceId) -> bytes | None:
    """The key (SPKI, DER) that is pinned to this device, None without one."""
    rows = store.KEY_QUICKLY.rows(db, {"id": device_id})
    key: bytes | None = rows[0][0] if rows else None
    return key


def has_any_connected(db: Database, size_bytes: int) -> bool:
    """Whether any device with a key of this size has been online. The size tells its kind: 91 for
    P-256 (UDP), 162 for RSA-1024 (TCP)."""
    return db.row(store.CONNECTED_WITH_KEY_OF, {"size": size_bytes}) is not None


def judge(db: Database, device_id: DeviceId, public_key: bytes, enrolment: str) -> Admission:
    """What `admit` would say of this key, by reading alone."""
    row = db.row(store.KEY, {"id": device_id})
    holder = db.row(store.HOLDER_OF_KEY, {"key_fingerprint": fingerprint(public_key)})
    return _judge(device_id, row, None if holder is None else holder.id, enrolment)


async def admit(
    db: Database, clock: Clock, device_id: DeviceId, public_key: bytes, enrolment: str
) -> Admission:
    """Whether a peer that has proved `public_key` (SPKI, DER) may be `device_id`.

    A registered device without a key gets the first one seen. Pinning is audited and logged.
    """
    if is_pinned(db, device_id, public_key):
        return Admitted(newly_pinned=False)
    seen = judge(db, device_id, public_key, enrolment)
    if isinstance(seen, Refused):
        return seen
    # The writer judges again: another handshake may have pinned a key since the reads above.
    at_ms = clock.now_ms()
    admission = await db.write(
        lambda connection: _pin_first_key(connection, device_id, public_key, enrolment, at_ms)
    )
    if isinstance(admission, Admitted) and admission.newly_pinned:
        print_ = fingerprint(public_key)
        _log.warning("device.key_pinned", device_id=device_id, fingerprint=print_)
    return admission


def add(
    connection: Connection,
    device_id: DeviceId,
    *,
    actor: str,
    at_ms: int,
    name: str | None = None,
    owner_id: UserId | None = None,
) -> None:
    """Make the id known, without a key. The caller has checked that it is new."""
    connection.execute(
        store.ADD,
        {
            "id": device_id,
            "name": name,
            "owner_id": owner_id,
            "registered_at_ms": at_ms,
            "claimed_at_ms": None if owner_id is None else at_ms,
        },
    )
    detail: dict[str, object] = {} if owner_id is None else {"owner": owner_id}
    audit.record(connection, actor, "device.registered", f"device:{device_id}", detail, at_ms=at_ms)


def pin(
    connection: Connection, device_id: DeviceId, public_key: bytes, *, actor: str, at_ms: int
) -> None:
    """Give a device without a key this one. Raises KeyInUseError."""
    print_ = fingerprint(public_key)
    holder = connection.execute(store.HOLDER_OF_KEY, {"key_fingerprint": print_}).scalar()
    if holder is not None:
        raise KeyInUseError
    connection.execute(
        store.PIN_KEY,
        {
            "device_id": device_id,
            "public_key": public_key,
            "key_fingerprint": print_,
            "key_pinned_at_ms": at_ms,
        },
    )
    detail: dict[str, object] = {"fingerprint": print_}
    audit.record(connection, actor, "device.key_pinned", f"device:{device_id}", detail, at_ms=at_ms)


def replace(
    connection: Connection, device_id: DeviceId, public_key: bytes, *, actor: str, at_ms: int
) -> None:
    """Let another key prove a device than the one that is pinned to it. Raises KeyInUseError."""
    print_ = fingerprint(public_key)
    if connection.execute(store.HOLDER_OF_KEY, {"key_fingerprint": print_}).scalar() is not None:
        raise KeyInUseError
    previous = connection.execute(store.KEY, {"id": device_id}).one().key_fingerprint
    connection.execute(
        store.REPLACE_KEY,
        {
            "device_id": device_id,
            "public_key": public_key,
            "key_fingerprint": print_,
            "key_pinned_at_ms": at_ms,
        },
    )
    detail: dict[str, object] = {"fingerprint": print_, "previous": previous}
    subject = f"device:{device_id}"
    audit.record(connection, actor, "device.key_replaced", subject, detail, at_ms=at_ms)


def _pin_first_key(
    connection: Connection, device_id: DeviceId, public_key: bytes, enrolment: str, at_ms: int
) -> Admission:
    row = connection.execute(store.KEY, {"id": device_id}).first()
    holder = connection.execute(
        store.HOLDER_OF_KEY, {"key_fingerprint": fingerprint(public_key)}
    ).scalar()
    admission = _judge(device_id, row, holder, enrolment)
    if isinstance(admission, Refused) or not admission.newly_pinned:
        return admission
    actor = f"device:{device_id}"
    if row is None:
        add(connection, device_id, actor=actor, at_ms=at_ms)
    pin(connection, device_id, public_key, actor=actor, at_ms=at_ms)
    return admission


def _judge(
    device_id: DeviceId, row: Row[*tuple[Any, ...]] | None, holder: str | None, enrolment: str
) -> Admission:
    """The rule: `row` holds the key of the id, if the id is known, `holder` the id of the key."""
    if holder is not None:
        own = holder == device_id
        return Admitted(newly_pinned=False) if own else Refused(KEY_OF_ANOTHER_DEVICE)
    if row is None:
        return Admitted(newly_pinned=True) if enrolment == OPEN else Refused(UNKNOWN_DEVICE)
    return Admitted(newly_pinned=True) if row.public_key is None else Refused(WRONG_KEY)
