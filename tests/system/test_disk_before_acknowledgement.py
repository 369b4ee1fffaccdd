"""The data reaches the disk before the acknowledgement leaves, as the kernel saw it."""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.system.processes import serving, simulating, wait_until
from tests.system.strace import SystemCall, read_trace

RECEIVING: Final = ("recvmmsg", "recvfrom", "recvmsg")
SENDING: Final = ("sendmmsg", "sendto", "sendmsg")
WRITING: Final = ("pwrite64", "write", "pwritev", "writev")
SYNCING: Final = ("fsync", "fdatasync")

EVENTS: Final = 5
LOOKED_AT: Final = 3
"""The last ones. The first may come while the device is still introducing itself, and then the
first datagram that follows an event need not be for it."""

EVENT_BYTES: Final = 60
"""All events are as long, so that the data of none begins that of another."""


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed.")
        pytest.skip("strace is not installed.")
    return found


def test_an_event_is_synced_to_disk_before_any_datagram_answers_it(
    tmp_path: Path, strace: str
) -> None:
    trace = tmp_path / "trace"
    traced = ",".join(RECEIVING + SENDING + WRITING + SYNCING)
    # As a grandchild (-D), so that the server is our own child and gets our signals.
    under = [strace, "-D", "-f", "-ttt", "-T", "-y", "-s", "8192", "-e", f"trace={traced}"]
    with serving(
        tmp_path / "data", {"CYAN_ENROLMENT": "open"}, [*under, "-o", str(trace)]
    ) as server:
        with simulating(
            server.key_file(), "--count", "1", "--rate", "2", "--event-size", str(EVENT_BYTES)
        ) as simulator:
            wait_until(lambda: len(simulator.acknowledged()) >= EVENTS, "events are acknowledged")
            acknowledged = simulator.acknowledged()
            simulator.stop()
        server.stop()
        wait_until(lambda: "+++ exited with 0 +++" in trace.read_text()[-200:], "the trace ended")
    calls = read_trace(trace)
    for data in acknowledged[EVENTS - LOOKED_AT :]:
        _assert_synced_before_answered(calls, data)


def _assert_synced_before_answered(calls: list[SystemCall], data: str) -> None:
    written = next(call for call in calls if call.name in WRITING and data in call.arguments)
    assert written.file.endswith("/cyan.db-wal")
    arrived = [
        call
        for call in calls
        if call.name in RECEIVING and call.result > 0 and call.ended_us <= written.began_us
    ][-1]
    synced = next(
        call
        for call in calls
        if call.name in SYNCING and call.file == written.file and call.began_us >= written.ended_us
    )
    answered = next(
        call
        for call in calls
        if call.name in SENDING
        and call.file == arrived.file
        and call.result > 0
        and call.began_us >= arrived.ended_us
    )
    assert synced.result == 0
    assert synced.ended_us <= answered.began_us
