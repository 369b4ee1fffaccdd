"""Transfer requests: somebody asks the owner of a device for it, who accepts or refuses
(platform-semantics.md §5.2 and §5.4).

| a request is | when |
|---|---|
| open | for LIFE_MS, as long as the device has the owner who was asked |
| accepted | the owner said yes: the device is the requester's, whether it is online or not |
| refused | the owner said no; the requester may ask again |
| withdrawn | the requester did not want it any more |
| expired | nobody said anything in time, or the device went elsewhere |

The owner is told in a letter, whose link can answer without a login: who reads the owner's mail may
set a password anyway. The requester learns nothing of the owner but the answer.
"""

import hashlib
import hmac
from typing import Any, Final, Protocol

import msgspec
import structlog
from sqlalchemy import Connection, Row

from cyan.accounts.people import require_account
from cyan.audit import store as audit
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import ConflictError, CyanError, NotFoundError
from cyan.core.ids import (
    DeviceId,
    MalformedDeviceIdError,
    UserId,
    new_object_id,
    new_token,
    parse_device_id,
)
from cyan.devices import store, transferstore
from cyan.devices.claiming import give
from cyan.devices.model import DeviceClaimed, UnknownDeviceError
from cyan.devices.ownership import Ownership
from cyan.plans.model import DeviceLimitError
from cyan.rest.auth import Caller

OPEN: Final = "open"
ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
WITHDRAWN: Final = "withdrawn"
EXPIRED: Final = "expired"

LIFE_MS: Final = 7 * 24 * 3600 * 1000
"""Ours: people read their mail within a week."""

KEPT_MS: Final = 90 * 24 * 3600 * 1000
"""How long a request can still be looked at."""

MAX_OPEN_REQUESTS: Final = 20
"""Of one account at a time, so that nobody is written to about every device that there is."""

MAX_OPEN_FOR_OWNER: Final = 100
"""Waiting for one owner at a time, whoever asked: each of them was a letter."""

MAX_LISTED: Final = 200

_log = structlog.get_logger(__name__)


class TooManyTransfersError(CyanError):
    """Too many transfer requests are open. Wait for answers, or withdraw some."""


class UnknownTransferError(NotFoundError):
    """There is no such transfer request."""


class TransferEndedError(ConflictError):
    """This transfer request has ended already."""


class RequesterAtLimitError(ConflictError):
    """The person who asked cannot have more devices now. They may release one and ask again."""


class Transfer(msgspec.Struct, frozen=True):
    """A request as it stands. Stamps are milliseconds since 1970."""

    id: str
    device_id: DeviceId
    owner_id: UserId
    """Who was asked."""
    requester_id: UserId
    state: str
    """One of this module's words."""
    created_at_ms: int
    decided_at_ms: int | None

    @property
    def expires_at_ms(self) -> int:
        return self.created_at_ms + LIFE_MS


class Letters(Protocol):
    """Tells people; never waits and never fails. `app.py` supplies it."""

    def transfer_requested(self, transfer: Transfer, secret: str) -> None:
        """To the owner. `secret` answers the request without a login."""
        ...

    def transfer_decided(self, transfer: Transfer) -> None:
        """To the requester: accepted or refused."""
        ...


class Transfers:
    """Asks for devices and answers. A change of owner is one transaction with its audit."""

    def __init__(
        self, db: Database, clock: Clock, bus: Bus, ownership: Ownership, letters: Letters
    ) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._ownership = ownership
        self._letters = letters

    async def request(self, caller: Caller, id_text: str) -> Transfer:
        """Ask the owner for the device. Asking again gives the request that is open already.

        Raises UnknownDeviceError, also for one without an owner or of the caller's own, and
        TooManyTransfersError.
        """
        try:
            device_id = parse_device_id(id_text)
        except MalformedDeviceIdError as error:
            raise UnknownDeviceError from error
        secret = new_token()
        at_ms = self._clock.now_ms()
        transfer, is_new = await self._db.write(
            lambda connection: _request(connection, device_id, caller.user_id, secret, at_ms)
        )
        if is_new:
            self._letters.transfer_requested(transfer, secret)
        return transfer

    def list_of(self, caller: Caller) -> list[Transfer]:
        """The requests that wait for the caller or were made by them, newest first, at most
        MAX_LISTED; ended ones too."""
        rows = self._db.rows(
            transferstore.OF_PERSON, {"user_id": caller.user_id, "page": MAX_LISTED}
        )
        return [self._as_it_stands(row) for row in rows]

    def get_by_secret(self, transfer_id: str, secret: str) -> Transfer:
        """The request for who has the link of the owner's letter. Raises UnknownTransferError."""
        row = self._db.row(transferstore.ONE, {"id": transfer_id})
        if row is None or not _opens(row, secret):
            raise UnknownTransferError
        return self._as_it_stands(row)

    async def accept(self, caller: Caller, transfer_id: str) -> Transfer:
        """Give the device to who asked for it.

        Raises UnknownTransferError unless the caller was asked, TransferEndedError,
        RequesterAtLimitError.
        """
        return await self._decide(transfer_id, caller.user_id, ACCEPTED)

    async def refuse(self, caller: Caller, transfer_id: str) -> Transfer:
        """Keep the device. Raises UnknownTransferError, TransferEndedError."""
        return await self._decide(transfer_id, caller.user_id, REFUSED)

    async def withdraw(self, caller: Caller, transfer_id: str) -> Transfer:
        """Take the request back. Raises UnknownTransferError unless it is the caller's own,
        TransferEndedError."""
        return await self._decide(transfer_id, caller.user_id, WITHDRAWN)

    async def decide_by_secret(self, transfer_id: str, secret: str, *, accepts: bool) -> Transfer:
        """What the link of the owner's letter leads to. Raises as `accept` does."""
        asked = self.get_by_secret(transfer_id, secret)
        return await self._decide(transfer_id, asked.owner_id, ACCEPTED if accepts else REFUSED)

    async def _decide(self, transfer_id: str, decider: UserId, state: str) -> Transfer:
        at_ms = self._clock.now_ms()
        transfer = await self._db.write(
            lambda connection: _decide(connection, transfer_id, decider, state, at_ms)
        )
        if state == ACCEPTED:
            self._ownership.refresh(transfer.device_id)
            self._bus.publish(
                DeviceClaimed(transfer.device_id, transfer.requester_id, transfer.owner_id)
            )
        if state != WITHDRAWN:
            self._letters.transfer_decided(transfer)
        _log.info("device.transfer", device_id=transfer.device_id, state=state)
        return transfer

    def _as_it_stands(self, row: Row[*tuple[Any, ...]]) -> Transfer:
        owner = self._ownership.owner_of(DeviceId(row.device_id))
        return _read(row, owner, self._clock.now_ms())


