"""Commands change what a running server does, within seconds and without a word to it."""

from pathlib import Path

from tests.system.processes import done, serving, simulating, wait_until

OPEN = {"CYAN_ENROLMENT": "open"}


def test_a_device_whose_key_was_forgotten_connects_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, OPEN) as server, simulating(server.key_file(), "--count", "1") as simulator:
        (device_id,) = simulator.wait_until_ready()
        done("device", "key", device_id, "--forget", "--data", data)
        wait_until(
            lambda: server.metric("cyan_handshakes_total", kind="full") == 2,
            "the device makes a new handshake",
        )
        wait_until(lambda: server.metric("cyan_devices_online") == 1, "it is online again")
        assert "No key" not in done("device", "key", device_id, "--data", data)
