"""A device of our own that connects to the running server, publishes, and is gone afterwards.

It is a simulated device, registered for the minute that this takes. It belongs to nobody, so that
nobody sees it. Whatever happens meanwhile, its rows are taken out again; only the audit keeps that
it was there.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from cyan.cli.doctoring import store, testdevice
from cyan.cli.doctoring.database import is_current
from cyan.cli.doctoring.finding import Finding, ok, problem, warning
from cyan.cli.doctoring.installation import Installation
from cyan.cli.doctoring.keys import read_public_key
from cyan.cli.doctoring.processes import Socket
from cyan.cli.doctoring.testdevice import Course, undisturbed
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.devices import refusals, registry
from cyan.devices.model import UnknownDeviceError
from cyan.events.store import tip

NAME: Final = "cyan-doctor"
"""Of the device, while it exists: what `cyan device list` shows."""

FORGOTTEN_WITHIN_S: Final = 8.0
"""The server looks once a second at what commands did, and writes presence down once a second."""

LEFT_BEHIND_MS: Final = 10 * 60 * 1000
"""A device of a test that was killed is older than this; one of a test beside us is not."""

_STEP_S: Final = 0.05

_REPORT: Final = "That is a fault of this program: please report it with this text."


def check_connecting(installation: Installation) -> Iterator[Finding]:
    """Over each transport that the server listens on."""
    server = installation.server
    why_not = None
    if server is None:
        why_not = "no server runs on this data folder"
    elif server.api is None or not server.devices:
        why_not = "the server does not answer: see above"
    elif not is_current(installation):
        why_not = "the database cannot be used: see above"
    if server is None or why_not is not None:
        yield ok("self_test.skipped", f"skipped: {why_not}")
        return
    with closing(Database(installation.config.database_path)) as db:
        _remove_left_behind(db, installation.clock)
        for transport in testdevice.BOARDS:
            endpoint = next((one for one in server.devices if one.transport == transport), None)
            public_key = read_public_key(installation, transport)
            if endpoint is None or public_key is None:
                yield ok(f"self_test.{transport}", f"{transport.upper()}: skipped, see above")
                continue
            yield from _test(db, installation.clock, endpoint, public_key)


def _test(db: Database, clock: Clock, endpoint: Socket, public_key: bytes) -> Iterator[Finding]:
    check, transport = f"self_test.{endpoint.transport}", endpoint.transport.upper()
    identity = testdevice.make_identity(endpoint.transport)
    after, _ = tip(db)
    with tempfile.TemporaryDirectory(prefix="cyan-doctor-") as scratch:
        try:
            registry.register_device(
                db, clock, identity.device_id, name=NAME, public_key=identity.public_key
            )
            course = testdevice.connect(Path(scratch), identity, endpoint, public_key)
            logged = store.events_of(db, identity.device_id, after)
            refused = [
                one for one in refusals.list_recent(db) if one.device_id == identity.device_id
            ]
        finally:
            is_gone = _remove(db, clock, identity.device_id, after)
    if course.said:
        yield problem(check, f"the simulated device could not be run: {course.said}", _REPORT)
    elif course.online_s is None:
        yield _not_online(check, endpoint, course, [one.reason for one in refused])
    elif course.acknowledged_s is None:
        yield problem(
            check,
            f"{transport}: the device came online, but no event of it was acknowledged within "
            f"{testdevice.ACKNOWLEDGED_WITHIN_S:.0f} s.",
            "The server cannot keep events: see the data folder and the database above, and its "
            "log.",
        )
    elif not {data.encode() for data in course.acknowledged} <= set(logged):
        yield problem(
            check,
            f"{transport}: an acknowledged event is not in the log of this database.",
            "The server writes elsewhere: was its data folder moved or replaced while it ran? "
            "Restart it.",
        )
    else:
        yield ok(
            check,
            f"{transport}: online after {course.online_s:.1f} s, an event acknowledged and in the "
            f"log after {course.acknowledged_s:.1f} s",
        )
    if not is_gone:
        yield warning(
            "self_test.removed",
            f"the server still holds the device of the test, {identity.device_id}.",
            "It is forgotten when it has been silent for long enough, or with the next restart.",
        )


def _not_online(check: str, endpoint: Socket, course: Course, refused: list[str]) -> Finding:
    transport = endpoint.transport.upper()
    if refused:
        return problem(
            check,
            f"{transport}: the server refused the device of the test ({refused[0]}), though it is "
            "registered.",
            "The server does not see this database: was its data folder moved or replaced while "
            "it ran? Restart it.",
        )
    if course.ended:
        return problem(
            check,
            f"{transport}: the device of the test could not come online: {course.ended[0]}.",
            "Compare the keys above: a server that was started before its key was replaced has "
            "the old one. Restart it, and see its log.",
        )
    return problem(
        check,
        f"{transport}: nothing at {endpoint.shown} answered within "
        f"{testdevice.ONLINE_WITHIN_S:.0f} s.",
        "A firewall on this machine may drop even local datagrams (`nft list ruleset`). Else the "
        "server hangs: see its log and restart it.",
    )


def _remove_left_behind(db: Database, clock: Clock) -> None:
    before_ms = clock.now_ms() - LEFT_BEHIND_MS
    for device_id, registered_at_ms in store.list_left_behind(db, NAME, before_ms):
        _remove(db, clock, device_id, store.position_at(db, registered_at_ms))


def _remove(db: Database, clock: Clock, device_id: DeviceId, events_after: int) -> bool:
    """Let the server forget the device, then take out its rows; False when the server still has
    it."""
    with undisturbed():
        # The running server ends the session of a device whose key an operator has forgotten.
        with contextlib.suppress(UnknownDeviceError):
            registry.forget_key(db, clock, device_id)
        deadline = time.monotonic() + FORGOTTEN_WITHIN_S
        while store.is_connected(db, device_id) and time.monotonic() < deadline:
            time.sleep(_STEP_S)
        is_gone = not store.is_connected(db, device_id)
        # Once more, because the server may have been about to write when we deleted.
        while _remove_rows(db, clock, device_id, events_after) and time.monotonic() < deadline:
            time.sleep(_STEP_S)
        return is_gone


def _remove_rows(db: Database, clock: Clock, device_id: DeviceId, events_after: int) -> int:
    at_ms = clock.now_ms()
    return db.write_blocking(
        lambda connection: store.remove_device(
            connection, device_id, events_after=events_after, actor=registry.OPERATOR, at_ms=at_ms
        )
    )
