"""The device that the doctor lets connect: it comes, publishes, and leaves nothing behind."""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from cyan.cli.doctoring import selftest, store, testdevice
from cyan.cli.doctoring.processes import TCP, UDP
from cyan.core.db.engine import Database
from tests.cli.doctor import doctor, found_by, installation, levels
from tests.system.dev import FREE_PORTS
from tests.system.processes import (
    CYAN,
    Server,
    done,
    environment,
    migrated,
    serving,
    wait_until,
)

SIMULATED = "5eed"
"""How the ids of simulated devices begin, and nobody else's here."""
ENDED_WITHIN_S = 15.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that lets in only devices that it knows."""
    with serving(tmp_path_factory.mktemp("tested") / "data", {"CYAN_TCP_PORT": "0"}) as server:
        yield server


def _traces(data: Path) -> list[tuple[str, str]]:
    """(table, column) of everything that mentions a device of a test, but for the audit, by which
    we know them."""
    found = []
    with closing(sqlite3.connect(f"file:{data / 'cyan.db'}?mode=ro", uri=True)) as connection:
        subjects = "SELECT DISTINCT substr(subject, 8) FROM audit_entry WHERE subject LIKE ?"
        ids = [row[0] for row in connection.execute(subjects, (f"device:{SIMULATED}%",))]
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for column in columns if table != "audit_entry" else ():
                mentions = f"SELECT 1 FROM {table} WHERE instr(CAST({column} AS TEXT), ?) LIMIT 1"
                if any(connection.execute(mentions, (one,)).fetchone() for one in ids):
                    found.append((table, column))
    return found


def _deeds(server: Server) -> list[str]:
    select = "SELECT action FROM audit_entry WHERE subject LIKE ? ORDER BY id"
    rows = server.rows(select, f"device:{SIMULATED}%")
    return [str(row[0]) for row in rows]


def test_a_device_comes_online_publishes_and_leaves_nothing_but_its_audit(server: Server) -> None:
    bystander = "0123456789abcdef01234567"
    done("device", "add", bystander, "--data", server.data)
    with closing(sqlite3.connect(server.data / "cyan.db")) as connection, connection:
        connection.execute(
            "INSERT INTO devices_presence VALUES (?, 0, 'main', 0, 1, 1, '')", (bystander,)
        )
    examined = doctor(server.data)
    assert examined.exit_code == 0
    for transport in (UDP, TCP):
        found = examined.one(f"self_test.{transport}")
        assert found["level"] == "ok"
        assert "an event acknowledged and in the log" in found["found"]
    of_one = [f"device.{deed}" for deed in ("registered", "key_pinned", "key_forgotten", "removed")]
    assert _deeds(server) == of_one * 2
    assert len(server.logged("device.online")) == 2
    assert _traces(server.data) == []
    wait_until(lambda: server.metric("cyan_devices_online") == 0, "they count as offline")
    assert server.rows("SELECT id FROM devices_device") == [(bystander,)]
    assert server.rows("SELECT device_id FROM devices_presence") == [(bystander,)]
    assert server.rows("SELECT COUNT(*) FROM gateway_session") == [(0,)]


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "registered"),
        (signal.SIGINT, "online"),
        (signal.SIGTERM, "online"),
        (signal.SIGHUP, "online"),
    ],
)
def test_whoever_ends_it_meanwhile_ends_the_device_too(
    server: Server, number: int, moment: str
) -> None:
    online_before = len(server.logged("device.online"))
    ids = "SELECT id FROM devices_device WHERE name = ?"
    process = subprocess.Popen(
        [CYAN, "doctor", "--data", server.data],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(FREE_PORTS),
    )
    try:
        if moment == "registered":
            wait_until(lambda: bool(server.rows(ids, selftest.NAME)), "a device is registered")
        else:
            wait_until(lambda: len(server.logged("device.online")) > online_before, "it is online")
        simulators = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.send_signal(signal.SIGINT)  # an impatient one
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    assert b"Aborted" in said
    assert _traces(server.data) == []
    _, left = psutil.wait_procs(simulators, ENDED_WITHIN_S)
    assert left == []


def test_what_a_killed_doctor_left_behind_is_taken_out_by_the_next(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen(
        [CYAN, "doctor", "--data", server.data],
        stdout=subprocess.DEVNULL,
        env=environment(FREE_PORTS),
    )
    events = f"SELECT COUNT(*) FROM events_event WHERE origin LIKE '{SIMULATED}%'"
    try:
        wait_until(lambda: server.rows(events) != [(0,)], "its device has published")
        simulators = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.wait()
    # They end with the one who started them.
    assert psutil.wait_procs(simulators, ENDED_WITHIN_S)[1] == []
    left = _traces(server.data)
    assert ("devices_device", "id") in left
    assert ("events_event", "origin") in left
    with closing(Database(server.data / "cyan.db")) as db:
        before_ms = time.time_ns() // 1_000_000 - selftest.LEFT_BEHIND_MS
        beside_us = store.list_left_behind(db, selftest.NAME, before_ms)
        assert beside_us == [], "It could be the device of a test beside us."
    with closing(sqlite3.connect(server.data / "cyan.db")) as connection, connection:
        connection.execute(
            "UPDATE devices_device SET registered_at_ms = registered_at_ms - ? WHERE name = ?",
            (selftest.LEFT_BEHIND_MS, selftest.NAME),
        )
    monkeypatch.setattr(testdevice, "BOARDS", {})  # nothing new, only what was left behind
    assert found_by(selftest.check_connecting, installation(server.data)) == {}
    assert _traces(server.data) == []


def test_without_a_server_it_is_skipped_and_says_why(tmp_path: Path) -> None:
    data = migrated(tmp_path / "data")
    found = found_by(selftest.check_connecting, installation(data))
    assert levels(found) == {"self_test.skipped": "ok"}
    assert "no server runs" in found["self_test.skipped"].found


def test_it_can_be_left_out(server: Server) -> None:
    deeds = _deeds(server)
    examined = doctor(server.data, "--no-self-test")
    assert [one for one in examined.said["findings"] if one["group"] == "self-test"] == []
    assert _deeds(server) == deeds


def test_a_server_with_another_key_than_the_folder_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testdevice, "BOARDS", {UDP: testdevice.BOARDS[UDP]})
    with serving(tmp_path / "data", {"CYAN_TCP_PORT": "0"}) as server:
        (server.data / "server_udp.pem").unlink()
        done(
            "keys", "server", "--host", "127.0.0.1", "--out", tmp_path / "k", "--data", server.data
        )
        found = found_by(selftest.check_connecting, installation(server.data))
        assert levels(found)["self_test.udp"] == "problem"
        assert "handshake failed" in found["self_test.udp"].found
        assert "Restart" in str(found["self_test.udp"].next_step)
        assert _traces(server.data) == []


def test_a_log_that_cannot_be_written_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testdevice, "BOARDS", {TCP: testdevice.BOARDS[TCP]})
    monkeypatch.setattr(testdevice, "ACKNOWLEDGED_WITHIN_S", 2.0)
    server = Server(migrated(tmp_path / "data"), {"CYAN_TCP_PORT": "0"})
    try:
        server.start()
        with closing(sqlite3.connect(server.data / "cyan.db")) as connection, connection:
            connection.execute(
                "CREATE TRIGGER nothing_is_kept BEFORE INSERT ON events_event"
                " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
            )
        found = found_by(selftest.check_connecting, installation(server.data))
    finally:
        server.leave_nothing()
    assert levels(found) == {"self_test.tcp": "problem"}
    assert "no event of it was acknowledged" in found["self_test.tcp"].found
