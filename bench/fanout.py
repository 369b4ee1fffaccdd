"""One person's events to a thousand streams: how soon, how many, and what each delivery costs.

The readers and who publishes are one process, on a core of its own.
"""

import json
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.audience import HOST, SILENCE_S, Audience
from bench.child import Child, Meter
from bench.figures import Amount, Comparison, Findings, Latency, rate_of
from bench.hosts import address_of
from bench.machine import BenchError
from bench.settings import Settings
from bench.world import make_world

STREAMS: Final = 1000

SINGLE_EVENTS: Final = 50
"""Sent one by one, each when the one before has reached everybody."""

PAUSE_S: Final = 0.05
"""Between two of them, so that each finds an idle server."""

EVENTS_IN_A_RUN: Final = 400
AT_ONCE: Final = 16
"""Events that are published at the same time where those of a tick are joined."""

P50_GOAL_MS: Final = 20.0
ONE_BY_ONE_GOAL: Final = 60_000.0
JOINED_GOAL: Final = 100_000.0

FLOOR_GOAL: Final = 0.5
"""Of a hub of nothing but sockets (`barehub.py`): 230,000/s on a quiet machine
(performance-floors.md §7), so that this is more than the rate above asks for."""

PEER_LATENCY: Final = (
    "uvicorn and Starlette p50 18 ms, bare ASGI 15 ms (performance-floors.md §3.3)"
)
PEER_RATE: Final = (
    "spark-server 41,000/s to 20 streams (§6.1); uvicorn and Starlette 56,000/s, a hub of nothing"
    " but sockets 230,000/s (§3.3, §7)"
)

_SENDER_PLACE: Final = 200
"""Addresses of those who publish come behind those of the readers."""


def measure(settings: Settings, folder: Path) -> Findings:
    """(7) SSE: latency to 1,000 streams, deliveries one event a write, and joined."""
    world = make_world(folder / "data", 0)
    core, streams = str(settings.server_core), int(STREAMS * settings.scale)
    with (
        Child("bench.server", str(world.data), core, "real", log=folder / "server.log") as server,
        Child("bench.barehub", core, log=folder / "barehub.log") as bare,
    ):
        port, bare_port = int(server.ready["http_port"]), int(bare.ready["http_port"])
        with (
            Audience(port, world.access_token, streams) as audience,
            Audience(bare_port, "", streams) as bare_audience,
        ):
            with _senders(port, world.access_token, 1) as senders:
                latency = _latency(settings, audience, senders[0])
            single: list[Meter] = []
            floors: list[Meter] = []
            for _ in range(settings.runs):
                with _senders(bare_port, "", 1) as senders:
                    floors.append(_run(bare, bare_audience, senders))
                with (
                    _senders(port, world.access_token, 1) as senders,
                    settings.sampled(server.pid, folder, "fanout-single"),
                ):
                    single.append(_run(server, audience, senders))
            # The server does not keep an idle connection for long: open them when they are used.
            with (
                _senders(port, world.access_token, AT_ONCE) as senders,
                settings.sampled(server.pid, folder, "fanout-joined"),
            ):
                joined = [_run(server, audience, senders) for _ in range(settings.runs)]
    deliveries = EVENTS_IN_A_RUN * streams
    amounts = [
        Amount(
            "fanout",
            f"one event to {streams} streams, published to read, p50",
            latency.p50_ms,
            "ms",
            P50_GOAL_MS,
            remark=f"p99 {latency.p99_ms:.1f} ms; {PEER_LATENCY}",
        )
    ]
    for what, meters, goal in (
        ("one event a write", single, ONE_BY_ONE_GOAL),
        (f"{AT_ONCE} published at once, those of a tick joined", joined, JOINED_GOAL),
    ):
        rate = rate_of(meters, deliveries)
        amounts.append(
            Amount(
                "fanout",
                f"deliveries to {streams} streams, {what}",
                rate.per_s,
                "/s",
                goal,
                is_least=True,
                remark=f"{rate.lowest_per_s:,.0f} to {rate.highest_per_s:,.0f}; server"
                f" {rate.server_us:.1f} µs each; {PEER_RATE}",
            )
        )
    comparison = Comparison(
        "fanout",
        f"deliveries to {streams} streams, one event a write",
        rate_of(single, deliveries),
        rate_of(floors, deliveries),
        FLOOR_GOAL,
    )
    return Findings(comparisons=[comparison], amounts=amounts)


class Sender:
    """Publishes over the API, one event after the other, on one connection."""

    def __init__(self, port: int, access_token: str, place: int) -> None:
        source = socket.inet_ntoa(address_of(_SENDER_PLACE + place))
        self._socket = socket.create_connection((HOST, port), SILENCE_S, (source, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            "POST /v1/devices/events HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {access_token}\r\nContent-Type: application/json\r\n"
        )

    def publish(self, index: int) -> None:
        """Send the request alone."""
        body = json.dumps({"name": "weather/temperature/in", "data": f"{index:016d}"})
        self._socket.sendall(f"{self._head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def expect_answer(self) -> None:
        answer = b""
        while b'{"ok":true}' not in answer:
            answer += (chunk := self._socket.recv(4096))
            if not chunk or not answer.startswith(b"HTTP/1.1 200"[: len(answer)]):
                raise BenchError(f"An event was not taken: {answer!r}")

    def close(self) -> None:
        self._socket.close()


@contextmanager
def _senders(port: int, access_token: str, count: int) -> Iterator[list[Sender]]:
    senders = [Sender(port, access_token, place) for place in range(count)]
    try:
        yield senders
    finally:
        for sender in senders:
            sender.close()


def _latency(settings: Settings, audience: Audience, sender: Sender) -> Latency:
    """From the request of the publisher until a reader has the event; over all readers."""
    times_ms: list[float] = []
    seen = audience.counts[0]
    for index in range(int(SINGLE_EVENTS * settings.scale) or 1):
        time.sleep(PAUSE_S)
        sent_at = time.perf_counter()
        sender.publish(index)
        seen += 1
        times_ms += [(at - sent_at) * 1000 for at in audience.read_until(seen)]
        sender.expect_answer()
    steps = statistics.quantiles(times_ms, n=100)
    return Latency("fanout", "", 0, steps[49], steps[98], max(times_ms), P50_GOAL_MS)


def _run(server: Child, audience: Audience, senders: list[Sender]) -> Meter:
    """Each sender has one event under way; the run ends when every reader has every event."""
    assert EVENTS_IN_A_RUN % len(senders) == 0
    seen = audience.counts[0]
    with Meter(server.pid) as meter:
        _publish(senders, 0)
        for first in range(0, EVENTS_IN_A_RUN, len(senders)):
            for sender in senders:
                sender.expect_answer()
            # These have been handed to all streams, so that the next ones are a tick of their
            # own, which the server works on while these are read.
            ahead = 0
            if first + len(senders) < EVENTS_IN_A_RUN:
                ahead = len(senders)
                _publish(senders, first + ahead)
            seen += len(senders)
            audience.read_until(seen, ahead)
    return meter


def _publish(senders: list[Sender], first: int) -> None:
    for place, sender in enumerate(senders):
        sender.publish(first + place)
