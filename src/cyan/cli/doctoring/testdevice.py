"""The simulated device of the self-test: the simulator as a process of its own."""

import contextlib
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from cyan.cli.doctoring.hosts import to_connect_to
from cyan.cli.doctoring.processes import TCP, UDP, Socket
from cyan.core.ids import DeviceId, parse_device_id
from cyan.devices import registry

ONLINE_WITHIN_S: Final = 20.0
"""Three sends of a lost datagram, 3, 6 and 12 s apart (device-protocol.md §1.4.2), may miss it; on
loopback none gets lost."""

ATTEMPTS: Final = 3
"""That end at once, a second apart, tell as much as more of them."""

ACKNOWLEDGED_WITHIN_S: Final = 15.0
"""The server gives up on its log, and says so, after 10 s."""

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


class Identity(msgspec.Struct, frozen=True):
    """A simulated device as the simulator makes it from a seed."""

    seed: str
    device_id: DeviceId
    public_key: bytes


class Course(msgspec.Struct):
    """How far the device came; times in seconds from its start."""

    online_s: float | None = None
    acknowledged_s: float | None = None
    acknowledged: list[str] = []
    ended: list[str] = []
    """Why connections or attempts ended."""
    said: str = ""
    """What the simulator had to say when it ended by itself."""


def make_identity(transport: str) -> Identity:
    """A device that has never been before, of a board that speaks this transport."""
    seed = secrets.token_hex(8)
    board = ("--count", "1", "--platform", BOARDS[transport])
    said = subprocess.run(
        [*SIMULATOR, *board, "--seed", seed, "--print-keys"],
        capture_output=True,
        text=True,
        timeout=ONLINE_WITHIN_S,
        check=True,
    ).stdout
    (device,) = json.loads(said)["devices"]
    public_key = registry.read_public_key(device["public_key"].encode())
    return Identity(seed, parse_device_id(device["id"]), public_key)


def connect(scratch: Path, identity: Identity, endpoint: Socket, public_key: bytes) -> Course:
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


def _follow(process: "subprocess.Popen[bytes]", output: Path, journal: Path) -> Course:
    course = Course()
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
    with undisturbed():
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdin is not None:
            process.stdin.close()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A Ctrl-C does not keep us from cleaning up, which is over in seconds."""
    before = [signal.signal(number, signal.SIG_IGN) for number in ENDINGS]
    try:
        yield
    finally:
        for number, handler in zip(ENDINGS, before, strict=True):
            signal.signal(number, handler)
