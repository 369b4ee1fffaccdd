"""`cyan dev`: one command that makes everything, and finds everything again."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest

from cyan.wire.server_key import decode_server_key
from tests.system.dev import FREE_PORTS, STOPPED_WITHIN_S, Dev, developing
from tests.system.people import log_in
from tests.system.processes import CYAN, environment, refused, wait_until

ENDED_WITHIN_S: Final = 20.0
"""Less than the 30 s for which `cyan dev` waits for devices that do not come."""

LOOPBACK: Final = "127.0.0.1"
OTHER_LOOPBACK: Final = "127.0.0.2"

TYPES_OF_VARIABLES: Final = {
    "answer": "int32",
    "temperature": "double",
    "ready": "bool",
    "greeting": "string",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dev") / "data"


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Dev]:
    """The first start in a folder, which has ended."""
    with developing(folder) as dev:
        assert dev.metric('cyan_handshakes_total{kind="full"}') == 3
        dev.stop()
        yield dev


@pytest.fixture(scope="module")
def second(first: Dev, folder: Path) -> Iterator[Dev]:
    """The second start in the same folder, which runs."""
    with developing(folder) as dev:
        yield dev


@pytest.fixture(scope="module")
def person(second: Dev) -> Iterator[httpx.Client]:
    """The account's owner."""
    with httpx.Client(base_url=second.api_url, headers=second.bearer, timeout=60) as client:
        yield client


def test_the_line_has_these_members_of_these_types_and_no_others(first: Dev, folder: Path) -> None:
    line = first.ready
    assert list(line) == [
        "api_url", "username", "password", "access_token",
        "udp_port", "tcp_port", "server_keys", "devices",
    ]  # fmt: skip
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", line["api_url"])
    assert isinstance(line["username"], str)
    assert len(line["password"]) >= 12
    assert re.fullmatch(r"[0-9a-f]{40}", line["access_token"])
    assert isinstance(line["udp_port"], int)
    assert isinstance(line["tcp_port"], int)
    assert line["server_keys"] == {
        "udp": str(folder / "server_udp_public.der"),
        "tcp": str(folder / "server_tcp_public.der"),
    }
    assert [list(device) for device in line["devices"]] == [["id", "name", "transport"]] * 3
    for device in line["devices"]:
        assert re.fullmatch(r"[0-9a-f]{24}", device["id"])
        assert device["transport"] == "udp"
    names = [device["name"] for device in line["devices"]]
    assert all(names[:2])
    assert names[2] is None


def test_a_second_start_finds_everything_again(first: Dev, second: Dev) -> None:
    assert second.ready["devices"] == first.ready["devices"]
    assert second.ready["username"] == first.ready["username"]
    assert second.ready["password"] is None
    assert log_in(second, first.ready["username"], first.ready["password"])


def test_each_start_makes_a_token_and_older_ones_stay_valid(first: Dev, second: Dev) -> None:
    assert first.ready["access_token"] != second.ready["access_token"]
    for start in (first, second):
        answer = httpx.get(f"{second.api_url}/v1/user", headers=start.bearer)
        assert answer.json()["username"] == first.ready["username"]


def test_at_the_second_start_devices_resume_without_a_handshake(second: Dev) -> None:
    assert second.metric("cyan_sessions_adopted_total") == 3
    assert second.metric('cyan_handshakes_total{kind="resumed"}') == 3
    assert second.metric('cyan_handshakes_total{kind="full"}') == 0


def test_the_server_key_file_has_320_bytes_with_the_address_of_this_start(
    first: Dev, second: Dev
) -> None:
    content = Path(second.ready["server_keys"]["udp"]).read_bytes()
    assert len(content) == 320
    key = decode_server_key(content)
    assert (key.host, key.port) == (LOOPBACK, second.ready["udp_port"])


def test_all_devices_but_the_last_are_owned_and_online(second: Dev, person: httpx.Client) -> None:
    *own, last = (device["id"] for device in second.ready["devices"])
    shown = {device["id"]: device["online"] for device in person.get("/v1/devices").json()}
    assert shown == dict.fromkeys(own, True)
    assert person.post("/v1/devices", data={"id": last}).status_code == 200
    assert person.delete(f"/v1/devices/{last}").status_code == 200


def test_each_device_has_a_variable_of_every_type_and_a_function(
    second: Dev, person: httpx.Client
) -> None:
    for device in second.ready["devices"][:-1]:
        path = f"/v1/devices/{device['id']}"
        shown = person.get(path).json()
        assert shown["variables"] == TYPES_OF_VARIABLES
        assert "led" in shown["functions"]
        assert person.get(f"{path}/answer").json()["result"] == 42
        assert person.post(f"{path}/led", data={"arg": "on"}).json()["return_value"] == 1


def test_each_device_publishes_by_itself(second: Dev, person: httpx.Client) -> None:
    waiting = {device["id"] for device in second.ready["devices"][:-1]}
    with person.stream("GET", "/v1/events/heartbeat") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                waiting.discard(json.loads(line.removeprefix("data: "))["coreid"])
            if not waiting:
                break
    assert waiting == set()


def test_it_listens_on_loopback_and_nowhere_else(second: Dev) -> None:
    ports = (httpx.URL(second.api_url).port, second.ready["udp_port"], second.ready["tcp_port"])
    assert second.listening() == {(LOOPBACK, port) for port in ports}


