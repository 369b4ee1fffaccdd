"""What everybody else notices while 50 people log in at once: hashing must not hold up the loop."""

import select
import socket
import statistics
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from bench.api import register_all
from bench.asking import Asker
from bench.child import Child
from bench.figures import Amount, Findings
from bench.machine import BenchError
from bench.settings import Settings
from bench.world import OWNER, PASSWORD, make_world

AT_ONCE: Final = 50
QUIET_REQUESTS: Final = 2_000
GOAL_MS: Final = 20.0
"""For 99 of 100 requests: as long as an event may take to a thousand readers (`fanout`)."""

SILENCE_S: Final = 60.0
"""50 hashes of 0.1 s each, and the core is shared with who asks."""


def measure(settings: Settings, folder: Path) -> Findings:
    """Requests one by one over a connection, first alone, then while people log in."""
    world = make_world(folder / "data", 0)
    device_id = register_all(world, 100)[0]
    request = (
        f"GET /v1/devices/{device_id} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {world.access_token}\r\n\r\n"
    ).encode()
    count = max(int(AT_ONCE * settings.scale), 2)
    quiet_ms: list[float] = []
    busy_ms: list[float] = []
    took_s: list[float] = []
    core = str(settings.server_core)
    with Child("bench.server", str(world.data), core, "real", log=folder / "server.log") as server:
        port = int(server.ready["http_port"])
        for _ in range(settings.runs):
            with Asker(port, 1) as asker:
                quiet_ms += [_ask(asker, request) for _ in range(QUIET_REQUESTS)]
                people = _People(port, count)
                began_s = time.monotonic()
                while not people.are_in():
                    busy_ms.append(_ask(asker, request))
                took_s.append(time.monotonic() - began_s)
    amount = Amount(
        "logins",
        f"`GET /v1/devices/:id` while {count} people log in at once, p99",
        _p99(busy_ms),
        "ms",
        GOAL_MS,
        remark=f"{_p99(quiet_ms):.1f} ms when nobody does; p50 {statistics.median(busy_ms):.1f} ms,"
        f" highest {max(busy_ms):.0f} ms; all are in after {statistics.median(took_s):.1f} s",
    )
    return Findings(amounts=[amount])


class _People:
    """So many requests for a token, sent at once."""

    def __init__(self, port: int, count: int) -> None:
        form = urlencode({"grant_type": "password", "username": OWNER, "password": PASSWORD})
        request = (
            "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Authorization: Basic cGFydGljbGU6cGFydGljbGU=\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n{form}"
        ).encode()
        self._waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        self._heard_s = time.monotonic()
        for connection in self._waiting:
            connection.sendall(request)

    def are_in(self) -> bool:
        """Whether all have a token. Raises BenchError when one is refused."""
        for connection in select.select(self._waiting, [], [], 0)[0]:
            self._heard_s = time.monotonic()
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                raise BenchError("A login was refused.")
            self._waiting.remove(connection)
            connection.close()
        if time.monotonic() - self._heard_s > SILENCE_S:
            raise BenchError(f"{len(self._waiting)} logins are not answered.")
        return not self._waiting


def _ask(asker: Asker, request: bytes) -> float:
    """Milliseconds from the request to its answer."""
    began_s = time.monotonic()
    asker.ask([request])
    return (time.monotonic() - began_s) * 1000


def _p99(times_ms: list[float]) -> float:
    return statistics.quantiles(times_ms, n=100)[98]
