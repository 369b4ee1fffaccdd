"""Updates of a device in the words of a page."""

from collections.abc import Iterable
from typing import Final

import msgspec

from cyan.firmware.model import Attempt, Cause, State, UpdateProgressed

UPDATES_SHOWN: Final = 5
"""On the page of a device; the others are a click away."""

_WORDS: Final = {
    State.QUEUED: "waits for its turn",
    State.WAITING: "waits for the device",
    State.SENDING: "is being sent",
    State.SENT: "the device checks it",
    State.VERIFYING: "the device restarts with it",
    State.DONE: "done",
    State.FAILED: "failed",
}

_KINDS: Final = {State.DONE: "good", State.FAILED: "bad"}

_CAUSES: Final = {
    Cause.FLASH: "",
    Cause.ASSET: "an asset of the application",
    Cause.REPAIR: "repairs what the device was missing",
}


class Update(msgspec.Struct, frozen=True):
    """An attempt as it is shown. `note` is why it does not go on or why it failed; `percent` is of
    the bytes that the device has, None when there is nothing to measure."""

    id: str
    file_name: str
    size_bytes: int
    words: str
    kind: str
    is_open: bool
    percent: int | None
    sent_bytes: int
    note: str
    cause: str
    begun_ms: int
    ended_ms: int | None
    tries: int


def of_attempts(
    attempts: Iterable[Attempt], progress: UpdateProgressed | None = None
) -> list[Update]:
    """In the same order. `progress` is what was told last of one of them."""
    return [_update(attempt, progress) for attempt in attempts]


def _update(attempt: Attempt, progress: UpdateProgressed | None) -> Update:
    sent_bytes = attempt.sent_bytes
    if progress is not None and progress.attempt_id == attempt.id:
        sent_bytes = max(sent_bytes, progress.sent_bytes)
    is_measured = attempt.state in (State.SENDING, State.SENT) and attempt.size_bytes
    return Update(
        id=attempt.id,
        file_name=attempt.file_name,
        size_bytes=attempt.size_bytes,
        words=_WORDS[attempt.state],
        kind=_KINDS.get(attempt.state, "info"),
        is_open=attempt.is_open,
        percent=100 * sent_bytes // attempt.size_bytes if is_measured else None,
        sent_bytes=sent_bytes,
        note=(attempt.obstacle if attempt.is_open else attempt.detail) or "",
        cause=_CAUSES[attempt.cause],
        begun_ms=attempt.created_at_ms,
        ended_ms=attempt.ended_at_ms,
        tries=attempt.tries,
    )
