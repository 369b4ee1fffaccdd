"""What an operator sees of a running server: health, metrics, logs; and what nobody sees."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.system.people import PASSWORD, log_in, logged_in
from tests.system.processes import Server, serving, simulating, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("seen") / "data"
    with serving(data, {"CYAN_ENROLMENT": "open", "CYAN_LOG_LEVEL": "debug"}) as server:
        yield server


@pytest.fixture(scope="module")
def device(server: Server) -> Iterator[str]:
    """A device that has published, and stays online."""
    with simulating(server.key_file(), "--count", "1", "--rate", "2") as simulator:
        (device,) = simulator.wait_until_ready()
        wait_until(lambda: len(simulator.acknowledged()) >= 2, "events are acknowledged")
        yield device


@pytest.fixture(scope="module")
def ada(server: Server) -> Iterator[httpx.Client]:
    with logged_in(server, "ada@example.com") as client:
        yield client


def test_health_is_200_and_names_the_parts(server: Server, device: str) -> None:
    answer = httpx.get(f"{server.api_url}/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "ok": True,
        "parts": {"database": True, "udp": True, "tcp": True},
        "online": 1,
    }


def test_metrics_have_the_names_that_are_promised(server: Server, device: str) -> None:
    wait_until(lambda: server.metric("cyan_devices_online") == 1, "the device is counted")
    answer = httpx.get(f"{server.api_url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert server.metric("cyan_handshakes_total", kind="full") == 1
    assert 'cyan_handshakes_total{kind="resumed"} 0.0' in answer.text
    assert "\ncyan_sessions_adopted_total 0.0" in answer.text
    events = re.findall(r"^cyan_events_total(?:\{[^}]*\})? (\S+)$", answer.text, re.MULTILINE)
    assert sum(map(float, events)) >= 2


def test_a_line_about_a_device_has_its_id(server: Server, device: str) -> None:
    about = [line for line in server.log() if line["event"].startswith("device.")]
    assert {"device.key_pinned", "device.online"} <= {line["event"] for line in about}
    assert {line["device_id"] for line in about} == {device}


def test_a_line_about_a_request_has_the_id_that_the_client_was_told(
    server: Server, ada: httpx.Client
) -> None:
    request_id = ada.get("/v1/devices").headers["x-request-id"]

    def found() -> list[dict[str, object]]:
        return [line for line in server.log() if line.get("request_id") == request_id]

    wait_until(lambda: bool(found()), "the request is logged")
    (line,) = found()
    assert (line["event"], line["method"]) == ("http.request", "GET")
    assert (line["path"], line["status"]) == ("/v1/devices", 200)


def test_a_line_about_a_call_has_both_ids(server: Server, device: str, ada: httpx.Client) -> None:
    assert ada.post("/v1/devices", data={"id": device}).status_code == 200
    answer = ada.post(f"/v1/devices/{device}/led", data={"arg": "on"})
    assert answer.status_code == 200
    wait_until(lambda: bool(server.logged("device.called")), "the call is logged")
    line = server.logged("device.called")[-1]
    assert (line["device_id"], line["request_id"]) == (device, answer.headers["x-request-id"])


def test_every_line_is_json_with_event_level_and_timestamp(server: Server, device: str) -> None:
    assert server.log_path.read_text().startswith("{")
    for line in server.log():
        assert {"event", "level", "timestamp"} <= set(line)


def test_no_password_and_no_token_is_in_the_log_however_it_was_sent(
    server: Server, ada: httpx.Client
) -> None:
    secrets = {PASSWORD, "a wrong guess"}
    token = log_in(server, "ada@example.com", PASSWORD)
    spare = log_in(server, "ada@example.com", PASSWORD)
    secrets |= {token, spare, ada.headers["authorization"].split()[1]}
    with httpx.Client(base_url=server.api_url) as client:
        wrong = {"grant_type": "password", "username": "ada@example.com"}
        client.post("/oauth/token", data=wrong | {"password": "a wrong guess"})
        assert client.get("/v1/user", params={"access_token": token}).status_code == 200
        assert client.get(f"/v1/nothing/{token}", params={"access_token": token}).is_error
        client.post("/v1/devices/events", data={"name": "x", "access_token": token})
        # That is how stock clients log out: the token stands in the path.
        assert client.delete(f"/v1/access_tokens/{spare}").status_code == 200
    # These requests are in the log, so what is looked for could be found.
    wait_until(
        lambda: (
            {"/v1/nothing/[redacted]", "/v1/access_tokens/[redacted]"}
            <= {line.get("path") for line in server.log()}
        ),
        "the requests are logged",
    )
    text = server.log_path.read_text()
    assert [secret for secret in secrets if secret in text] == []


def test_what_people_did_is_in_the_audit(server: Server, device: str, ada: httpx.Client) -> None:
    assert ada.post("/v1/devices", data={"id": device}).status_code == 200
    actions = {row[0] for row in server.rows("SELECT action FROM audit_entry")}
    assert {"user.created", "device.claimed"} <= actions
