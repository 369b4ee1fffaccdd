"""What the doctor says of devices that were refused, and of those that never came."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cyan.cli.doctoring import devices
from cyan.cli.doctoring.finding import MAX_SHOWN, Finding
from cyan.core.db.engine import Database
from cyan.devices import refusals
from tests.cli.doctor import doctor, found_by, installation, levels
from tests.system.processes import Server, done, migrated, serving, simulating, wait_until

DEVICE = "0123456789abcdef01234567"
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that lets in only devices that it knows."""
    with serving(tmp_path_factory.mktemp("refused") / "data", {"CYAN_TCP_PORT": "0"}) as server:
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return migrated(tmp_path / "data")


def _identity(seed: str, folder: Path) -> tuple[str, Path]:
    """(id, key file) of the simulated device of this seed."""
    (device,) = json.loads(done("sim", "--print-keys", "--count", "1", "--seed", seed))["devices"]
    key = folder / f"{seed}.pem"
    key.write_text(device["public_key"])
    return device["id"], key


def _refused(server: Server, device_id: str) -> list[Finding]:
    found = devices.check_refused(installation(server.data))
    return [one for one in found if device_id in one.found]


def _knock(server: Server, seed: str, device_id: str) -> Finding:
    """What is told of this device when it has tried to connect."""
    with simulating(server.key_file(), "--count", "1", "--seed", seed):
        wait_until(lambda: bool(_refused(server, device_id)), "it was refused")
    (found,) = _refused(server, device_id)
    assert found.level.value == "warning"
    return found


def test_an_unknown_device_is_told_with_the_command_that_adds_it(
    server: Server, tmp_path: Path
) -> None:
    device_id, _ = _identity("stranger", tmp_path)
    found = _knock(server, "stranger", device_id)
    assert "not registered here" in found.found
    assert "127.0.0.1 over UDP" in found.found
    assert f"`cyan device add {device_id}`" in str(found.next_step)


def test_a_device_with_a_new_key_is_told_with_the_command_that_forgets_the_old(
    server: Server, tmp_path: Path
) -> None:
    device_id, _ = _identity("erased", tmp_path)
    _, old_key = _identity("before", tmp_path)
    done("device", "add", device_id, "--key", old_key, "--data", server.data)
    found = _knock(server, "erased", device_id)
    assert "another key than the one that is pinned" in found.found
    assert f"`cyan device key {device_id} --forget`" in str(found.next_step)


def test_a_device_with_the_key_of_another_one_is_told(server: Server, tmp_path: Path) -> None:
    device_id, key = _identity("copied", tmp_path)
    done("device", "add", DEVICE, "--key", key, "--data", server.data)
    found = _knock(server, "copied", device_id)
    assert "belongs to another device" in found.found


def test_a_device_that_was_let_in_later_is_told_no_more(server: Server, tmp_path: Path) -> None:
    device_id, key = _identity("late", tmp_path)
    _knock(server, "late", device_id)
    done("device", "add", device_id, "--key", key, "--data", server.data)
    with simulating(server.key_file(), "--count", "1", "--seed", "late") as simulator:
        simulator.wait_until_ready()
        assert _refused(server, device_id) == []


def test_the_command_tells_who_was_refused(server: Server, tmp_path: Path) -> None:
    device_id, _ = _identity("stranger", tmp_path)
    _knock(server, "stranger", device_id)
    examined = doctor(server.data, "--no-self-test")
    told = [one for one in examined.all("devices.refused") if device_id in one["found"]]
    assert [one["level"] for one in told] == ["warning"]
    assert examined.exit_code == 0


def _note(data: Path, device_id: str, reason: str, at_ms: int) -> None:
    with closing(Database(data / "cyan.db")) as db:
        db.write_blocking(
            lambda connection: refusals.note(
                connection,
                device_id,
                reason,
                fingerprint=None,
                transport=refusals.TCP,
                address="192.0.2.9",
                at_ms=at_ms,
            )
        )


