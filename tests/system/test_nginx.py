"""nginx before the server, with the lines that docs/howto/behind-a-proxy.md gives."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.ports import free_port
from tests.rest.certificates import HOST, trusting, write_certificate
from tests.system.people import ANSWER_WITHIN_S, logged_in
from tests.system.processes import Server, done, serving, wait_until
from tests.system.webservers import found_web_server

NGINX: Final = found_web_server("nginx")
PAGE: Final = Path(__file__).parents[2] / "docs/howto/behind-a-proxy.md"
LARGEST: Final = 16 << 20
"""Of firmware with its assets; with the form around it this is nearly the largest body."""

ROUNDS: Final = 100
"""Requests of each of four people at a time."""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed.")


class Nginx:
    """A web server before `server`. `pooled`: it keeps one connection, for all its clients."""

    def __init__(self, server: Server, folder: Path, *, pooled: bool) -> None:
        self.port = free_port(socket.SOCK_STREAM)
        self.certificate = folder / "fullchain.pem"
        write_certificate(self.certificate, folder / "privkey.pem")
        (block,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
        block = block.replace("listen 443", f"listen {HOST}:{self.port}")
        block = block.replace("/etc/letsencrypt/live/cloud.example.com", str(folder))
        block = block.replace("http://127.0.0.1:8080", "http://cyan" if pooled else server.api_url)
        temporary = "\n".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.errors = folder / "error.log"
        self.settings = folder / "nginx.conf"
        self.settings.write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {self.errors};\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{temporary}\n"
            f"upstream cyan {{ server {HOST}:{server.http_port}; keepalive 1; }}\n{block}\n}}\n"
        )

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def client(self, token: str = "") -> httpx.Client:
        """Somebody who comes through it, with a token."""
        return httpx.Client(
            base_url=self.url,
            headers={"authorization": token} if token else {},
            verify=trusting(self.certificate),
            timeout=ANSWER_WITHIN_S,
        )

    def answers(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex((HOST, self.port)) == 0


@contextmanager
def before(server: Server, folder: Path, *, pooled: bool = False) -> Iterator[Nginx]:
    """nginx, until the end."""
    folder.mkdir()
    nginx = Nginx(server, folder, pooled=pooled)
    command = [str(NGINX), "-c", str(nginx.settings), "-e", str(nginx.errors)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(nginx.answers, "nginx listens")
            yield nginx
        finally:
            process.terminate()


def test_events_come_at_once_and_large_bodies_get_the_words_of_the_server(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data") as server,
        logged_in(server, "ada@example.com") as direct,
        before(server, tmp_path / "nginx") as nginx,
        nginx.client(direct.headers["authorization"]) as ada,
    ):
        with ada.stream("GET", "/v1/devices/events/hello") as stream:
            lines = stream.iter_lines()
            assert next(lines) == ":ok"
            for number in range(3):
                assert direct.post(
                    "/v1/devices/events", json={"name": "hello", "data": str(number)}
                ).is_success
                # The next is published only when this one has come.
                data = next(line for line in lines if line.startswith("data: "))
                assert json.loads(data.removeprefix("data: "))["data"] == str(number)
        taken = ada.post("/v1/binaries", files={"file": ("a.bin", bytes(LARGEST))})
        assert taken.status_code != 413
        assert "json" in taken.headers["content-type"]
        refused = ada.post("/v1/binaries", files={"file": ("a.bin", bytes(2 * LARGEST))})
        assert refused.status_code == 413
        assert refused.json()["error"] == "too_large"


def test_metrics_are_for_this_machine_and_a_server_that_is_away_is_told_in_json(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path / "data") as server,
        before(server, tmp_path / "nginx") as nginx,
        nginx.client() as anybody,
    ):
        assert anybody.get("/metrics").status_code == 403
        assert anybody.get("/health").json()["ok"] is True
        server.stop()
        away = anybody.get("/health")
        assert (away.status_code, away.json()["error"]) == (502, "unavailable")


def test_people_who_share_a_connection_to_the_server_get_their_own_answers(tmp_path: Path) -> None:
    def ask(nginx: Nginx, token: str, device: str) -> list[tuple[str, str]]:
        with nginx.client(token) as person:
            answers = []
            for number in range(ROUNDS):
                who = person.get("/v1/user").json()["username"]
                # Answered at once, and where headers come again they are not parsed again.
                answers.append((who, person.get(f"/v1/devices/{device}").json()["owner"]))
                assert person.get(f"/v1/devices/{'0' * 23}{number % 10}").status_code == 403
                if number % 3 == 0:  # what is no request, in a body that nobody reads
                    hidden = f"GET /v1/devices/{device} HTTP/1.1\r\nHost: x\r\n\r\n"
                    person.post("/v1/nothing", content=hidden)
            return answers

    with (
        serving(tmp_path / "data", {"CYAN_RATE_LIMIT_REQUESTS": "0"}) as server,
        logged_in(server, "ada@example.com") as ada,
        logged_in(server, "ben@example.com") as ben,
        before(server, tmp_path / "nginx", pooled=True) as nginx,
        ThreadPoolExecutor(4) as threads,
    ):
        asked = []
        for name, person, device in [
            ("ada@example.com", ada, "a" * 24),
            ("ben@example.com", ben, "b" * 24),
        ]:
            done("device", "add", device, "--owner", name, "--data", server.data)
            token = person.headers["authorization"]
            asked += [(name, threads.submit(ask, nginx, token, device)) for _ in range(2)]
        for name, answers in asked:
            assert answers.result() == [(name, name)] * ROUNDS
