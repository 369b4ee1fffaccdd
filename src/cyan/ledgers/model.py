"""Ledgers as values, and their rules (rest-api-core.md §20, platform-semantics.md §16.2).

A definition names a ledger; each instance of it holds the data of one device, or of the account.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from cyan.core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from cyan.core.ids import UserId
from cyan.events.cbor import MAX_DEPTH
from cyan.ledgers.cbor import IntegerRangeError, encode

MAX_NAME_CHARACTERS: Final = 32
MAX_DESCRIPTION_CHARACTERS: Final = 1000
MAX_DATA_BYTES: Final = 16_384
"""As CBOR, in which devices keep and send it (device-protocol.md §6.2)."""

MAX_LEDGERS: Final = 100
"""Of one account, archived ones left out; ours. One device uses 20 at most."""

MAX_VERSIONS: Final = 100
"""Replaced states of one instance that are kept; ours. The oldest give way."""

_NAME: Final = re.compile(r"[a-z0-9-]+\Z")


class Scope(Enum):
    """Whose data an instance holds."""

    OWNER = "Owner"
    DEVICE = "Device"


class Direction(Enum):
    """Who writes a ledger that devices know; one without a direction stays in the cloud."""

    UPSTREAM = "Upstream"
    """The device writes."""
    DOWNSTREAM = "Downstream"
    """The cloud writes."""


class InvalidLedgerNameError(InvalidError):
    """A ledger's name has small letters, digits and dashes, at most 32, like pump-state."""


class InvalidLedgerError(InvalidError):
    """Send {"ledger": {"name": …, "description": text, "scope": "Owner" or "Device",
    "direction": "Upstream", "Downstream" or null}}."""


class UpstreamNeedsDeviceScopeError(InvalidError):
    """A ledger that devices write has the scope Device: each writes its own."""


class DirectionFixedError(ConflictError):
    """The direction of a ledger cannot be changed: devices that use it would stop. Make another
    ledger."""


class LedgerExistsError(ConflictError):
    """There is a ledger of this name already."""


class TooManyLedgersError(ConflictError):
    """An account has 100 ledgers at most. Archive one that you do not need."""


class UnknownLedgerError(NotFoundError):
    """There is no ledger of this name."""


class UnknownInstanceError(NotFoundError):
    """This ledger holds nothing for that."""


class UnknownVersionError(NotFoundError):
    """That version is not kept, or never was."""


class InvalidDataError(InvalidError):
    """Send {"instance": {"data": {…}}}: the data of a ledger is a JSON object, nested 15 deep at
    most."""


class TooMuchDataError(InvalidError):
    """The data of a ledger has 16384 bytes at most, as CBOR."""


class WrittenByDevicesError(ForbiddenError):
    """Only its device writes this ledger. You may read and delete what it wrote."""


class Definition(msgspec.Struct, frozen=True):
    """One ledger. Stamps are milliseconds since 1970."""

    id: str
    owner_id: UserId
    name: str
    description: str
    scope: Scope
    direction: Direction | None
    created_at_ms: int
    updated_at_ms: int
    archived_at_ms: int | None = None


class Instance(msgspec.Struct, frozen=True):
    """What a ledger holds, or held, for one device or the account."""

    scope_value: str
    """A device id, or the owner's."""
    version: int
    """Counts from 1, once for each state."""
    data: str
    """JSON."""
    size_bytes: int
    """As CBOR."""
    created_at_ms: int
    updated_at_ms: int
    replaced_at_ms: int | None = None


@dataclass(frozen=True)
class LedgerWritten:
    """The cloud wrote a ledger that devices read: theirs is old now."""

    owner_id: UserId
    name: str
    scope: Scope
    scope_value: str
    updated_at_ms: int


@dataclass(frozen=True)
class LedgersRedefined:
    """A ledger was made, changed or archived: what devices of the owner know of it is old now."""

    owner_id: UserId


def check_name(name: object) -> str:
    """Raises InvalidLedgerNameError."""
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARACTERS or not _NAME.match(name):
        raise InvalidLedgerNameError
    return name


def check_description(description: object) -> str:
    """Text, "" for none. Raises InvalidLedgerError."""
    if description is None:
        return ""
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION_CHARACTERS:
        raise InvalidLedgerError(
            f"A description is text of at most {MAX_DESCRIPTION_CHARACTERS} characters."
        )
    return description


def check_scope(scope: object) -> Scope:
    """Raises InvalidLedgerError."""
    try:
        return Scope(scope)
    except ValueError as error:
        raise InvalidLedgerError from error


def check_direction(direction: object, scope: Scope) -> Direction | None:
    """Raises InvalidLedgerError, UpstreamNeedsDeviceScopeError."""
    if direction is None:
        return None
    try:
        known = Direction(direction)
    except ValueError as error:
        raise InvalidLedgerError from error
    if known is Direction.UPSTREAM and scope is not Scope.DEVICE:
        raise UpstreamNeedsDeviceScopeError
    return known


def check_data(data: object) -> dict[str, Any]:
    """Raises InvalidDataError."""
    if not isinstance(data, dict) or _depth(data) >= MAX_DEPTH:
        raise InvalidDataError
    return data


def size_of(data: dict[str, Any]) -> int:
    """Bytes of the data as CBOR. Raises TooMuchDataError, InvalidDataError."""
    try:
        size = len(encode(data))
    except IntegerRangeError as error:
        raise InvalidDataError(f"{error.__doc__} Write a larger one as text.") from error
    if size > MAX_DATA_BYTES:
        raise TooMuchDataError(
            f"This data has {size} bytes as CBOR, in which devices keep it; a ledger takes"
            f" {MAX_DATA_BYTES} at most."
        )
    return size


def _depth(value: object) -> int:
    """How deep the containers of decoded JSON go; 1 for one without containers in it."""
    deepest = 0
    level: list[object] = [value]
    while level := [
        each
        for container in level
        for each in (container.values() if isinstance(container, dict) else container)  # type: ignore[attr-defined]
        if isinstance(each, dict | list)
    ]:
        deepest += 1
    return deepest + 1
