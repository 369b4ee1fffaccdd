"""Caddy before the server, with the lines that docs/howto/behind-a-proxy.md gives."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.ports import free_port
from tests.system.people import ANSWER_WITHIN_S
from tests.system.processes import Server, serving, wait_until
from tests.system.webservers import found_web_server

CADDY: Final = found_web_server("caddy")
PAGE: Final = Path(__file__).parents[2] / "docs/howto/behind-a-proxy.md"

pytestmark = pytest.mark.skipif(CADDY is None, reason="Caddy is not installed.")


@contextmanager
def before(server: Server, folder: Path) -> Iterator[httpx.Client]:
    """Somebody who comes through it. Without a certificate: it would ask the world for one."""
    folder.mkdir()
    port = free_port(socket.SOCK_STREAM)
    (block,) = re.findall(r"```caddy\n(.*?)```", PAGE.read_text(), re.DOTALL)
    block = block.replace("cloud.example.com {", f"http://127.0.0.1:{port} {{")
    block = block.replace("127.0.0.1:8080", f"{server.host}:{server.http_port}")
    (folder / "Caddyfile").write_text(f"{{\nadmin off\n}}\n{block}")
    command = [str(CADDY), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    homes = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}

    def answers() -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) == 0

    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | homes
    ) as process:
        try:
            wait_until(answers, "Caddy listens")
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_WITHIN_S
            ) as client:
                yield client
        finally:
            process.terminate()


def test_metrics_are_for_this_machine_and_a_server_that_is_away_is_told_in_json(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "data") as server, before(server, tmp_path / "caddy") as anybody:
        assert anybody.get("/metrics").status_code == 403
        assert anybody.get("/health").json()["ok"] is True
        refused = anybody.get("/v1/nothing")
        assert (refused.status_code, refused.json()["ok"]) == (404, False)
        server.stop()
        away = anybody.get("/health")
        assert (away.status_code, away.json()["error"]) == (502, "unavailable")
