"""A device of our own that connects to the running server, publishes, and is gone afterwards.

It is a simulated device, registered for the minute that this takes. It belongs to nobody, so that
nobody sees it. Whatever happens meanwhile, its rows are taken out again; only the audit keeps that
it was there.
"""

import contextlib
import json
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from cyan.cli.doctoring import store
from cyan.cli.doctoring.database import is_current
from cyan.cli.doctoring.finding import Finding, ok, problem, warning
from cyan.cli.doctoring.hosts import to_connect_to
from cyan.cli.doctoring.installation import Installation
from cyan.cli.doctoring.keys import read_public_key
from cyan.cli.doctoring.processes import TCP, UDP, Socket
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, parse_device_id
from cyan.devices import refusals, registry
from cyan.devices.model import UnknownDeviceError
from cyan.events.store import tip

NAME: Final = "cyan-doctor"
"""Of the device, while it exists: what `cyan device list` shows."""

ONLINE_WITHIN_S: Final = 20.0
"""Three sends of a lost datagram, 3, 6 and 12 s apart (device-protocol.md §1.4.2), may miss it; on
loopback none gets lost."""

ATTEMPTS: Final = 3
"""That end at once, a second apart, tell as much as more of them."""

ACKNOWLEDGED_WITHIN_S: Final = 15.0
"""The server gives up on its log, and says so, after 10 s."""

FORGOTTEN_WITHIN_S: Final = 8.0
"""The server looks once a second at what commands did, and writes presence down once a second."""

