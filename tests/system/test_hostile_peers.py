"""Strangers on both ports of a real server: they cost it a bounded part of its memory and time, and
devices that are connected, or want to be, nothing that they would notice."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

import pytest

from cyan.wire import coap
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.lightssl.handshake import REQUEST_BYTES
from tests.system.crowd import Crowd, begin_handshake
from tests.system.memory import resident_mib
from tests.system.peers import DatagramPeer, StreamPeer, udp_public_key
from tests.system.people import logged_in
from tests.system.processes import Server, serving, wait_until

SETTINGS: Final = {"CYAN_ENROLMENT": "open"}

FLOOD_A_SECOND: Final = 10_000
ADDRESSES: Final = 60_000

MAX_GROWTH_MIB: Final = 64
"""Of the server's memory by strangers: 4096 handshakes, 4096 sessions without a Hello and 2048
connections at the same time, some kilobytes each."""

STRANGER: Final = "127.0.0.66"
HALF_OPEN: Final = 600
KEPT_OF_ONE_ADDRESS: Final = 512
HANDSHAKE_S: Final = 20.0

MAX_UNREAD: Final = 1_000_000
"""Answers that a peer leaves unread. What the kernel keeps of them on our side is in megabytes."""

AT_ONCE: Final = 60
AGAIN_S: Final = 0.5

LONG = pytest.mark.soak


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", SETTINGS) as server:
        yield server


@contextmanager
def unharmed(server: Server) -> Iterator[DatagramPeer]:
    """What is inside harms neither a connected device, nor one that connects, nor the server."""
    with DatagramPeer(server, 1).connect() as connected, DatagramPeer(server, 2) as newcomer:
        resident = resident_mib(server.pid)
        yield connected
        assert connected.ping()
        assert newcomer.connect().publish(b"newcomer")
        assert connected.publish(b"connected")
        assert resident_mib(server.pid) - resident < MAX_GROWTH_MIB
        assert not connected.is_over
    assert sorted(server.logged_events("peer")) == ["connected", "newcomer"]
    assert server.logged_errors() == []


@contextmanager
def meanwhile(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """`act` runs in a thread of its own until the event that it gets is set."""
    ends = threading.Event()
    thread = threading.Thread(target=act, args=(ends,))
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=LONG)])
def test_a_flood_of_client_hellos_from_everywhere_leaves_nothing(
    server: Server, seconds: int
) -> None:
    hello = begin_handshake(udp_public_key(server.data)).start()
    answers = 0

    def flood(ends: threading.Event) -> None:
        nonlocal answers
        began_s, sent = time.monotonic(), 0
        with Crowd(server.udp_port) as crowd:
            while not ends.wait(0.002):
                for peer in range(sent, int((time.monotonic() - began_s) * FLOOD_A_SECOND)):
                    crowd.send(peer % ADDRESSES, hello)
                    sent = peer + 1
                for _, answer in crowd.receive():
                    answers += 1
                    assert len(answer) < len(hello), "whose address was forged gets more than that"

    with unharmed(server) as connected, meanwhile(flood):
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            assert connected.ping()
        with DatagramPeer(server, 3) as late:
            late.connect()
    assert answers > 1000
    full = server.metric("cyan_handshakes_total", kind="full")
    assert full == 3


@pytest.mark.parametrize("newcomers", [50, pytest.param(4000, marks=LONG)])
def test_handshakes_that_are_abandoned_at_each_flight_harm_nobody(
    server: Server, newcomers: int
) -> None:
    """After the cookie, after the server's flight, and after Finished, without a Hello."""
    key = udp_public_key(server.data)

    def flood(ends: threading.Event) -> None:
        peers = count()
        with Crowd(server.udp_port) as crowd:
            while not ends.is_set():
                abandon(crowd, {next(peers): begin_handshake(key) for _ in range(AT_ONCE)})

    with unharmed(server) as connected, meanwhile(flood):
        for number in range(newcomers):
            with DatagramPeer(server, 100 + number) as newcomer:
                newcomer.connect()
            assert connected.ping()
    assert server.metric("cyan_handshakes_total", kind="full") > newcomers + AT_ONCE


def abandon(crowd: Crowd, handshakes: dict[int, ClientHandshake]) -> None:
    """A third of them answers nothing, a third once, a third goes on to the end."""
    waiting = dict.fromkeys(handshakes, 0)
    for peer, handshake in handshakes.items():
        crowd.send(peer, handshake.start())
    again_s = time.monotonic() + AGAIN_S
    while waiting:
        time.sleep(0.001)
        for peer, datagram in crowd.receive():
            if peer not in handshakes:
                continue  # the end of a session of before, which had to give way
            handshake = handshakes[peer]
            flight = handshake.feed(datagram)
            assert handshake.failed is None
            if waiting.get(peer) == peer % 3 or handshake.established is not None:
                waiting.pop(peer, None)
            elif flight and peer in waiting:
                waiting[peer] += 1
                for answer in flight:
                    crowd.send(peer, answer)
        if time.monotonic() > again_s:
            again_s = time.monotonic() + AGAIN_S
            for peer in waiting:
                for datagram in handshakes[peer].retransmit():
                    crowd.send(peer, datagram)


