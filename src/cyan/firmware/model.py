"""What an attempt to update a device is: its states, why it failed, the facts told about it."""

from enum import StrEnum
from typing import Final

import msgspec

from cyan.core.errors import ConflictError, InvalidError, NotFoundError
from cyan.core.ids import DeviceId, UserId

MAX_FILE_NAME_CHARACTERS: Final = 128
"""Ours. Of the last segment of the name that a client sent."""

MAX_DETAIL_CHARACTERS: Final = 500
"""Ours. Of a sentence that says why."""


class State(StrEnum):
    """Where an attempt is. It only ever moves down this list."""

    QUEUED = "queued"
    """Another attempt of the same device is ahead of it."""
    WAITING = "waiting"
    """For the device: that it is asked, connected, or takes updates."""
    SENDING = "sending"
    """The device has agreed; bytes flow, or will flow again after an interruption."""
    SENT = "sent"
    """The device has them all and checks them."""
    VERIFYING = "verifying"
    """The device has confirmed and restarts; what it reports then decides."""
    DONE = "done"
    FAILED = "failed"


_ORDER: Final = {state: place for place, state in enumerate(State)}

ENDED: Final = frozenset({State.DONE, State.FAILED})


def may_follow(state: State, before: State) -> bool:
    """Whether an attempt may go from `before` to `state`."""
    return before not in ENDED and _ORDER[state] > _ORDER[before]


class Cause(StrEnum):
    """Why there is an attempt."""

    FLASH = "flash"
    """A person sent a file, a source or the name of an application."""
    ASSET = "asset"
    """An asset that belongs to an application."""
    REPAIR = "repair"
    """A module without which the device is in safe mode."""


class Reason(StrEnum):
    """Why an attempt failed, as a word."""

    OFFLINE = "offline"
    REFUSED = "refused"
    DISABLED = "disabled"
    INTERRUPTED = "interrupted"
    TIMEOUT = "timeout"
    NOT_VERIFIED = "not_verified"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    """An attempt that it depends on failed."""
    IMAGE_LOST = "image_lost"
    RELEASED = "released"
    """The device changed its owner."""


class ModuleGoal(msgspec.Struct, frozen=True):
    """What a device has to report so that the update is done.

    `hash` is the SHA-256 of the application, or of an asset's raw data, in hex; "" where only the
    version tells.
    """

    function: int
    index: int = 0
    version: int = 0
    hash: str = ""
    name: str = ""
    """Of an asset."""
    product_version: int | None = None


class NewAttempt(msgspec.Struct, frozen=True):
    """One file that is to be sent to a device."""

    cause: Cause
    file_name: str
    image_sha256: str
    size_bytes: int
    goal: ModuleGoal


class Attempt(msgspec.Struct, frozen=True):
    """One file for one device, as stored. Stamps are milliseconds since 1970."""

    id: str
    device_id: DeviceId
    user_id: UserId | None
    """Who asked for it; None for the cloud itself."""
    cause: Cause
    batch: str
    """Attempts of one request have the same; they run in the order of `position`."""
    position: int
    state: State
    file_name: str
    image_sha256: str
    size_bytes: int
    goal: ModuleGoal
    created_at_ms: int
    changed_at_ms: int
    sent_bytes: int = 0
    tries: int = 0
    """How often it was begun or gone on with."""
    idle_tries: int = 0
    """The last of these that brought no byte."""
    obstacle: str | None = None
    """Why it does not go on now, as a sentence; None while it does."""
    ended_at_ms: int | None = None
    reason: Reason | None = None
    detail: str | None = None
    """Why it failed, as a sentence."""
    code: int | None = None
    """The error number that the device gave (device-protocol.md §5.6)."""

    @property
    def is_open(self) -> bool:
        return self.state not in ENDED


class UpdateProgressed(msgspec.Struct, frozen=True):
    """An attempt to update a device has a new state, or more of its bytes have arrived.

    Told after each change of the state is stored, and at most twice a second beside that.
    """

    device_id: DeviceId
    attempt_id: str
    state: State
    sent_bytes: int
    size_bytes: int


class UnknownAttemptError(NotFoundError):
    """There is no such update of this device."""


class AttemptEndedError(ConflictError):
    """This update has ended already."""


class NotFlashableError(InvalidError):
    """This file cannot be sent to the device."""