LEFT_BEHIND_MS: Final = 10 * 60 * 1000
"""A device of a test that was killed is older than this; one of a test beside us is not."""

ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals by which a person, a supervisor or a closed terminal ends a command."""

SIMULATOR: Final = (sys.executable, "-m", "cyan.sim")
BOARDS: Final = {UDP: "argon", TCP: "photon"}
"""A board of the simulator for each transport, with the newest firmware that it runs."""
_PORT_OPTIONS: Final = {UDP: "--port", TCP: "--tcp-port"}

_EVENTS_PER_S: Final = "4"
_STEP_S: Final = 0.05
_STOPPED_WITHIN_S: Final = 5.0
_SHOWN_CHARACTERS: Final = 300


class _Identity(msgspec.Struct, frozen=True):
    """A simulated device as the simulator makes it from a seed."""

    seed: str
    device_id: DeviceId
    public_key: bytes


class _Course(msgspec.Struct):
    """How far the device came; times in seconds from its start."""

    online_s: float | None = None
    acknowledged_s: float | None = None
    acknowledged: list[str] = []
    ended: list[str] = []
    """Why connections or attempts ended."""
    said: str = ""
    """What the simulator had to say when it ended by itself."""


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
        for transport in BOARDS:
            endpoint = next((one for one in server.devices if one.transport == transport), None)
            public_key = read_public_key(installation, transport)
            if endpoint is None or public_key is None:
                yield ok(f"self_test.{transport}", f"{transport.upper()}: skipped, see above")
                continue
            yield from _test(db, installation.clock, endpoint, public_key)


def _test(db: Database, clock: Clock, endpoint: Socket, public_key: bytes) -> Iterator[Finding]:
    check, transport = f"self_test.{endpoint.transport}", endpoint.transport.upper()
    identity = _make_identity(BOARDS[endpoint.transport])
    after, _ = tip(db)
    with tempfile.TemporaryDirectory(prefix="cyan-doctor-") as scratch:
        try:
            registry.register_device(
                db, clock, identity.device_id, name=NAME, public_key=identity.public_key
            )
            course = _run(Path(scratch), identity, endpoint, public_key)
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
            f"{ACKNOWLEDGED_WITHIN_S:.0f} s.",
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
            "Run `cyan doctor` again later: it takes out what was left behind.",
        )


_REPORT: Final = "That is a fault of this program: please report it with this text."


def _not_online(check: str, endpoint: Socket, course: _Course, refused: list[str]) -> Finding:
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
        f"{transport}: nothing at {endpoint.shown} answered within {ONLINE_WITHIN_S:.0f} s.",
        "A firewall on this machine may drop even local datagrams (`nft list ruleset`). Else the "
        "server hangs: see its log and restart it.",
    )


def _make_identity(board: str) -> _Identity:
    seed = secrets.token_hex(8)
    said = subprocess.run(
        [*SIMULATOR, "--print-keys", "--count", "1", "--seed", seed, "--platform", board],
        capture_output=True,
        text=True,
        timeout=ONLINE_WITHIN_S,
        check=True,
    ).stdout
    (device,) = json.loads(said)["devices"]
    public_key = registry.read_public_key(device["public_key"].encode())
    return _Identity(seed, parse_device_id(device["id"]), public_key)


def _run(scratch: Path, identity: _Identity, endpoint: Socket, public_key: bytes) -> _Course:
    """Let the device connect and publish until the first event is acknowledged, or time is up."""
    key_file, journal = scratch / "server.der", scratch / "journal"
    output, errors = scratch / "output", scratch / "errors"
    key_file.write_bytes(public_key)
    command = [
        *SIMULATOR, "--count", "1", "--seed", identity.seed, "--json", "--stop-with-stdin",
        "--platform", BOARDS[endpoint.transport], "--server", to_connect_to(endpoint.host),
        _PORT_OPTIONS[endpoint.transport], str(endpoint.port),
        "--server-key", str(key_file), "--journal", str(journal), "--rate", _EVENTS_PER_S,
    ]  # fmt: skip
    with output.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # it ends with us, however we end
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,  # a Ctrl-C is for us, who then end it
        )
    try:
        course = _follow(process, output, journal)
        if process.poll() is not None:
            course.said = errors.read_text(errors="replace").strip()[-_SHOWN_CHARACTERS:]
            course.said = course.said or f"it ended with {process.returncode}"
        return course
    finally:
        _end(process)


def _follow(process: "subprocess.Popen[bytes]", output: Path, journal: Path) -> _Course:
    course = _Course()
    started = time.monotonic()
    deadline_s = ONLINE_WITHIN_S
    while process.poll() is None and time.monotonic() - started < deadline_s:
        time.sleep(_STEP_S)
        elapsed_s = time.monotonic() - started
        changes = [line for line in _lines(output) if "state" in line]
        course.ended = [str(line["reason"]) for line in changes if "reason" in line]
        if course.online_s is None:
            if any(line["state"] == "online" for line in changes):
                course.online_s = elapsed_s
                deadline_s = elapsed_s + ACKNOWLEDGED_WITHIN_S
            elif len(course.ended) >= ATTEMPTS:
                break
        course.acknowledged = _acknowledged(journal)
        if course.acknowledged:
            course.acknowledged_s = elapsed_s
            break
    return course


def _lines(output: Path) -> list[dict[str, object]]:
    text = output.read_text(errors="replace")
    found = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [line for line in found if isinstance(line, dict)]


def _acknowledged(journal: Path) -> list[str]:
    """The data of the acknowledged events: the third word of each whole line."""
    if not journal.exists():
        return []
    text = journal.read_text(errors="replace")
    return [line.split(" ", 2)[2] for line in text[: text.rfind("\n") + 1].splitlines()]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """With a goodbye, if it still can. Else it would come back after it was removed."""
    with _undisturbed():
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _remove_left_behind(db: Database, clock: Clock) -> None:
    before_ms = clock.now_ms() - LEFT_BEHIND_MS
    for device_id, registered_at_ms in store.list_left_behind(db, NAME, before_ms):
        _remove(db, clock, device_id, store.position_at(db, registered_at_ms))


def _remove(db: Database, clock: Clock, device_id: DeviceId, events_after: int) -> bool:
    """Let the server forget the device, then take out its rows; False when the server still has
    it."""
    with _undisturbed():
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


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A Ctrl-C does not keep us from cleaning up, which is over in seconds."""
    before = [signal.signal(number, signal.SIG_IGN) for number in ENDINGS]
    try:
        yield
    finally:
        for number, handler in zip(ENDINGS, before, strict=True):
            signal.signal(number, handler)