def test_a_reason_of_a_transport_is_told_as_it_is(data: Path) -> None:
    _note(data, DEVICE, "some_reason", _now_ms())
    (found,) = devices.check_refused(installation(data))
    assert "was refused: some_reason" in found.found
    assert "over TCP" in found.found
    assert DEVICE in str(found.next_step)


def test_firmware_that_sends_no_key_is_told_how_it_gets_in(data: Path) -> None:
    _note(data, DEVICE, "no_key", _now_ms())
    (found,) = devices.check_refused(installation(data))
    assert "very old firmware" in found.found
    assert "--key" in str(found.next_step)


def test_what_was_refused_long_ago_is_left_out(data: Path) -> None:
    _note(data, DEVICE, "unknown_device", _now_ms() - devices.RECENT_MS - HOUR_MS)
    assert levels(found_by(devices.check_refused, installation(data))) == {"devices.refused": "ok"}


def test_a_device_that_connects_over_and_over_is_told_apart_from_those_refused(data: Path) -> None:
    calm = found_by(devices.check_again_and_again, installation(data))
    assert levels(calm) == {"devices.handshakes": "ok"}
    _note(data, DEVICE, refusals.AGAIN_AND_AGAIN, _now_ms())
    (found,) = devices.check_again_and_again(installation(data))
    assert found.level.value == "warning"
    assert f"{DEVICE} connects again and again" in found.found
    assert "192.0.2.9" in found.found
    assert "copied flash" in str(found.next_step)
    assert levels(found_by(devices.check_refused, installation(data))) == {"devices.refused": "ok"}


def test_what_connected_over_and_over_two_days_ago_is_left_out(data: Path) -> None:
    _note(data, DEVICE, refusals.AGAIN_AND_AGAIN, _now_ms() - 2 * devices.AGAIN_MS)
    found = found_by(devices.check_again_and_again, installation(data))
    assert levels(found) == {"devices.handshakes": "ok"}


def test_of_many_refused_devices_the_latest_are_named_and_the_others_counted(data: Path) -> None:
    for number in range(MAX_SHOWN + 3):
        _note(data, f"{number:024x}", "unknown_device", _now_ms() + number)
    found = list(devices.check_refused(installation(data)))
    assert len(found) == MAX_SHOWN + 1
    assert f"{MAX_SHOWN + 2:024x}" in found[0].found
    assert "3 more devices were refused" in found[-1].found


def test_a_device_that_was_registered_long_ago_and_never_came_is_a_warning(data: Path) -> None:
    done("device", "add", DEVICE, "--name", "lamp", "--data", data)
    fresh = found_by(devices.check_never_online, installation(data))
    assert levels(fresh) == {"devices.never_online": "ok"}
    with closing(sqlite3.connect(data / "cyan.db")) as connection, connection:
        connection.execute(
            "UPDATE devices_device SET registered_at_ms = registered_at_ms - ?", (2 * HOUR_MS,)
        )
    found = found_by(devices.check_never_online, installation(data))
    assert levels(found) == {"devices.never_online": "warning"}
    assert f"{DEVICE} (lamp)" in found["devices.never_online"].found
    with closing(sqlite3.connect(data / "cyan.db")) as connection, connection:
        connection.execute("UPDATE devices_device SET first_online_at_ms = 1")
    came = found_by(devices.check_never_online, installation(data))
    assert levels(came) == {"devices.never_online": "ok"}


def test_of_many_that_never_came_some_are_named(data: Path) -> None:
    with closing(sqlite3.connect(data / "cyan.db")) as connection, connection:
        for number in range(12):
            connection.execute(
                "INSERT INTO devices_device(id, registered_at_ms) VALUES (?, 1)",
                (f"{number:024x}",),
            )
    found = found_by(devices.check_never_online, installation(data))["devices.never_online"]
    assert "12 registered devices have never been online" in found.found
    assert len(re.findall("[0-9a-f]{24}", found.found)) == MAX_SHOWN
    assert "and 7 more" in found.found


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
