"""The data reaches the disk before the acknowledgement leaves, as the kernel saw it."""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from cyan.core.secrets import open_vault
from cyan.gateway.adoption import purpose
from cyan.gateway.session import decode_cold
from cyan.wire import coap
from cyan.wire.dtls.record import (
    APPLICATION_DATA,
    CID,
    DeviceRecords,
    Keys,
    ServerRecords,
    split_records,
)
from tests.system.processes import Server, serving, simulating, wait_until
from tests.system.strace import SystemCall, read_trace

RECEIVING: Final = ("recvmmsg", "recvfrom", "recvmsg")
SENDING: Final = ("sendmmsg", "sendto", "sendmsg")
WRITING: Final = ("pwrite64", "write", "pwritev", "writev")
SYNCING: Final = ("fsync", "fdatasync")

EVENTS: Final = 5

EVENT_BYTES: Final = 60
"""All events are as long, so that the data of none begins that of another."""

Said = tuple[SystemCall, coap.Message]
"""A message, and the call that moved it."""


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed.")
        pytest.skip("strace is not installed.")
    return found


def test_an_event_is_synced_to_disk_before_its_acknowledgement_leaves(
    tmp_path: Path, strace: str
) -> None:
    trace = tmp_path / "trace"
    traced = ",".join(RECEIVING + SENDING + WRITING + SYNCING)
    # As a grandchild (-D), so that the server is our own child and gets our signals.
    under = [strace, "-D", "-f", "-ttt", "-T", "-y", "-x", "-s", "8192", "-e", f"trace={traced}"]
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
        connection_id, keys = _session_keys(server)
    calls = read_trace(trace)
    received = _opened(calls, RECEIVING, ServerRecords(keys, connection_id))
    sent = _opened(calls, SENDING, DeviceRecords(keys, connection_id))
    for data in acknowledged:
        _assert_synced_before_acknowledged(calls, received, sent, data.encode())


def _session_keys(server: Server) -> tuple[bytes, Keys]:
    """Of the one session that there is, as the server has them for its own restart."""
    ((connection_id, format_number, sealed),) = server.rows(
        "SELECT connection_id, format, cold FROM gateway_session"
    )
    cold = open_vault(server.data).open(sealed, purpose(connection_id))
    keys = decode_cold(connection_id, format_number, cold).keys
    assert keys is not None
    return connection_id, keys


def _opened(
    calls: list[SystemCall], names: tuple[str, ...], records: ServerRecords | DeviceRecords
) -> list[Said]:
    """The CoAP messages of the session that these calls moved."""
    found: list[Said] = []
    for call in calls:
        if call.name not in names or call.result <= 0:
            continue
        for datagram in call.moved():
            if datagram[0] not in (APPLICATION_DATA, CID):
                continue
            for record in split_records(datagram):
                opened = records.open(record)
                if opened is not None and opened[0] == APPLICATION_DATA:
                    found.append((call, coap.decode(opened[1])))
    return found


def _assert_synced_before_acknowledged(
    calls: list[SystemCall], received: list[Said], sent: list[Said], data: bytes
) -> None:
    message_id = next(message.message_id for _, message in received if data in message.payload)
    acknowledged = next(
        call
        for call, message in sent
        if message.type == coap.ACK and message.message_id == message_id
    )
    written = next(
        call
        for call in calls
        if call.name in WRITING and any(data in piece for piece in call.moved())
    )
    assert written.file.endswith("/cyan.db-wal")
    synced = next(
        call
        for call in calls
        if call.name in SYNCING and call.file == written.file and call.began_us >= written.ended_us
    )
    assert synced.result == 0
    assert synced.ended_us <= acknowledged.began_us
