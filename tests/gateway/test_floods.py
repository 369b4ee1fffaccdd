"""What strangers send: bounded, and without effect on those who are connected."""

import asyncio
import os

import pytest

from cyan.gateway import gateway as gateway_module
from cyan.gateway import handshakes as handshakes_module
from cyan.gateway.receiver import HANDSHAKES_IN_ONE_GO, MAX_WAITING_HANDSHAKES
from cyan.wire import coap
from cyan.wire.dtls.client import ClientHandshake
from tests.gateway.board import Board
from tests.gateway.world import SERVER_KEY, World, make_port, metric


def client_hello() -> bytes:
    handshake = ClientHandshake(
        device_key=SERVER_KEY,
        server_public_key=SERVER_KEY.public_key(),
        entropy=os.urandom(64),
    )
    return handshake.start()


async def test_a_flood_of_client_hellos_leaves_no_state(world: World) -> None:
    hello = client_hello()
    for number in range(2000):
        world.arrive(hello, make_port(1024 + number))
    await world.settle()
    assert len(world.sent) == 2000
    assert all(len(answer) < len(hello) for answer, _ in world.sent), "no amplification"
    table = world.gateway._handshakes
    assert (table._by_address, table._by_connection_id) == ({}, {})


async def test_more_handshakes_than_can_wait_are_dropped_and_counted(world: World) -> None:
    before = metric("cyan_datagrams_dropped_total", reason="overload")
    hello = client_hello()
    for number in range(MAX_WAITING_HANDSHAKES + 300):
        world.gateway._receiver._queue_handshake(hello, make_port(1024 + number))
    assert metric("cyan_datagrams_dropped_total", reason="overload") == before + 300
    world.gateway._receiver._serve_handshakes()
    await world.settle()


async def test_connected_devices_are_served_while_handshakes_wait(world: World) -> None:
    board = await Board(world).connect()
    hello, count = client_hello(), 1000
    for number in range(count):
        world.arrive(hello, make_port(1024 + number))
    message_id = board.take_id()
    board.transmit(coap.encode_ping(message_id))
    turns = 0
    while board.answer_to(message_id) is None:
        turns += 1
        await asyncio.sleep(0)
    waiting = len(world.gateway._receiver._waiting)
    assert waiting >= count - (turns + 1) * HANDSHAKES_IN_ONE_GO, "one go at each turn of the loop"
    assert waiting > count / 2, "the device did not wait for them"
    await world.settle()
    assert not world.gateway._receiver._waiting


async def test_handshakes_past_their_cookie_are_bounded_the_oldest_gives_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes_module, "MAX_IN_PROGRESS", 3)
    for number in range(5):
        handshake = ClientHandshake(
            device_key=SERVER_KEY,
            server_public_key=SERVER_KEY.public_key(),
            entropy=os.urandom(64),
        )
        world.arrive(handshake.start(), make_port(1024 + number))
        await world.settle()
        # With the cookie; what follows our flight never comes.
        (hello,) = handshake.feed(world.sent[-1][0])
        world.arrive(hello, make_port(1024 + number))
        await world.settle()
    table = world.gateway._handshakes
    assert len(table._by_address) == len(table._by_connection_id) == 3
    await world.advance(61)
    assert (table._by_address, table._by_connection_id) == ({}, {})


async def test_a_lost_finished_is_sent_again(world: World) -> None:
    board = Board(world)
    handshake = ClientHandshake(
        device_key=board.key, server_public_key=SERVER_KEY.public_key(), entropy=os.urandom(64)
    )
    world.peers.pop(board.address)
    board.send(handshake.start())
    await world.settle()
    (flight,) = handshake.feed(world.sent[-1][0])
    board.send(flight)
    await world.settle()
    (last,) = handshake.feed(world.sent[-1][0])
    board.send(last)
    await world.settle()
    lost = world.sent[-1][0]
    (again,) = handshake.retransmit()
    board.send(again)
    await world.settle()
    assert world.sent[-1][0] != lost
    handshake.feed(world.sent[-1][0])
    assert handshake.established is not None
    assert len(world.sessions()) == 1


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\0",
        b"\x19",
        b"\x19" * 11,
        b"\xfd" + bytes(18),
        b"\x16",
        b"\x16\xfe\xfd" + bytes(10),
        b"\x16\xfe\xfd" + bytes(8) + b"\xff\xff" + bytes(60),
        b"\x17\xfe\xfd\0\1" + bytes(30),
        b"\x15\xfe\xfd\0\0" + bytes(6) + b"\0\2\2\0",
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(range(256)) * 6,
    ],
)
async def test_garbage_gets_no_answer_and_leaves_nothing(world: World, datagram: bytes) -> None:
    board = await Board(world).connect()
    before = len(world.sent)
    world.arrive(datagram, board.address)
    world.arrive(datagram, make_port(9))
    await world.settle()
    assert len(world.sent) == before
    assert await board.ping() is not None


async def test_keepalives_of_a_nat_count_as_nothing(world: World) -> None:
    before = metric("cyan_datagrams_dropped_total", reason="malformed")
    world.arrive(b"", make_port(9))
    world.arrive(b"\0", make_port(9))
    await world.settle()
    assert metric("cyan_datagrams_dropped_total", reason="malformed") == before


@pytest.mark.parametrize("cut", [20, 21, 30, -1])
async def test_a_record_cut_short_or_with_a_tail_is_dropped(world: World, cut: int) -> None:
    board = await Board(world).connect()
    assert board.records is not None
    record = board.records.seal_data(coap.encode_ping(board.take_id()))
    before = len(world.sent)
    board.send(record[:cut])
    board.send(record + b"\0")
    await world.settle()
    assert len(world.sent) == before
    board.send(record)
    await world.settle()
    assert len(world.sent) == before + 1


async def test_what_the_socket_could_not_send_is_sent_again_when_the_device_asks(
    world: World,
) -> None:
    board = await Board(world).connect()
    world.socket.is_broken = True
    assert await board.publish("temperature", b"21.5") is None
    world.socket.is_broken = False
    message_id = board.next_id - 1
    board.next_id = message_id
    assert await board.publish("temperature", b"21.5") is not None
    assert len(world.logged("temperature")) == 1


async def test_a_device_that_breaks_the_code_hurts_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await Board(world, 1).connect(), await Board(world, 2).connect()
    link = world.gateway.online_link(bad.device_id)
    assert link is not None
    monkeypatch.setattr(link, "records", None)
    bad_id, good_id = bad.take_id(), good.take_id()
    bad.transmit(coap.encode_ping(bad_id))
    good.transmit(coap.encode_ping(good_id))
    await world.settle()
    assert good.answer_to(good_id) is not None
    assert bad.answer_to(bad_id) is None
    monkeypatch.undo()


async def test_a_timer_that_fails_hurts_no_other(world: World) -> None:
    called: list[float] = []

    def fail(now_s: float) -> None:
        raise ValueError("broken on purpose")

    due_s = world.clock.monotonic() + 1
    world.gateway.at(due_s, fail)
    world.gateway.at(due_s, called.append)
    await world.advance(2)
    assert len(called) == 1


async def test_sessions_without_hello_are_bounded_the_oldest_gives_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "MAX_UNFINISHED", 2)
    connected = await Board(world, 1).connect()
    boards = [Board(world, number) for number in range(2, 6)]
    for board in boards:
        await world.advance(0.5)
        await board.shake_hands()
    assert [board.was_closed for board in boards] == [True, True, False, False]
    assert len(world.sessions()) == 3
    assert await boards[-1].say_hello() is not None
    assert await connected.ping() is not None
    assert not connected.was_closed
