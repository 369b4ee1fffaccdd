"""Peers over TCP that send too much, too slowly, nothing or nonsense, and who do not read."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyan.core.db.engine import Database
from cyan.gateway import tcp
from cyan.gateway.tcp import HANDSHAKE_S
from cyan.wire.lightssl.handshake import NONCE_BYTES, REQUEST_BYTES
from tests.clock import HandClock
from tests.gateway.stream_board import StreamBoard
from tests.gateway.world import World, make_world, metric

RATE = 10


@pytest.fixture
async def slow_world(db: Database, clock: HandClock, tmp_path: Path) -> AsyncIterator[World]:
    """A device may send RATE messages in a second here."""
    made = make_world(db, clock, tmp_path, device_messages_per_s=RATE)
    await made.start()
    yield made
    await made.end()


def failed() -> float:
    return metric("cyan_handshakes_ended_total", how="failed")


def overload() -> float:
    return metric("cyan_datagrams_dropped_total", reason="overload")


async def open_all(boards: list[StreamBoard]) -> None:
    """Connections, without a word."""
    for board in boards:
        await board.open()
    await boards[0].world.settle()


# -- before the handshake ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [REQUEST_BYTES + 1, 2 * REQUEST_BYTES, 20_000])
async def test_a_request_that_is_too_long_ends_the_connection(world: World, size: int) -> None:
    board = StreamBoard(world)
    await board.open()
    board.write(os.urandom(size))
    await world.settle()
    assert not board.is_open
    assert len(board.received) in (0, NONCE_BYTES), "it may be lost with the reset"


async def test_garbage_as_long_as_a_request_ends_the_connection_without_a_word(
    world: World,
) -> None:
    before = failed()
    for request in (bytes(REQUEST_BYTES), b"\xff" * REQUEST_BYTES, os.urandom(REQUEST_BYTES)):
        board = StreamBoard(world)
        await board.open()
        await world.settle()
        board.write(request)
        await world.settle()
        assert not board.is_open
        assert len(board.received) == NONCE_BYTES
    assert failed() == before + 3


async def test_a_request_for_the_api_at_the_wrong_port_ends_in_time(world: World) -> None:
    board = StreamBoard(world)
    await board.open()
    board.write(b"GET /v1/devices HTTP/1.1\r\nHost: cyan.test\r\n\r\n")
    await world.settle()
    assert world.gateway._listener.count() == 1, "it could still become a request"
    await world.advance(HANDSHAKE_S + 2)
    assert not board.is_open


async def test_bytes_behind_the_request_end_the_connection(world: World) -> None:
    # A device says nothing before it has the answer, which takes its time here.
    board, answers = StreamBoard(world), threading.Event()
    world.gateway._listener._thread.submit(answers.wait, 30)
    board.holds_back = True
    await board.try_to_shake_hands()
    board.write(board.sent.pop())
    await world.spin()
    board.write(b"x")
    await world.spin()
    answers.set()
    await world.settle()
    assert not board.is_open
    assert board.received[NONCE_BYTES:] == b""


async def test_a_connection_that_dribbles_its_request_is_closed_in_time(world: World) -> None:
    board = StreamBoard(world)
    await board.open()
    for _ in range(int(HANDSHAKE_S) - 1):
        board.write(b"x")
        await world.advance(1)
    assert world.gateway._listener.count() == 1
    board.write(b"x")
    await world.advance(2)
    assert not board.is_open


async def test_a_connection_that_never_says_hello_is_closed_in_time(world: World) -> None:
    before = failed()
    board = StreamBoard(world)
    await world.advance(HANDSHAKE_S)
    await board.shake_hands()
    await world.advance(HANDSHAKE_S - 1)
    assert world.gateway._listener.count() == 1
    await world.advance(2.5)
    assert not board.is_open
    assert failed() == before + 1
    assert world.gateway._listener.count() == 0


async def test_a_device_that_has_said_hello_has_no_such_limit(world: World) -> None:
    board = await StreamBoard(world).connect()
    await world.advance(HANDSHAKE_S + 10)
    assert board.is_open


async def test_other_devices_connect_while_slow_ones_hold_the_port(world: World) -> None:
    slow = [StreamBoard(world, 100 + index) for index in range(50)]
    await open_all(slow)
    board = await StreamBoard(world).connect()
    await world.advance(HANDSHAKE_S + 2)
    assert not any(each.is_open for each in slow)
    assert board.is_open


# -- how many ----------------------------------------------------------------------------------


async def test_unfinished_connections_are_bounded_and_the_oldest_gives_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_UNFINISHED", 4)
    connected = await StreamBoard(world).connect()
    before = overload()
    boards = [StreamBoard(world, 10 + index) for index in range(7)]
    for board in boards:
        await open_all([board])
    assert [board.is_open for board in boards] == [False] * 3 + [True] * 4
    assert overload() == before + 3
    boards[-1].begin_handshake()
    await world.settle()
    assert await boards[-1].say_hello() is not None, "who got in is served"
    assert connected.is_open


async def test_unfinished_connections_are_bounded_when_many_come_in_one_turn_of_the_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_UNFINISHED", 4)
    before = overload()
    port = world.stream_port
    peers = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(20)]
    await world.settle()
    listener = world.gateway._listener
    assert (len(listener._unfinished), listener.count()) == (4, 4)
    assert overload() == before + 16
    for peer in peers:
        peer.close()
    await world.settle()
    assert listener.count() == 0


async def test_one_address_holds_only_so_many_unfinished_connections(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_UNFINISHED_OF_ONE", 3)
    greedy = [StreamBoard(world, 10 + index, host="127.0.0.2") for index in range(5)]
    await open_all(greedy)
    assert [board.is_open for board in greedy] == [True] * 3 + [False] * 2
    assert greedy[-1].received == b""
    await StreamBoard(world, 1, host="127.0.0.3").connect()
    # Who has said Hello does not count any more, and neither does who has gone.
    greedy[0].begin_handshake()
    await world.settle()
    await greedy[0].say_hello()
    await greedy[1].hang_up()
    again = [StreamBoard(world, 20 + index, host="127.0.0.2") for index in range(3)]
    await open_all(again)
    assert [board.is_open for board in again] == [True, True, False]


class PeerTransport(asyncio.Transport):
    """The connection of a peer that has this address."""

    def __init__(self, host: str) -> None:
        super().__init__({"peername": (host, 50_000, 0, 0)})
        self.written = b""
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_aborted

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self.is_aborted = True


async def test_who_has_many_ipv6_addresses_counts_as_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_UNFINISHED_OF_ONE", 3)
    peers = {
        host: PeerTransport(host)
        for host in (
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8:0:0:ffff::3",
            "2001:db8::4",
            "2001:db8:0:1::1",
            "fe80::1%eth0",
            "::ffff:192.0.2.7",
            "192.0.2.8",
        )
    }
    connections = []
    for transport in peers.values():
        connection = tcp.Connection(world.gateway._listener)
        connection.connection_made(transport)
        connections.append(connection)
    assert [host for host, transport in peers.items() if transport.is_aborted] == ["2001:db8::4"]
    for connection in connections:
        connection.connection_lost(None)
    assert world.gateway._listener._unfinished_by_network == {}


async def test_connections_are_bounded_and_those_that_are_there_stay(
    db: Database, clock: HandClock, tmp_path: Path
) -> None:
    world = make_world(db, clock, tmp_path, max_connections=3)
    await world.start()
    boards = [await StreamBoard(world, index).connect() for index in range(3)]
    one_more = StreamBoard(world, 9)
    before = overload()
    assert not await one_more.try_to_shake_hands()
    assert not one_more.is_open
    assert overload() == before + 1
    assert all([await board.ping() for board in boards])
    await boards[0].hang_up()
    await one_more.connect()
    await world.end()


async def test_requests_wait_for_their_turn_and_one_address_does_not_hold_up_another(
    world: World,
) -> None:
    crowd = [StreamBoard(world, 10 + index, host="127.0.0.2") for index in range(60)]
    board = StreamBoard(world, 1, host="127.0.0.3")
    await open_all([*crowd, board])
    for each in crowd:
        each.begin_handshake()
    board.begin_handshake()
    answered_before = 0
    for _ in range(100_000):
        await world.spin()
        if board.channel is not None:
            answered_before = sum(each.channel is not None for each in crowd)
            break
    assert answered_before < 20, "of 60 that were there first"
    await world.settle()
    assert all(each.channel is not None for each in crowd)
