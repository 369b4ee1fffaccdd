"""Event streams of the real server: over HTTPS, and readers that do not read."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.rest.certificates import HOST, trusting, write_certificate
from tests.system.memory import resident_mib
from tests.system.people import PASSWORD, log_in, logged_in
from tests.system.processes import Server, done, serving, wait_until

PATH = "/v1/devices/events"
LARGE = "x" * 100_000
LAZY = 30
"""Readers that do not read."""

EVENTS = 150
"""15 MB in all: more than the 4 MiB and the sockets' buffers hold for one reader."""


@contextmanager
def _lazy_readers(server: Server, token: str, count: int) -> Iterator[list[socket.socket]]:
    """Streams that were opened, and are not read from then on."""
    request = f"GET {PATH}?cursor= HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\r\n"
    with ExitStack() as stack:
        readers = []
        for _ in range(count):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            reader.settimeout(30)
            reader.connect((server.host, server.http_port))
            reader.sendall(request.encode())
            opening = b""
            while b":ok" not in opening:
                opening += reader.recv(4096)
            readers.append(reader)
        yield readers


def _frame(lines: Iterator[str]) -> list[str]:
    """The lines of the next event; comments are left out."""
    found: list[str] = []
    for line in lines:
        if line and not line.startswith(":"):
            found.append(line)
        elif found:
            return found
    raise AssertionError("the stream has ended")


def test_readers_that_do_not_read_cost_little_memory_and_are_cut_off(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data") as server,
        logged_in(server, "ada@example.com") as ada,
        httpx.Client(base_url=server.api_url, timeout=30) as quick,
    ):
        token = ada.headers["authorization"].removeprefix("Bearer ")
        with (
            _lazy_readers(server, token, LAZY) as lazy,
            quick.stream("GET", PATH, headers={"authorization": f"Bearer {token}"}) as stream,
        ):
            lines = stream.iter_lines()
            assert next(lines) == ":ok"
            wait_until(lambda: server.metric("cyan_streams") == LAZY + 1, "all streams are open")
            before_mib = resident_mib(server.pid)
            for number in range(EVENTS):
                answer = ada.post(PATH, json={"name": f"n/{number}", "data": LARGE})
                assert answer.status_code == 200, answer.text
                assert f"event: n/{number}" in lines  # reads on until it is found
            wait_until(lambda: server.metric("cyan_streams") == 1, "the lazy ones are cut off")
            assert server.metric("cyan_streams_cut_off_total") == LAZY
            # Each had up to 4 MiB to wait for, but it is the same 4 MiB for all.
            assert resident_mib(server.pid) - before_mib < LAZY * 4 / 2
            for reader in lazy:
                content = b""
                while piece := reader.recv(1 << 18):
                    content += piece
                assert not content.endswith(b"0\r\n\r\n")


def test_over_https_events_are_streamed_and_looked_back_at(tmp_path: Path) -> None:
    certificate, key = tmp_path / "api.crt", tmp_path / "api.key"
    write_certificate(certificate, key, name="cyan.test")
    settings = {"CYAN_TLS_CERTIFICATE": str(certificate), "CYAN_TLS_KEY": str(key)}
    with serving(tmp_path / "data", settings) as server:
        done("user", "add", "ada@example.com", "--password", PASSWORD, "--data", server.data)
        url = f"https://{HOST}:{server.http_port}"
        with httpx.Client(base_url=url, verify=trusting(certificate), timeout=30) as client:
            answer = client.post(
                "/oauth/token",
                data={
                    "grant_type": "password",
                    "username": "ada@example.com",
                    "password": PASSWORD,
                },
                auth=("particle-cli", "particle-cli"),
            )
            client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            with client.stream("GET", PATH + "?cursor=") as stream:
                lines = stream.iter_lines()
                assert next(lines) == ":ok"
                for data in ("first", LARGE, "last"):
                    assert client.post(PATH, json={"name": "n", "data": data}).status_code == 200
                    found = _frame(lines)
                    assert "event: n" in found
                    (shown,) = [line for line in found if line.startswith("data: ")]
                    assert json.loads(shown.removeprefix("data: "))["data"] == data
                last_id = next(line for line in found if line.startswith("id: "))
            page = client.get("/v1/event_log", params={"limit": 1}).json()
            assert f"id: {page['events'][0]['id']}" == last_id


def test_a_reader_that_was_cut_off_by_a_restart_goes_on_by_its_last_id(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server, logged_in(server, "ada@example.com") as ada:
        with ada.stream("GET", PATH + "?cursor=") as stream:
            ada.post(PATH, json={"name": "n/1", "data": "1"})
            lines = stream.iter_lines()
            last_id = next(line for line in lines if line.startswith("id: "))
        ada.post(PATH, json={"name": "n/2", "data": "2"})
        server.kill()
        server.start()
        token = log_in(server, "ada@example.com", PASSWORD)
        headers = {
            "authorization": f"Bearer {token}",
            "last-event-id": last_id.removeprefix("id: "),
        }
        with (
            httpx.Client(base_url=server.api_url, timeout=30) as client,
            client.stream("GET", PATH, headers=headers) as stream,
        ):
            names = (line for line in stream.iter_lines() if re.match("event: n/", line))
            assert next(names) == "event: n/2"
            client.post(PATH, headers=headers, json={"name": "n/3", "data": "3"})
            assert next(names) == "event: n/3"
