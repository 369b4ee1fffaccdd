"""The line of `cyan dev --json`, which people script, and what a second start keeps."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from cyan.wire.server_key import ServerKey, decode_server_key
from tests.compat.server import Ready, Server, running_server


class Start(NamedTuple):
    """What one start printed, and the server key files as they were then."""

    ready: Ready
    udp_key: ServerKey
    tcp_key: ServerKey


class Starts(NamedTuple):
    """Two starts with the same data; the second is still running."""

    first: Start
    second: Start


def _start(server: Server) -> Start:
    files = server.ready.server_keys
    assert files.tcp is not None
    udp_key, tcp_key = (
        decode_server_key(Path(path).read_bytes()) for path in (files.udp, files.tcp)
    )
    return Start(server.ready, udp_key, tcp_key)


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starts]:
    folder = tmp_path_factory.mktemp("restarted")
    with running_server(folder) as server:
        first = _start(server)
    with running_server(folder) as server:
        yield Starts(first, _start(server))


def test_the_first_start_prints_the_password_and_a_second_does_not(starts: Starts) -> None:
    assert starts.first.ready.password
    assert starts.second.ready.password is None
    assert starts.first.ready.username == starts.second.ready.username


def test_every_start_makes_a_new_token_and_older_ones_stay_valid(starts: Starts) -> None:
    tokens = [start.ready.access_token for start in starts]
    assert len(set(tokens)) == 2
    for token in tokens:
        answer = httpx.get(
            f"{starts.second.ready.api_url}/v1/user", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 200
        assert answer.json()["username"] == starts.first.ready.username


def test_three_simulated_devices_are_the_same_after_a_restart(starts: Starts) -> None:
    devices = starts.first.ready.devices
    assert len(devices) == 3
    assert devices == starts.second.ready.devices
    assert {device.transport for device in devices} == {"udp"}


def test_the_server_key_stays_the_same_and_its_file_names_the_port(starts: Starts) -> None:
    assert starts.first.udp_key.public_key == starts.second.udp_key.public_key
    for start in starts:
        assert start.udp_key.port == start.ready.udp_port


def test_the_tcp_port_and_its_key_file_are_there_too(starts: Starts) -> None:
    for start in starts:
        assert start.tcp_key.port == start.ready.tcp_port
    assert starts.first.tcp_key.public_key == starts.second.tcp_key.public_key