def _request(
    connection: Connection, device_id: DeviceId, requester: UserId, secret: str, at_ms: int
) -> tuple[Transfer, bool]:
    require_account(connection, requester)
    owner = connection.execute(store.OWNER, {"id": device_id}).scalar()
    if owner is None or owner == requester:
        raise UnknownDeviceError
    connection.execute(transferstore.FORGET, {"before_ms": at_ms - KEPT_MS})
    since = {"open": OPEN, "after_ms": at_ms - LIFE_MS}
    own = connection.execute(
        transferstore.OPEN_OF_REQUESTER, {"requester_id": requester, **since}
    ).fetchall()
    for row in own:
        if row.device_id == device_id and row.owner_id == owner:
            return _read(row, owner, at_ms), False
    waiting = connection.execute(
        transferstore.COUNT_OF_OWNER, {"owner_id": owner, **since}
    ).scalar_one()
    if len(own) >= MAX_OPEN_REQUESTS or waiting >= MAX_OPEN_FOR_OWNER:
        raise TooManyTransfersError
    transfer = Transfer(new_object_id(), device_id, owner, requester, OPEN, at_ms, None)
    row_values = msgspec.structs.asdict(transfer) | {"secret_hash": _hash_of(secret)}
    connection.execute(transferstore.ADD, row_values)
    record(connection, transfer, requester, "transfer.requested", at_ms)
    return transfer, True


def _decide(
    connection: Connection, transfer_id: str, decider: UserId, state: str, at_ms: int
) -> Transfer:
    row = connection.execute(transferstore.ONE, {"id": transfer_id}).first()
    if row is None or decider != (row.requester_id if state == WITHDRAWN else row.owner_id):
        raise UnknownTransferError
    device = connection.execute(store.OWNER_AND_NAME, {"id": row.device_id}).first()
    transfer = _read(row, None if device is None else device.owner_id, at_ms)
    if transfer.state != OPEN:
        raise TransferEndedError(f"This transfer request is {transfer.state} already.")
    if state == ACCEPTED:
        try:
            give(
                connection,
                transfer.device_id,
                transfer.requester_id,
                previous=transfer.owner_id,
                name=None,
                at_ms=at_ms,
                how="transfer",
            )
        except DeviceLimitError as error:
            raise RequesterAtLimitError from error
    connection.execute(
        transferstore.DECIDE,
        {"of_id": transfer_id, "open": OPEN, "new_state": state, "at_ms": at_ms},
    )
    if state == ACCEPTED:
        record(connection, transfer, decider, "transfer.accepted", at_ms)
    elif state == REFUSED:
        record(connection, transfer, decider, "transfer.refused", at_ms)
    else:
        record(connection, transfer, decider, "transfer.withdrawn", at_ms)
    return msgspec.structs.replace(transfer, state=state, decided_at_ms=at_ms)


def record(
    connection: Connection, transfer: Transfer, actor: UserId, action: str, at_ms: int
) -> None:
    """What became of the request, in the audit of its device."""
    audit.record(
        connection,
        f"user:{actor}",
        action,
        f"device:{transfer.device_id}",
        {"transfer": transfer.id, "requester": transfer.requester_id},
        at_ms=at_ms,
    )


def _read(row: Row[*tuple[Any, ...]], owner: str | None, now_ms: int) -> Transfer:
    """The row, ended if it was still open but time or the device have gone on."""
    is_over = now_ms >= row.created_at_ms + LIFE_MS or owner != row.owner_id
    return Transfer(
        id=row.id,
        device_id=DeviceId(row.device_id),
        owner_id=UserId(row.owner_id),
        requester_id=UserId(row.requester_id),
        state=EXPIRED if row.state == OPEN and is_over else row.state,
        created_at_ms=row.created_at_ms,
        decided_at_ms=row.decided_at_ms,
    )


def _opens(row: Row[*tuple[Any, ...]], secret: str) -> bool:
    return hmac.compare_digest(_hash_of(secret), row.secret_hash)


def _hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