def test_what_is_replayed_has_no_effect_and_moves_nobody(server: Server) -> None:
    with logged_in(server, "ada@example.com") as ada, DatagramPeer(server, 1) as device:
        recorded = record(device)
        device.connect()
        assert ada.post("/v1/devices", data={"id": device.device_id}).status_code == 200
        for number in range(20):
            assert device.publish(f"{number}".encode())
        for is_killed in (False, True):
            if is_killed:
                wait_until_stored(server)
                server.kill()
                server.start()
            with DatagramPeer(server, 99, source=STRANGER) as stranger:
                stranger.begin()
                for datagram in [datagram for datagram in recorded for _ in range(2)]:
                    stranger.send(datagram)
                    time.sleep(0.001)
                assert device.ping()
                for datagram in recorded:
                    stranger.send(datagram)
                    time.sleep(0.001)
                statuses: list[int] = []

                def ping(statuses: list[int] = statuses) -> None:
                    answer = ada.put(f"/v1/devices/{device.device_id}/ping")
                    statuses.append(answer.json()["online"])

                asking = threading.Thread(target=ping)
                asking.start()
                # Where the device is; it acknowledges what comes.
                while asking.is_alive():
                    device.acknowledge(0.1)
                assert statuses == [True]
        assert device.publish(b"last")
    assert server.logged_events("peer") == [*map(str, range(20)), "last"]


def record(device: DatagramPeer) -> list[bytes]:
    """What the device will have sent."""
    recorded: list[bytes] = []
    send = device.send

    def sending(datagram: bytes) -> None:
        recorded.append(datagram)
        send(datagram)

    device.send = sending  # type: ignore[method-assign]
    return recorded


def wait_until_stored(server: Server) -> None:
    """What is written once a second has been."""
    select = "SELECT max(number) FROM gateway_journal"
    before = server.rows(select)
    with DatagramPeer(server, 50).connect():
        wait_until(lambda: server.rows(select) != before, "the counters are stored")
    time.sleep(2)


def test_connections_that_say_nothing_or_little_are_closed_and_others_served(
    server: Server,
) -> None:
    began_s = time.monotonic()
    strangers = [StreamPeer(server, 1000 + i, source=STRANGER) for i in range(HALF_OPEN)]
    with unharmed(server):
        for stranger in strangers:
            stranger.begin()
        with StreamPeer(server, 3).connect() as good:
            slow = strangers[:50]
            while any(not stranger.is_over for stranger in strangers):
                assert time.monotonic() - began_s < 2 * HANDSHAKE_S
                for stranger in strangers:
                    stranger.receive_bytes(0)
                for stranger in slow:
                    if not stranger.is_over:
                        stranger.send(b"\0")
                assert good.ping()
                time.sleep(0.5)
            assert good.publish(b"good", "other")
        for stranger in strangers:
            stranger.close()


def test_a_flood_of_requests_keeps_no_device_from_connecting_over_tcp(server: Server) -> None:
    request = Random(1).randbytes(REQUEST_BYTES)

    def flood(ends: threading.Event) -> None:
        while not ends.is_set():
            with StreamPeer(server, 1000, source=STRANGER) as stranger:
                stranger.begin()
                stranger.send(request)

    with unharmed(server) as connected, meanwhile(flood), meanwhile(flood):
        for number in range(10):
            with StreamPeer(server, 100 + number) as newcomer:
                assert newcomer.connect().publish(b"stream", "other")
            assert connected.ping()
    assert server.metric("cyan_handshakes_ended_total", how="failed") > 10


def test_connections_that_talk_nonsense_are_closed_at_once(server: Server) -> None:
    random = Random(1)
    with unharmed(server):
        for said in (b"GET / HTTP/1.1\r\n\r\n" * 20, random.randbytes(256), bytes(256)):
            with StreamPeer(server, 1000) as stranger:
                stranger.begin()
                stranger.send(said)
                assert is_closed(stranger)
        for frame in (bytes(16), b"\0\x11" + bytes(17), b"\0\x10" + bytes(16), b"\xff" * 64):
            with StreamPeer(server, 1001) as stranger:
                stranger.shake_hands()
                stranger.send(frame)
                assert is_closed(stranger)
        with StreamPeer(server, 1002) as stranger:
            channel = stranger.shake_hands()
            stranger.send(channel.seal(b"\xff" * 8))
            assert is_closed(stranger)


def is_closed(stranger: StreamPeer) -> bool:
    """The server closes the connection, and soon: not because time has run out."""
    end_s = time.monotonic() + HANDSHAKE_S / 2
    while not stranger.is_over and time.monotonic() < end_s:
        stranger.receive_bytes(0.5)
    return stranger.is_over


def test_a_peer_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    settings = {**SETTINGS, "CYAN_DEVICE_MESSAGES_PER_S": "1000000"}
    with serving(tmp_path / "data", settings) as server, unharmed(server) as connected:
        with StreamPeer(server, 1000) as deaf:
            deaf.receive_buffer_bytes = 4096
            deaf.connect()
            for first in range(0, MAX_UNREAD, 100):
                ids = (number & 0xFFFF for number in range(first, first + 100))
                deaf.send(b"".join(deaf.seal(coap.encode_ping(id_)) for id_ in ids))
                if deaf.is_over:
                    break
            assert deaf.is_over
        assert connected.ping()
        reasons = [line["reason"] for line in server.logged("session.ended")]
        assert "it does not read what is sent" in reasons
