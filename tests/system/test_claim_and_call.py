"""Over real HTTP and a real link (acceptance rows 16 and 20 of platform-semantics.md section 22 as
far as a simulated device shows them): a person claims a device, reads it and calls it."""

from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.system.people import logged_in
from tests.system.processes import Server, Simulator, done, serving, simulating

AT_ONCE_S: Final = 15.0
"""Generous for a busy machine, and far below the 30 s that an answer of a device may take."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("claims") / "data"
    with serving(data, {"CYAN_ENROLMENT": "open"}) as server:
        yield server


@pytest.fixture(scope="module")
def simulator(server: Server) -> Iterator[Simulator]:
    with simulating(server.key_file(), "--count", "1", "--rate", "1") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def device(simulator: Simulator) -> str:
    (device,) = simulator.wait_until_ready()
    return device


@pytest.fixture(scope="module")
def ada(server: Server) -> Iterator[httpx.Client]:
    with logged_in(server, "ada@example.com") as client:
        yield client


@pytest.fixture(scope="module")
def cleo(server: Server) -> Iterator[httpx.Client]:
    with logged_in(server, "cleo@example.com") as client:
        yield client


@pytest.fixture
def claimed(ada: httpx.Client, device: str) -> Iterator[str]:
    """The device, while it is Ada's."""
    answer = ada.post("/v1/devices", data={"id": device})
    assert (answer.status_code, answer.json()["connected"]) == (200, True)
    yield device
    assert ada.delete(f"/v1/devices/{device}").json() == {"ok": True}


def test_a_claimed_device_is_on_its_owner_s_list_and_on_nobody_else_s(
    claimed: str, ada: httpx.Client, cleo: httpx.Client
) -> None:
    shown = {device["id"]: device for device in ada.get("/v1/devices").json()}
    assert shown[claimed]["online"] is True
    assert cleo.get("/v1/devices").json() == []
    assert cleo.get(f"/v1/devices/{claimed}").status_code == 403


def test_claiming_it_again_succeeds_and_a_stranger_is_told_whose_it_is_not(
    claimed: str, ada: httpx.Client, cleo: httpx.Client
) -> None:
    assert ada.post("/v1/devices", data={"id": claimed}).status_code == 200
    answer = cleo.post("/v1/devices", data={"id": claimed})
    assert answer.status_code == 403
    assert "belongs to someone else" in answer.text


def test_a_device_that_is_not_online_cannot_be_claimed(server: Server, cleo: httpx.Client) -> None:
    offline = "0123456789abcdef00000000"
    done("device", "add", offline, "--data", server.data)
    assert cleo.post("/v1/devices", data={"id": offline}).status_code == 404


def test_a_released_device_can_be_claimed_by_another(
    device: str, ada: httpx.Client, cleo: httpx.Client
) -> None:
    assert ada.post("/v1/devices", data={"id": device}).status_code == 200
    assert ada.delete(f"/v1/devices/{device}").status_code == 200
    assert cleo.post("/v1/devices", data={"id": device}).status_code == 200
    assert ada.get(f"/v1/devices/{device}").status_code == 403
    assert cleo.delete(f"/v1/devices/{device}").status_code == 200


def test_variables_of_every_type_are_read(claimed: str, ada: httpx.Client) -> None:
    shown = ada.get(f"/v1/devices/{claimed}").json()
    assert shown["variables"] == {
        "answer": "int32",
        "temperature": "double",
        "ready": "bool",
        "greeting": "string",
    }
    values = {
        name: ada.get(f"/v1/devices/{claimed}/{name}").json()["result"]
        for name in shown["variables"]
    }
    assert values["answer"] == 42
    assert isinstance(values["temperature"], float)
    assert isinstance(values["ready"], bool)
    assert isinstance(values["greeting"], str)


def test_a_function_returns_what_the_device_made_of_its_argument(
    claimed: str, ada: httpx.Client
) -> None:
    answer = ada.post(f"/v1/devices/{claimed}/led", data={"arg": "on"})
    assert (answer.status_code, answer.json()["return_value"]) == (200, 1)
    assert ada.get(f"/v1/devices/{claimed}/ready").json()["result"] is True
    answer = ada.post(f"/v1/devices/{claimed}/led", data={"arg": "off"})
    assert answer.json()["return_value"] == 0
    assert ada.get(f"/v1/devices/{claimed}/ready").json()["result"] is False


def test_an_unknown_function_and_variable_are_refused_with_404(
    claimed: str, ada: httpx.Client
) -> None:
    assert ada.post(f"/v1/devices/{claimed}/dance", data={"arg": ""}).status_code == 404
    assert ada.get(f"/v1/devices/{claimed}/weather").status_code == 404


def test_a_call_to_a_device_that_said_goodbye_times_out_at_once(
    server: Server, ada: httpx.Client
) -> None:
    with simulating(
        server.key_file(), "--count", "1", "--rate", "0", "--seed", "leaving"
    ) as leaving:
        (device,) = leaving.wait_until_ready()
        assert ada.post("/v1/devices", data={"id": device}).status_code == 200
        leaving.stop()
    assert ada.get(f"/v1/devices/{device}").json()["online"] is False
    answer = ada.post(f"/v1/devices/{device}/led", data={"arg": "on"}, timeout=AT_ONCE_S)
    assert (answer.status_code, answer.json()["ok"]) == (408, False)
    assert ada.get(f"/v1/devices/{device}/answer", timeout=AT_ONCE_S).status_code == 408
    answer = ada.put(f"/v1/devices/{device}/ping", timeout=AT_ONCE_S)
    assert answer.json() == {"online": False, "ok": True}


def test_a_device_that_never_connected_does_not_answer_a_ping(
    server: Server, ada: httpx.Client
) -> None:
    never = "0123456789abcdef01234567"
    done("device", "add", never, "--owner", "ada@example.com", "--data", server.data)
    answer = ada.put(f"/v1/devices/{never}/ping", timeout=AT_ONCE_S)
    assert (answer.status_code, answer.json()["online"]) == (200, False)
