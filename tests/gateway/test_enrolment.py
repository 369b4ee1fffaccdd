"""Where only registered devices may come in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyan.core.db.engine import Database
from cyan.devices import keys
from tests.clock import HandClock
from tests.gateway.board import Board
from tests.gateway.world import World, make_world, metric


@pytest.fixture
async def world(db: Database, clock: HandClock, tmp_path: Path) -> AsyncIterator[World]:
    made = make_world(db, clock, tmp_path, enrolment="registered")
    await made.start()
    yield made
    await made.stop()


async def test_a_registered_device_gets_the_first_key_that_it_proves(world: World) -> None:
    board = Board(world)
    world.register(board.device_id)
    await board.connect()
    assert keys.find_by_key(world.db, board.public_key) == board.device_id


async def test_an_unknown_device_is_refused_and_nothing_of_it_kept(world: World) -> None:
    before = metric("cyan_devices_refused_total", reason="unknown_device")
    board = Board(world)
    await board.shake_hands()
    assert await board.say_hello() is None
    assert board.was_closed
    assert metric("cyan_devices_refused_total", reason="unknown_device") == before + 1
    assert world.sessions() == []
    assert keys.find_by_key(world.db, board.public_key) is None


async def test_a_device_registered_meanwhile_gets_in_at_its_next_handshake(world: World) -> None:
    board = Board(world)
    await board.shake_hands()
    await board.say_hello()
    world.register(board.device_id)
    await board.connect()
    assert world.presence.is_online(board.device_id)
