"""Vitals are kept for a month (platform-semantics.md §18)."""

import pytest

from cyan.health import jobs, store
from cyan.health.jobs import VitalsRetention
from tests.health.world import BORON, World

DAY_S = 24 * 3600


def stamps(world: World) -> list[int]:
    return [row.at_ms for row in world.db.rows(store.health_vitals.select())]


async def test_what_is_older_than_a_month_goes(world: World) -> None:
    world.send("{}")
    world.clock.advance(1)
    kept_from_ms = world.clock.now_ms()
    world.send("{}")
    world.clock.advance(30 * DAY_S)
    world.send("{}")
    assert await VitalsRetention(world.db, world.clock).run_once() == 1
    assert stamps(world) == [kept_from_ms, world.clock.now_ms()]


async def test_much_goes_in_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK", 2)
    for _ in range(5):
        world.send("{}", BORON)
        world.clock.advance(1)
    world.clock.advance(31 * DAY_S)
    assert await VitalsRetention(world.db, world.clock).run_once() == 5
    assert stamps(world) == []


async def test_nothing_to_do_does_nothing(world: World) -> None:
    world.send("{}")
    assert await VitalsRetention(world.db, world.clock).run_once() == 0
    assert len(stamps(world)) == 1
