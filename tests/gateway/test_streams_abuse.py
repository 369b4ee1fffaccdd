"""Devices over TCP that send too fast or nonsense after their handshake, and who do not read."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyan.core.db.engine import Database
from cyan.gateway.streams import MAX_UNSENT_BYTES, StreamLink
from cyan.gateway.tcp import HANDSHAKE_S
from cyan.wire import coap
from cyan.wire.lightssl.frames import MAX_FRAME_BYTES
from cyan.wire.messages import Publish, encode_hello, encode_publish
from tests.clock import HandClock
from tests.gateway.stream_board import StreamBoard
from tests.gateway.world import ADA, STREAM_BUFFER_BYTES, World, make_world, metric

RATE = 10


@pytest.fixture
async def slow_world(db: Database, clock: HandClock, tmp_path: Path) -> AsyncIterator[World]:
    """A device may send RATE messages in a second here."""
    made = make_world(db, clock, tmp_path, device_messages_per_s=RATE)
    await made.start()
    yield made
    await made.end()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0\0",
        b"\0\x0f",
        b"\xff\xf0",
        (MAX_FRAME_BYTES + 16).to_bytes(2, "big"),
        b"\0\x10" + bytes(16),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["empty", "no block", "huge", "too long", "not encrypted", "http"],
)
@pytest.mark.parametrize("is_online", [False, True], ids=["before hello", "after hello"])
async def test_a_stream_out_of_step_ends_the_connection(
    world: World, is_online: bool, garbage: bytes
) -> None:
    board = StreamBoard(world)
    await board.shake_hands()
    if is_online:
        await board.say_hello()
    board.write(garbage)
    await world.settle()
    assert not board.is_open
    assert not world.presence.is_online(board.device_id)
    assert await board.connect()


async def test_nothing_counts_that_stands_behind_garbage(world: World) -> None:
    board = await StreamBoard(world).connect()
    assert board.channel is not None
    event = Publish("n", b"behind", confirmable=False)
    frame = board.channel.seal(encode_publish(board.take_id(), event))
    board.write(b"\0\1" + frame)
    board.write(frame)
    await world.settle()
    assert world.logged("n") == []


async def test_bytes_that_are_no_coap_in_place_of_hello_end_the_connection(world: World) -> None:
    board = StreamBoard(world)
    await board.shake_hands()
    board.transmit(b"\x40\x02\x00\x01\xf0")
    await world.settle()
    assert not board.is_open


@pytest.mark.parametrize(
    "payload", [b"", b"\0\1\2", b"\0\3\0\0\0\0\0\3\0\5abcde"], ids=["empty", "short", "odd id"]
)
async def test_a_hello_that_cannot_be_read_ends_the_connection(
    world: World, payload: bytes
) -> None:
    board = StreamBoard(world)
    await board.shake_hands()
    hello = coap.Message(coap.NON, coap.POST, 1, b"", ((coap.URI_PATH, b"h"),), payload)
    board.transmit(coap.encode(hello))
    await world.settle()
    assert not board.is_open
    assert world.statuses() == []


async def test_a_device_that_breaks_the_code_hurts_no_other(world: World) -> None:
    bad, good = await StreamBoard(world, 1).connect(), await StreamBoard(world, 2).connect()
    link = world.gateway.online_link(bad.device_id)
    assert link is not None
    session, link.session = link.session, None  # type: ignore[assignment]
    bad.transmit(encode_publish(bad.take_id(), Publish("n")))
    good_id = good.take_id()
    good.transmit(coap.encode_ping(good_id))
    await world.spin()
    link.session = session
    await world.settle()
    assert good.answer_to(good_id) is not None
    assert good.is_open


# -- who does not read -------------------------------------------------------------------------


def unsent(world: World, board: StreamBoard) -> int:
    """Bytes in memory for this device."""
    link = world.gateway.online_link(board.device_id)
    return link.stream.unsent_bytes() if isinstance(link, StreamLink) else 0


async def test_events_for_a_device_that_does_not_read_are_bounded_and_counted(
    world: World,
) -> None:
    board = StreamBoard(world)
    world.register(board.device_id, ADA)
    await board.connect()
    board.stop_reading()
    before = metric("cyan_events_undelivered_total", reason="busy")
    sent = 0
    for _ in range(1000):
        sent += world.links.send_event(board.device_id, "fleet/news", b"x" * 700)
    assert unsent(world, board) <= MAX_UNSENT_BYTES + 1024
    assert metric("cyan_events_undelivered_total", reason="busy") == before + 1000 - sent
    assert 80 < sent < 80 + 3 * STREAM_BUFFER_BYTES // 700
    assert board.is_open, "it may still read it all"
    board.go_on_reading()
    await world.settle()
    assert board.event_names().count("fleet/news") == sent
    assert world.links.send_event(board.device_id, "fleet/news", b"x")


async def test_a_device_that_asks_and_never_reads_is_hung_up_on(world: World) -> None:
    board = await StreamBoard(world).connect()
    board.stop_reading()
    most = 0
    for _ in range(200):
        for _ in range(100):
            board.transmit(coap.encode_ping(board.take_id()))
        await world.spin()
        await world.advance(1)
        most = max(most, unsent(world, board))
        if not world.presence.is_online(board.device_id):
            break
    assert not world.presence.is_online(board.device_id)
    assert most <= MAX_UNSENT_BYTES + 1024
    # What waits for it is thrown away, although it never makes room.
    await world.advance(HANDSHAKE_S + 2)
    assert world.gateway._listener.count() == 0


async def test_a_device_that_neither_reads_nor_speaks_goes_with_its_silence(world: World) -> None:
    board = await StreamBoard(world).connect()
    board.stop_reading()
    for _ in range(400):
        world.links.send_event(board.device_id, "fleet/news", b"x" * 700)
    await world.advance(76)
    assert not world.presence.is_online(board.device_id)
    await world.advance(HANDSHAKE_S + 2)
    assert world.gateway._listener.count() == 0


# -- how fast ----------------------------------------------------------------------------------


def say_many(board: StreamBoard, count: int, first: int = 0) -> None:
    """So many numbered events, each a segment of its own."""
    for number in range(first, first + count):
        event = Publish("n", str(number).encode(), confirmable=False)
        board.transmit(encode_publish(board.take_id(), event))


async def test_who_sends_too_fast_has_to_wait_and_loses_nothing(slow_world: World) -> None:
    world = slow_world
    board, other = await StreamBoard(world, 1).connect(), await StreamBoard(world, 2).connect()
    await world.advance(2)
    before = metric("cyan_datagrams_dropped_total", reason="device_over_rate")
    for round_ in range(5):
        say_many(board, 20, first=20 * round_)
        await world.spin()
    await world.settle()
    first = len(world.logged("n"))
    assert RATE < first < 100
    assert metric("cyan_datagrams_dropped_total", reason="device_over_rate") > before
    assert await other.ping() is not None, "the others do not wait"
    await world.advance(30)
    assert [event.data for event in world.logged("n")] == [b"%d" % n for n in range(100)]
    assert world.presence.is_online(board.device_id)
    assert await board.ping() is not None


async def test_many_messages_in_one_piece_count_one_by_one(slow_world: World) -> None:
    world = slow_world
    board = await StreamBoard(world).connect()
    await world.advance(2)
    begin_s = world.clock.monotonic()
    board.holds_back = True
    say_many(board, 500)
    ping_id = board.take_id()
    board.transmit(coap.encode_ping(ping_id))
    board.write(b"".join(board.sent[-501:-1]))
    await world.settle()
    board.write(board.sent[-1])
    while board.answer_to(ping_id) is None:
        await world.advance(1)
        assert world.presence.is_online(board.device_id)
    assert len(world.logged("n")) == 500
    assert world.clock.monotonic() - begin_s >= 490 / RATE


async def test_a_device_within_its_limit_never_waits(slow_world: World) -> None:
    world = slow_world
    board = await StreamBoard(world).connect()
    await world.advance(2)
    before = metric("cyan_datagrams_dropped_total", reason="device_over_rate")
    for round_ in range(10):
        say_many(board, RATE - 1, first=round_)
        await world.advance(1)
    assert metric("cyan_datagrams_dropped_total", reason="device_over_rate") == before
    assert len(world.logged("n")) == 10 * (RATE - 1)


async def test_a_device_that_leaves_while_it_waits_leaves_nothing_behind(
    slow_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world = slow_world
    board = await StreamBoard(world).connect()
    say_many(board, 60)
    await world.spin()
    await board.hang_up()
    await world.advance(90)
    assert not world.presence.is_online(board.device_id)
    assert world.gateway._listener.count() == 0
    assert caplog.records == []
    await board.connect()


async def test_hellos_again_and_again_are_messages_like_others(slow_world: World) -> None:
    world = slow_world
    board = await StreamBoard(world).connect()
    for _ in range(40):
        board.transmit(encode_hello(board.take_id(), board.hello_message(), confirmable=False))
        await world.spin()
    await world.settle()
    assert len(board.requests_for(b"h")) < 40
    await world.advance(10)
    assert len(board.requests_for(b"h")) == 41