def test_the_folder_is_for_its_owner_only(second: Dev, folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    public = {Path(path) for path in second.ready["server_keys"].values()}
    files = [path for path in folder.rglob("*") if path.is_file() and path not in public]
    kept = {"cyan.db", "secrets.key", "server_udp.pem", "server_tcp.pem", "seed"}
    assert kept <= {path.name for path in files}
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_neither_password_nor_tokens_are_logged(first: Dev, second: Dev) -> None:
    httpx.get(f"{second.api_url}/v1/user?access_token={second.ready['access_token']}")
    wait_until(lambda: "/v1/user" in second.log.read_text(), "the request is logged")
    secrets = (first.ready["password"], *(dev.ready["access_token"] for dev in (first, second)))
    assert [secret for secret in secrets if secret in second.log.read_text()] == []


def test_a_single_device_belongs_to_nobody(tmp_path: Path) -> None:
    with developing(tmp_path / "data", settings={"CYAN_DEVICES": "1"}) as dev:
        (device,) = dev.ready["devices"]
        assert device["name"] is None
        assert httpx.get(f"{dev.api_url}/v1/devices", headers=dev.bearer).json() == []


def test_a_start_that_fails_keeps_the_password_from_no_one(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {**FREE_PORTS, "CYAN_HTTP_PORT": port, "CYAN_DATA": str(tmp_path / "data")}
        refused("dev", "--json", settings=settings)
    with developing(tmp_path / "data", settings={"CYAN_DEVICES": "0"}) as dev:
        answer = httpx.post(
            f"{dev.api_url}/oauth/token",
            data={
                "grant_type": "password",
                "username": dev.ready["username"],
                "password": dev.ready["password"],
                "client_id": "particle-cli",
                "client_secret": "particle-cli",
            },
        )
        assert answer.status_code == 200


def test_options_win_over_the_environment_and_ports_are_those_asked_for(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"CYAN_DEVICES": "2", "CYAN_DATA": str(tmp_path / "other"), "CYAN_UDP_PORT": "1"}
    options = ["--devices", "0", "--data", str(tmp_path / "data")]
    options += ["--http-port", str(port), "--udp-port", str(port)]
    with developing(tmp_path / "data", *options, settings=settings) as dev:
        assert dev.ready["devices"] == []
        assert dev.simulators() == []
        assert dev.listening() == {(LOOPBACK, port), (LOOPBACK, dev.ready["tcp_port"])}
        assert (dev.api_url, dev.ready["udp_port"]) == (f"http://{LOOPBACK}:{port}", port)
    assert (tmp_path / "data" / "cyan.db").exists()
    assert not (tmp_path / "other").exists()


def test_it_listens_where_cyan_host_says(tmp_path: Path) -> None:
    try:
        socket.create_server((OTHER_LOOPBACK, 0)).close()
    except OSError:
        pytest.skip("This system has one loopback address only.")
    settings = {"CYAN_HOST": OTHER_LOOPBACK, "CYAN_DEVICES": "1"}
    with developing(tmp_path / "data", settings=settings) as dev:
        assert {address for address, _ in dev.listening()} == {OTHER_LOOPBACK}
        assert dev.api_url.startswith(f"http://{OTHER_LOOPBACK}:")
        key = decode_server_key(Path(dev.ready["server_keys"]["udp"]).read_bytes())
        assert key.host == OTHER_LOOPBACK


def test_control_c_ends_the_server_and_its_simulator_in_order(tmp_path: Path) -> None:
    with developing(tmp_path / "data", settings={"CYAN_DEVICES": "1"}) as dev:
        assert len(dev.simulators()) == 1
        dev.stop(signal.SIGINT)


def test_it_ends_in_order_while_its_devices_are_still_connecting(tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = {"CYAN_DATA": str(tmp_path / "data"), "CYAN_DEVICES": "400", **FREE_PORTS}
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [CYAN, "dev", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(settings),
        )
    with process:
        try:
            wait_until(lambda: "device.online" in log.read_text(), "the first device is online")
            process.send_signal(signal.SIGTERM)
            assert process.wait(ENDED_WITHIN_S) == 0
            assert process.stdout is not None
            assert process.stdout.read() == b""
        finally:
            process.kill()


def test_a_killed_server_s_simulator_ends_and_the_next_start_goes_on_with_its_devices(
    tmp_path: Path,
) -> None:
    with developing(tmp_path / "data") as dev:
        (simulator,) = dev.simulators()
        dev.kill()
        with developing(tmp_path / "data") as again:
            assert again.ready["devices"] == dev.ready["devices"]
            assert again.metric('cyan_handshakes_total{kind="full"}') == 0
            gone, _ = psutil.wait_procs([simulator], STOPPED_WITHIN_S)
            assert gone == [simulator]


def test_for_people_it_prints_the_password_once_and_what_to_type(tmp_path: Path) -> None:
    settings = {"CYAN_DATA": str(tmp_path / "data"), "CYAN_DEVICES": "0", **FREE_PORTS}
    first, second = (_told_to_people(settings) for _ in range(2))
    password = re.search(r"Password  (\S+)\n", first)
    assert password is not None
    assert f"--password '{password[1]}'" in first
    assert password[1] not in second
    for told in (first, second):
        api_url = re.search(r"API       (http://127\.0\.0\.1:\d+)\n", told)
        assert api_url is not None
        assert "particle profile cyan\n" in told
        assert f"particle profile set apiUrl {api_url[1]}\n" in told
        assert "particle login --username dev@cyan.local" in told


def _told_to_people(settings: dict[str, str]) -> str:
    """What one start prints until all is said."""
    process = subprocess.Popen(
        [CYAN, "dev"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(settings),
    )
    with process:
        try:
            assert process.stdout is not None
            told = ""
            for line in process.stdout:
                told += line
                if line.strip() == "particle list":
                    break
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOPPED_WITHIN_S) == 0
        finally:
            process.kill()
    return told
