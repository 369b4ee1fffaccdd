"""Claim codes: a person gets one, puts it on a device, and the device presents it when it connects
(platform-semantics.md §5.5).

| the code is | result |
|---|---|
| not known, used, or older than an hour | nothing changes |
| good, but its owner is at the limit of the plan | nothing changes, the code stays good |
| good, and the device is its owner's already | the code is used |
| good | the device is its owner's at once, whoever had it before |

Who can put a code on a device holds it in the hand: this is the one way in which a device changes
hands without its owner's word (§5.4). It never touches a device's membership in a product.
"""

import hashlib
import secrets
import string
from typing import Final

import msgspec
import structlog
from sqlalchemy import Connection

from cyan.accounts.people import require_account
from cyan.audit import store as audit
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import CyanError
from cyan.core.ids import DeviceId, UserId
from cyan.devices import store
from cyan.devices.claiming import give
from cyan.devices.model import DeviceClaimed
from cyan.devices.ownership import Ownership
from cyan.plans.model import DeviceLimitError
from cyan.rest.auth import Caller

CODE_CHARACTERS: Final = 63
"""The set-up console of the firmware takes no other length (platform-semantics.md §21 row 16)."""

_ALPHABET: Final = string.ascii_letters + string.digits
"""No character that a form, a URL or a shell would change on the way; 375 random bits."""

LIFE_MS: Final = 3600 * 1000
"""platform-semantics.md §5.5."""

KEPT_MS: Final = 24 * 3600 * 1000
"""How long the row of a code stays, so that the log can tell a late one from a made-up one."""

MAX_OPEN_CODES: Final = 200
"""Of one account at a time: a person needs one for each device that is being set up."""

CLAIMED: Final = "claimed"
ALREADY_OWN: Final = "already_own"
UNKNOWN: Final = "unknown"
USED: Final = "used"
EXPIRED: Final = "expired"
AT_LIMIT: Final = "at_limit"

_log = structlog.get_logger(__name__)


class TooManyClaimCodesError(CyanError):
    """You have made as many claim codes as one account may have unused. They end after an hour."""


class NewClaimCode(msgspec.Struct, frozen=True):
    """The code, which is not shown again, and the devices that its owner has already."""

    code: str
    device_ids: tuple[DeviceId, ...]


class Outcome(msgspec.Struct, frozen=True):
    """What presenting a code did; `word` is one of this module's."""

    word: str
    owner_id: UserId | None = None
    """Whose code it was, if it was known."""
    previous: UserId | None = None
    """Who lost the device to it."""


class ClaimCodes:
    """Makes codes for people, and tells what devices did with them."""

    def __init__(self, db: Database, clock: Clock, bus: Bus, ownership: Ownership) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._ownership = ownership

    async def create(self, caller: Caller) -> NewClaimCode:
        """A new code for the caller's next device. Raises TooManyClaimCodesError."""
        code = "".join(secrets.choice(_ALPHABET) for _ in range(CODE_CHARACTERS))
        at_ms = self._clock.now_ms()
        await self._db.write(lambda connection: _create(connection, code, caller.user_id, at_ms))
        # Not from `Ownership`: what a command gave the caller it has only when the device connects.
        own = store.LISTED_OF_OWNER.rows(self._db, {"owner_id": caller.user_id})
        return NewClaimCode(code, tuple(sorted(row[0] for row in own)))

    def on_used(self, device_id: DeviceId, outcome: Outcome) -> None:
        """The outcome of `use` is committed: all parts of the server shall know the new owner."""
        if outcome.word == CLAIMED:
            assert outcome.owner_id is not None
            self._ownership.refresh(device_id)
            self._bus.publish(DeviceClaimed(device_id, outcome.owner_id, outcome.previous))
        _log.info("device.claim_code", device_id=device_id, outcome=outcome.word)


def use(connection: Connection, code: str, device_id: DeviceId, at_ms: int) -> Outcome:
    """Do what the table of this module says (a unit of work for the writer).

    After the commit its outcome goes to `ClaimCodes.on_used`.
    """
    code_hash = hash_of(code)
    found = connection.execute(store.CLAIM_CODE, {"code_hash": code_hash}).first()
    device = connection.execute(store.OWNER_AND_NAME, {"id": device_id}).first()
    if found is None or device is None:
        return Outcome(UNKNOWN)
    owner_id = UserId(found.owner_id)
    if found.used_at_ms is not None:
        return Outcome(USED, owner_id)
    if at_ms - found.created_at_ms >= LIFE_MS:
        return Outcome(EXPIRED, owner_id)
    previous = None if device.owner_id is None else UserId(device.owner_id)
    if previous != owner_id:
        try:
            give(
                connection,
                device_id,
                owner_id,
                previous=previous,
                name=device.name,
                at_ms=at_ms,
                how="claim code",
            )
        except DeviceLimitError:
            return Outcome(AT_LIMIT, owner_id)
    connection.execute(
        store.USE_CLAIM_CODE,
        {"of_code_hash": code_hash, "by_device_id": device_id, "at_ms": at_ms},
    )
    if previous == owner_id:
        return Outcome(ALREADY_OWN, owner_id)
    return Outcome(CLAIMED, owner_id, previous)


def hash_of(code: str) -> str:
    """What is stored of a code: SHA-256 in hex."""
    return hashlib.sha256(code.encode(errors="replace")).hexdigest()


def _create(connection: Connection, code: str, owner_id: UserId, at_ms: int) -> None:
    require_account(connection, owner_id)
    connection.execute(store.FORGET_CLAIM_CODES, {"before_ms": at_ms - KEPT_MS})
    still_open = connection.execute(
        store.COUNT_OF_CLAIM_CODES, {"owner_id": owner_id, "after_ms": at_ms - LIFE_MS}
    ).scalar_one()
    if still_open >= MAX_OPEN_CODES:
        raise TooManyClaimCodesError
    connection.execute(
        store.ADD_CLAIM_CODE,
        {"code_hash": hash_of(code), "owner_id": owner_id, "created_at_ms": at_ms},
    )
    audit.record(
        connection, f"user:{owner_id}", "claim_code.created", f"user:{owner_id}", at_ms=at_ms
    )
