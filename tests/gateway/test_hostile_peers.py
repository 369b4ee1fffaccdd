"""Strangers who know what can be seen on the wire: they cost a connected device nothing."""

import gc
from collections.abc import Callable
from random import Random
from typing import Final

import pytest
from structlog.testing import capture_logs

from cyan.core.ids import DeviceId
from cyan.core.log import EACH_WINDOW_S, MAX_LINES_EACH, Pace
from cyan.gateway import gateway as gateway_module
from cyan.gateway.datagrams import DatagramLink
from cyan.wire import coap
from cyan.wire.dtls import alerts
from cyan.wire.dtls.record import ALERT, APPLICATION_DATA, CID, MOVED, MOVED_CID
from tests.gateway.board import Board
from tests.gateway.world import World, make_port

FLOOD: Final = 2000
"""Datagrams in no time at all: ten times what one device may send in a second."""

NONSENSE: Final = b"\xb1\x45\x02\xc3\x28"
"""The options of an event whose name is not UTF-8."""

MOST_SESSIONS: Final = 4
BETWEEN_EVENTS: Final = 100

Forge = Callable[[Board, Random], bytes]


def body(random: Random) -> bytes:
    """What stands behind the header, nonce and tag included."""
    content = random.randbytes(64)
    return len(content).to_bytes(2, "big") + content


def start(outer_type: int, random: Random) -> bytes:
    return bytes((outer_type,)) + b"\xfe\xfd\x00\x01" + random.getrandbits(16).to_bytes(6, "big")


def with_connection_id(board: Board, random: Random) -> bytes:
    return start(CID, random) + board.connection_id + body(random)


def with_connection_id_from_elsewhere(board: Board, random: Random) -> bytes:
    return start(MOVED_CID, random) + board.connection_id + body(random)


def with_device_id(board: Board, random: Random) -> bytes:
    """Device OS 3.0 and before: the id, and how long it is, behind the record."""
    return start(MOVED, random) + body(random) + bytes.fromhex(board.device_id) + b"\x0c"


def with_nothing(_board: Board, random: Random) -> bytes:
    return start(APPLICATION_DATA, random) + body(random)


@pytest.mark.parametrize(
    ("forge", "is_own_address", "has_connection_id"),
    [
        (with_connection_id, True, True),
        (with_connection_id, False, True),
        (with_connection_id_from_elsewhere, False, True),
        (with_device_id, False, False),
        (with_nothing, True, False),
    ],
)
async def test_forged_records_of_a_session_take_nothing_from_it(
    world: World, forge: Forge, is_own_address: bool, has_connection_id: bool
) -> None:
    board = await Board(world, has_connection_id=has_connection_id).connect()
    address = board.address if is_own_address else make_port(9)
    random = Random(FLOOD)
    events = FLOOD // BETWEEN_EVENTS
    for _ in range(events):
        for _ in range(BETWEEN_EVENTS):
            world.arrive(forge(board, random), address)
        answer = await board.publish()
        assert answer is not None
        assert (answer.type, answer.code) == (coap.ACK, coap.EMPTY)
    assert len(world.logged("temperature")) == events
    assert board.alerts == []


async def test_a_device_that_talks_nonsense_does_not_fill_the_log(world: World) -> None:
    board = await Board(world).connect()

    async def talk(times: int) -> None:
        for _ in range(times):
            board.transmit(b"\x40\x02" + board.take_id().to_bytes(2, "big") + NONSENSE)
        await world.advance(1)

    with capture_logs(processors=[Pace(world.clock.monotonic)]) as lines:
        for _ in range(FLOOD // BETWEEN_EVENTS):
            await talk(BETWEEN_EVENTS)
        told = [line for line in lines if line["event"] == "device.malformed"]
        assert len(told) == MAX_LINES_EACH
        await world.advance(EACH_WINDOW_S)
        await talk(1)
    assert lines[-1]["event"] == "device.malformed"
    assert lines[-1]["left_out"] == FLOOD - MAX_LINES_EACH


async def test_a_device_that_connects_again_and_again_does_not_fill_the_log(world: World) -> None:
    connections = 3 * MAX_LINES_EACH
    with capture_logs(processors=[Pace(world.clock.monotonic)]) as lines:
        for _ in range(connections):
            board = await Board(world).connect()
            assert board.records is not None
            board.send(board.records.seal(ALERT, alerts.CLOSE_NOTIFY))
            await world.settle()
    for kind in ("device.online", "device.offline", "session.ended"):
        assert sum(line["event"] == kind for line in lines) == MAX_LINES_EACH


def kept_links(world: World) -> int:
    """How many sessions over UDP take memory, whoever holds them."""
    gc.collect()
    return sum(
        isinstance(found, DatagramLink) and found.host is world.gateway
        for found in gc.get_objects()
    )


async def test_sessions_that_had_to_give_way_take_no_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "MAX_UNFINISHED", MOST_SESSIONS)
    for number in range(1, 60):
        await Board(world, number).shake_hands()
    assert kept_links(world) <= 2 * MOST_SESSIONS


async def test_of_the_sessions_that_ended_the_newest_are_told_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "MAX_ENDED", MOST_SESSIONS)
    boards = [await Board(world, number).connect() for number in range(1, 30)]
    for board in boards:
        world.gateway.disconnect(DeviceId(board.device_id), "told to")
    await world.settle()
    assert all(board.was_closed for board in boards)
    for board in boards:
        board.alerts.clear()
        await board.ping()
    assert [board.was_closed for board in boards[-MOST_SESSIONS:]] == [True] * MOST_SESSIONS
    assert not any(board.was_closed for board in boards[:-MOST_SESSIONS])
    # What is still to be written of a session holds it for a few seconds more.
    await world.advance(15)
    assert kept_links(world) <= MOST_SESSIONS
    await world.advance(gateway_module.FORGET_ENDED_S)
    assert kept_links(world) == 0


async def test_a_device_that_shakes_hands_anew_leaves_nothing_of_its_old_sessions(
    world: World,
) -> None:
    for _ in range(10):
        await Board(world).connect()
        # Long enough for it to be written.
        await world.advance(15)
    assert kept_links(world) == 1
