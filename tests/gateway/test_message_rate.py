"""How much one device may say over UDP: what is too much is dropped, and comes again."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyan.core.db.engine import Database
from cyan.gateway.datagrams import DatagramLink
from cyan.sim.behaviour import built_in
from cyan.sim.facts import Outcome
from cyan.wire import coap
from cyan.wire.messages import Publish, encode_publish
from tests.clock import HandClock
from tests.gateway.board import Board
from tests.gateway.firmware import Firmware
from tests.gateway.world import World, make_world, metric

RATE = 10


@pytest.fixture
async def world(db: Database, clock: HandClock, tmp_path: Path) -> AsyncIterator[World]:
    """A device may send RATE messages in a second here."""
    made = make_world(db, clock, tmp_path, device_messages_per_s=RATE)
    await made.start()
    yield made
    await made.end()


@pytest.fixture(params=[True, False], ids=["connection id", "none"])
async def board(world: World, request: pytest.FixtureRequest) -> Board:
    made = await Board(world, has_connection_id=request.param).connect()
    await world.advance(2)
    return made


def over_rate() -> float:
    return metric("cyan_datagrams_dropped_total", reason="device_over_rate")


def ping_often(board: Board, count: int) -> list[int]:
    """The ids of so many pings, all sent at once."""
    ids = [board.take_id() for _ in range(count)]
    for message_id in ids:
        board.transmit(coap.encode_ping(message_id))
    return ids


async def test_what_is_within_the_limit_is_answered(world: World, board: Board) -> None:
    before = over_rate()
    for _ in range(5):
        ids = ping_often(board, RATE)
        await world.settle()
        assert all(board.answer_to(message_id) for message_id in ids)
        await world.advance(1)
    assert over_rate() == before


async def test_what_is_above_it_is_dropped_and_counted_until_the_second_is_over(
    world: World, board: Board
) -> None:
    before = over_rate()
    ids = ping_often(board, 4 * RATE)
    await world.settle()
    answered = [message_id for message_id in ids if board.answer_to(message_id)]
    # What is left of an earlier second counts too.
    assert RATE <= len(answered) < 2 * RATE
    assert answered == ids[: len(answered)]
    assert over_rate() == before + len(ids) - len(answered)
    await world.advance(0.5)
    assert await board.ping() is None
    await world.advance(0.6)
    assert await board.ping() is not None


async def test_an_event_that_was_dropped_is_new_when_it_comes_again(
    world: World, board: Board
) -> None:
    ping_often(board, 2 * RATE)
    message_id = board.take_id()
    event = encode_publish(message_id, Publish("temperature"))
    board.transmit(event)
    await world.settle()
    assert (board.answer_to(message_id), world.logged("temperature")) == (None, [])
    await world.advance(4)
    board.transmit(event)
    await world.settle()
    assert board.answer_to(message_id) is not None
    assert len(world.logged("temperature")) == 1


async def test_a_device_that_says_too_much_takes_nothing_from_others(
    world: World, board: Board
) -> None:
    other = await Board(world, 2).connect()
    await world.advance(2)
    ping_often(board, 20 * RATE)
    ids = ping_often(other, RATE)
    await world.settle()
    assert all(other.answer_to(message_id) for message_id in ids)


async def test_a_device_that_says_too_much_stays_online(world: World, board: Board) -> None:
    for _ in range(100):
        ping_often(board, 2 * RATE)
        await world.advance(1)
    assert world.statuses() == ["online"]
    assert board.alerts == []


async def test_firmware_beyond_the_limit_gets_all_its_events_through(world: World) -> None:
    firmware = await Firmware(world, behaviour=built_in(event_interval_s=1.0)).connect()
    link = world.gateway.online_link(firmware.device_id)
    assert isinstance(link, DatagramLink)
    # As if all else that it says had used up its second, again and again.
    for _ in range(30):
        link.budget, link._budget_ends_s = 0, world.clock.monotonic() + 1
        await world.advance(2.5)
    await world.advance(60)
    acknowledged = firmware.settled(Outcome.ACKNOWLEDGED)
    logged = Counter(event.data for event in world.logged("heartbeat"))
    assert firmware.handshakes == [False]
    assert firmware.settled(Outcome.REFUSED) == []
    assert len(acknowledged) > 50
    assert all(logged[data] == 1 for data in acknowledged)
    assert max(logged.values()) == 1
