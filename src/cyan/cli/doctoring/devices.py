"""Devices that do not come, or too often: who was refused and why, who connects over and over, and
who was never seen."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import msgspec

from cyan.cli.doctoring import store
from cyan.cli.doctoring.database import is_current
from cyan.cli.doctoring.finding import MAX_SHOWN, Finding, counted, ok, shown_some, warning
from cyan.cli.doctoring.installation import Installation
from cyan.core.clock import iso_ms
from cyan.core.db.engine import Database
from cyan.devices import keys, refusals
from cyan.devices.refusals import Refusal
from cyan.gateway.admission import NO_KEY

RECENT_MS: Final = 7 * 24 * 3600 * 1000
"""Of what is older than a week, nobody wonders any more."""

AGAIN_MS: Final = 24 * 3600 * 1000
"""Who connected over and over longer ago than a day has stopped."""

TIME_TO_COME_MS: Final = 3600 * 1000
"""From the registration of a device: it may still lie in its box."""

_READ: Final = 200


class _Reason(msgspec.Struct, frozen=True):
    """What a reason means, and what the operator does. `{id}` is the device's id."""

    meaning: str
    next_step: str


_REASONS: Final = {
    keys.UNKNOWN_DEVICE: _Reason(
        "not registered here",
        'If it is yours, `cyan device add {id}`. To let every board in: enrolment = "open".',
    ),
    keys.WRONG_KEY: _Reason(
        "it has another key than the one that is pinned to it",
        "If its key was made anew (erased, or `particle keys doctor`), `cyan device key {id} "
        "--forget`. If not, someone else uses its id.",
    ),
    keys.KEY_OF_ANOTHER_DEVICE: _Reason(
        "its key belongs to another device",
        "Two ids with one key come from a copied flash: `particle keys doctor {id}` gives it a key "
        "of its own.",
    ),
    NO_KEY: _Reason(
        "very old firmware that does not send its key, and none is known here",
        "Read its key out of the board with `particle keys save`, and register the board with the "
        "public half: `cyan device add {id} --key <file>`.",
    ),
}
_OTHER_REASON: Final = _Reason("{reason}", "Look for {id} in the server's log.")


def check_refused(installation: Installation) -> Iterator[Finding]:
    """Each device that knocked and was not let in, the latest first."""
    if not is_current(installation):
        return
    with closing(Database(installation.config.database_path)) as db:
        since_ms = installation.clock.now_ms() - RECENT_MS
        found = [one for one in refusals.list_recent(db, _READ) if one.last_at_ms >= since_ms]
        found = [
            one
            for one in found
            if one.reason != refusals.AGAIN_AND_AGAIN and not _is_settled(db, one)
        ]
    for one in found[:MAX_SHOWN]:
        yield _refused(one)
    if len(found) > MAX_SHOWN:
        yield warning(
            "devices.refused",
            f"{counted(len(found) - MAX_SHOWN, 'more device was', 'more devices were')} refused in "
            "the last week.",
            "See to those above first, then run this again.",
        )
    if not found:
        yield ok("devices.refused", "none was refused in the last week")


def check_again_and_again(installation: Installation) -> Iterator[Finding]:
    """Devices that are let in and make one full handshake after the other."""
    if not is_current(installation):
        return
    with closing(Database(installation.config.database_path)) as db:
        since_ms = installation.clock.now_ms() - AGAIN_MS
        found = [
            one
            for one in refusals.list_recent(db, _READ)
            if one.reason == refusals.AGAIN_AND_AGAIN and one.last_at_ms >= since_ms
        ]
    for one in found[:MAX_SHOWN]:
        yield warning(
            "devices.handshakes",
            f"{one.device_id} connects again and again: {counted(one.count, 'full handshake')} in "
            f"busy hours, the last at {iso_ms(one.last_at_ms)} from {one.address} over "
            f"{one.transport.upper()}.",
            "If its addresses in the log (`session.replaced`) go to and fro, two boards have one "
            "id and key, from a copied flash: `particle keys doctor` gives one a key of its own. "
            "If not, it crashes (its `spark/device/last_reset` events say so), or its network "
            "drops what it sends.",
        )
    if not found:
        yield ok("devices.handshakes", "none connected again and again in the last day")


def check_never_online(installation: Installation) -> Iterator[Finding]:
    """Devices that are registered and have never come online."""
    if not is_current(installation):
        return
    with closing(Database(installation.config.database_path)) as db:
        before_ms = installation.clock.now_ms() - TIME_TO_COME_MS
        found, total = store.list_never_online(db, before_ms, MAX_SHOWN)
    if not total:
        yield ok("devices.never_online", "all that were registered for an hour have been online")
        return
    shown = [one.id + (f" ({one.name})" if one.name else "") for one in found]
    more = f" and {total - len(found):,} more" if total > len(found) else ""
    yield warning(
        "devices.never_online",
        f"{counted(total, 'registered device has', 'registered devices have')} never been online: "
        f"{shown_some(shown)}{more}.",
        "A board that blinks cyan has the wrong address or server key: see "
        "docs/howto/connect-a-board.md. An id that was mistyped never comes.",
    )


def _refused(one: Refusal) -> Finding:
    reason = _REASONS.get(one.reason, _OTHER_REASON)
    meaning = reason.meaning.format(reason=one.reason)
    key = f", key SHA-256 {one.fingerprint[:16]}…" if one.fingerprint else ""
    return warning(
        "devices.refused",
        f"{one.device_id} was refused: {meaning} ({one.reason}). Last at {iso_ms(one.last_at_ms)} "
        f"from {one.address} over {one.transport.upper()}, {counted(one.count, 'time')}{key}.",
        reason.next_step.format(id=one.device_id),
    )


def _is_settled(db: Database, one: Refusal) -> bool:
    """Whether the device has been let in since."""
    at_ms = store.last_handshake_ms(db, one.device_id)
    return at_ms is not None and at_ms > one.last_at_ms
