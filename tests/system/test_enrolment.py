"""Nobody gets in by asking: the key proves the device, and the operator says which ids there are
(acceptance row 18 of platform-semantics.md section 22, over UDP)."""

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.processes import Server, done, serving, simulating, wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """With the enrolment that `serve` has by itself."""
    with serving(tmp_path / "data") as server:
        yield server


def _simulated(seed: str) -> tuple[str, str]:
    """Id and public key (PEM) of a seed's only device."""
    (device,) = json.loads(done("sim", "--print-keys", "--count", "1", "--seed", seed))["devices"]
    return device["id"], device["public_key"]


def _fingerprint(pem: str) -> str:
    return hashlib.sha256(b64decode("".join(pem.strip().splitlines()[1:-1]))).hexdigest()


def _pem_file(folder: Path, pem: str) -> Path:
    path = folder / "device.pem"
    path.write_text(pem)
    return path


def _first_refusal(server: Server) -> dict[str, Any]:
    wait_until(lambda: bool(server.logged("device.refused")), "the device is refused")
    return server.logged("device.refused")[0]


def _assert_never_online(server: Server) -> None:
    assert server.logged("device.online") == []
    assert server.rows("SELECT count(*) FROM events_event") == [(0,)]


def test_a_device_with_the_registered_key_comes_in(server: Server, tmp_path: Path) -> None:
    device, pem = _simulated("ours")
    done("device", "add", device, "--key", _pem_file(tmp_path, pem), "--data", server.data)
    with simulating(server.key_file(), "--count", "1", "--seed", "ours") as simulator:
        assert simulator.wait_until_ready() == [device]
        simulator.stop()
    assert server.metric("cyan_devices_refused_total", reason="wrong_key") == 0


def test_a_device_with_another_key_is_refused_counted_and_explained(
    server: Server, tmp_path: Path
) -> None:
    device, own_pem = _simulated("ours")
    _, foreign_pem = _simulated("theirs")
    done("device", "add", device, "--key", _pem_file(tmp_path, foreign_pem), "--data", server.data)
    with simulating(server.key_file(), "--count", "1", "--seed", "ours") as simulator:
        refusal = _first_refusal(server)
        wait_until(
            lambda: any("reason" in line for line in simulator.lines()), "the device noticed"
        )
        simulator.stop()
    assert refusal["reason"] == "wrong_key"
    assert refusal["fingerprint"] == _fingerprint(own_pem)
    # Its id is a claim and no proof: not under the name that a proved id has in the log.
    assert refusal["claimed_device_id"] == device
    assert "device_id" not in refusal
    assert server.metric("cyan_devices_refused_total", reason="wrong_key") >= 1
    _assert_never_online(server)
    assert _fingerprint(foreign_pem) in done("device", "key", device, "--data", server.data)


def test_an_unknown_device_is_refused(server: Server) -> None:
    with simulating(server.key_file(), "--count", "1", "--seed", "nobody") as simulator:
        assert _first_refusal(server)["reason"] == "unknown_device"
        simulator.stop()
    assert server.metric("cyan_devices_refused_total", reason="unknown_device") >= 1
    _assert_never_online(server)
    assert done("device", "list", "--data", server.data) == ""


def test_a_registered_device_without_a_key_gets_the_first_one_seen(server: Server) -> None:
    device, pem = _simulated("ours")
    done("device", "add", device, "--data", server.data)
    with simulating(server.key_file(), "--count", "1", "--seed", "ours") as simulator:
        simulator.wait_until_ready()
        simulator.stop()
    assert [line["fingerprint"] for line in server.logged("device.key_pinned")] == [
        _fingerprint(pem)
    ]
    assert _fingerprint(pem) in done("device", "key", device, "--data", server.data)


def test_a_forgotten_key_makes_room_for_the_next_one_seen(server: Server, tmp_path: Path) -> None:
    device, pem = _simulated("ours")
    _, foreign_pem = _simulated("theirs")
    done("device", "add", device, "--key", _pem_file(tmp_path, foreign_pem), "--data", server.data)
    done("device", "key", device, "--forget", "--data", server.data)
    with simulating(server.key_file(), "--count", "1", "--seed", "ours") as simulator:
        simulator.wait_until_ready()
        simulator.stop()
    assert _fingerprint(pem) in done("device", "key", device, "--data", server.data)


def test_a_key_that_is_pinned_to_one_device_does_not_prove_another(
    server: Server, tmp_path: Path
) -> None:
    device, pem = _simulated("ours")
    other = "0123456789abcdef01234567"
    done("device", "add", other, "--key", _pem_file(tmp_path, pem), "--data", server.data)
    done("device", "add", device, "--data", server.data)
    with simulating(server.key_file(), "--count", "1", "--seed", "ours") as simulator:
        assert _first_refusal(server)["reason"] == "key_of_another_device"
        simulator.stop()
    _assert_never_online(server)
