"""A device is set up with a claim code, as the mobile apps do it: over real HTTP, with a simulated
device. Its vitals follow by themselves."""

from collections.abc import Iterator

import httpx
import pytest

from tests.system.people import logged_in
from tests.system.processes import Server, done, serving, simulating, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("codes") / "data"
    with serving(data, {"CYAN_ENROLMENT": "open"}) as server:
        yield server


@pytest.fixture(scope="module")
def ada(server: Server) -> Iterator[httpx.Client]:
    with logged_in(server, "ada@example.com") as client:
        yield client


def test_a_device_that_shows_a_code_is_its_owner_s_and_the_code_in_no_log(
    server: Server, ada: httpx.Client
) -> None:
    made = ada.post("/v1/device_claims").json()
    assert made["device_ids"] == []
    arguments = ("--count", "1", "--rate", "0", "--claim-code", made["claim_code"])
    with simulating(server.key_file(), *arguments) as simulator:
        (device,) = simulator.wait_until_ready()
        wait_until(lambda: ada.get("/v1/devices").json() != [], "the device is Ada's")
        (shown,) = ada.get("/v1/devices").json()
        assert (shown["id"], shown["online"]) == (device, True)
        assert ada.post("/v1/device_claims").json()["device_ids"] == [device]
        assert made["claim_code"] not in server.log_path.read_text()


def test_a_device_tells_its_vitals_after_it_connected_and_when_asked(
    server: Server, ada: httpx.Client
) -> None:
    with simulating(
        server.key_file(), "--count", "1", "--rate", "0", "--seed", "well"
    ) as simulator:
        (device,) = simulator.wait_until_ready()
        assert ada.post("/v1/devices", data={"id": device}).status_code == 200
        path = f"/v1/diagnostics/{device}"
        wait_until(lambda: ada.get(f"{path}/last").status_code == 200, "vitals have come")
        payload = ada.get(f"{path}/last").json()["diagnostics"]["payload"]
        assert payload["device"]["system"]["uptime"] >= 0
        assert payload["service"]["device"]["status"] == "ok"
        assert ada.post(f"{path}/update").status_code == 202
        wait_until(lambda: len(ada.get(path).json()["diagnostics"]) == 2, "it was asked")


def test_a_device_that_a_command_gave_away_is_one_s_own_before_it_connects(
    server: Server, ada: httpx.Client
) -> None:
    device = "e00fce68" + "0c" * 8
    done("device", "add", device, "--owner", "ada@example.com", "--data", server.data)
    assert device in ada.post("/v1/device_claims").json()["device_ids"]
