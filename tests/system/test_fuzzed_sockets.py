"""Both ports of a real server under changed bytes: no crash, no logged error, no growth of memory,
and a good device is served all the while. `make soak` has a million of them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.system.fuzzers import DatagramFuzzer, StreamFuzzer
from tests.system.memory import resident_mib
from tests.system.peers import DatagramPeer, StreamPeer
from tests.system.processes import Server, serving

SETTINGS: Final = {"CYAN_ENROLMENT": "open", "CYAN_DEVICE_MESSAGES_PER_S": "1000000"}
"""One device may say as much as it likes: how much is a test of its own."""

BETWEEN_PINGS: Final = 64
"""Inputs; so the server is never far behind."""

BETWEEN_EVENTS: Final = 1024

MAX_GROWTH_MIB: Final = 48
"""After the first fifth. Sessions that have not said Hello stay for two minutes, and fuzzers begin
ten in a second; a million datagrams came to the same as half a million."""

LONG = pytest.mark.soak


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", SETTINGS) as server:
        yield server


def fuzz(
    server: Server, fuzzer: DatagramFuzzer | StreamFuzzer, good: DatagramPeer | StreamPeer, n: int
) -> None:
    """`n` inputs, and a device that must notice nothing of them."""
    resident = 0.0
    events = []
    for number in range(n):
        if number == n // 5:
            resident = resident_mib(server.pid)
        fuzzer.send()
        if number % BETWEEN_PINGS == 0:
            fuzzer.drain()
            assert good.ping()
        if number % BETWEEN_EVENTS == 0:
            events.append(f"good-{number}")
            assert good.publish(events[-1].encode())
    assert not good.is_over
    grown = resident_mib(server.pid) - resident
    assert grown < MAX_GROWTH_MIB
    assert server.logged_errors() == []
    logged = Counter(server.logged_events("peer"))
    assert [logged[data] for data in events] == [1] * len(events)


@pytest.mark.parametrize("n", [10_000, pytest.param(500_000, marks=LONG)], ids=["some", "many"])
def test_changed_datagrams_do_no_harm(server: Server, n: int) -> None:
    fuzzer = DatagramFuzzer(server, Random(n))
    with DatagramPeer(server, 1).connect() as good:
        fuzz(server, fuzzer, good, n)
    fuzzer.close()
    assert server.metric("cyan_datagrams_dropped_total", reason="malformed") > 0
    assert server.metric("cyan_datagrams_dropped_total", reason="not_authentic") > 0


@pytest.mark.parametrize("n", [10_000, pytest.param(500_000, marks=LONG)], ids=["some", "many"])
def test_changed_streams_do_no_harm(server: Server, n: int) -> None:
    fuzzer = StreamFuzzer(server, Random(n))
    with StreamPeer(server, 1).connect() as good:
        fuzz(server, fuzzer, good, n)
    fuzzer.close()
