"""The log is kept for so many days and bytes, and never loses what a reader has not had."""

import asyncio

import pytest

from cyan.events import jobs, store
from cyan.events.jobs import Retention
from cyan.events.log import EventLog
from tests.events.world import World

DAY_S = 24 * 3600


def retention(world: World, *, days: int = 30, mib: int = 1024) -> Retention:
    return Retention(world.db, world.clock, days=days, mib=mib)


def positions(world: World) -> list[int]:
    return [position for position, _ in world.log.read(0, 1_000_000)]


async def test_events_older_than_the_days_go_and_younger_ones_stay(world: World) -> None:
    await world.publish(world.event(), world.event())
    world.clock.advance(20 * DAY_S)
    await world.publish(world.event())
    world.clock.advance(10 * DAY_S)
    assert await retention(world).run_once() == 0
    world.clock.advance(1)
    assert await retention(world).run_once() == 2
    assert positions(world) == [3]
    assert await retention(world).run_once() == 0


async def test_the_oldest_go_until_the_log_fits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MIB", 10_000)
    one = store.ROW_OVERHEAD_BYTES + len("temperature") + 900
    await world.publish(*(world.event(data=b"x" * 900) for _ in range(30)))
    await retention(world, mib=1).run_once()
    left = positions(world)
    assert left == list(range(31 - len(left), 31))
    assert len(left) * one <= 10_000 + one
    assert (len(left) + 2) * one > 10_000
    assert await retention(world, mib=1).run_once() == 0


async def test_a_log_that_fits_keeps_everything(world: World) -> None:
    await world.publish(*(world.event() for _ in range(30)))
    assert await retention(world, mib=1).run_once() == 0
    assert len(positions(world)) == 30


async def test_nothing_behind_a_cursor_is_deleted(world: World) -> None:
    await world.publish(*(world.event() for _ in range(10)))
    world.clock.advance(31 * DAY_S)
    await world.db.write(lambda connection: store.put_cursor(connection, "webhook", 4))
    await world.db.write(lambda connection: store.put_cursor(connection, "ahead", 9))
    assert await retention(world).run_once() == 4
    assert positions(world) == [5, 6, 7, 8, 9, 10]
    await world.db.write(lambda connection: store.put_cursor(connection, "webhook", 10))
    assert await retention(world).run_once() == 5
    assert store.find_cursor(world.db, "webhook") == 10


async def test_large_deletes_go_in_chunks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK", 7)
    await world.publish(*(world.event() for _ in range(30)))
    world.clock.advance(31 * DAY_S)
    await world.publish(world.event())
    assert await retention(world).run_once() == 30
    assert positions(world) == [31]


async def test_positions_are_not_used_again_after_everything_was_deleted(world: World) -> None:
    await world.publish(*(world.event() for _ in range(3)))
    world.clock.advance(31 * DAY_S)
    assert await retention(world).run_once() == 3
    again = EventLog(world.db, world.clock)
    again.append(world.event())
    await again.drain()
    assert positions(world) == [4]


async def test_the_job_runs_until_it_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "INTERVAL_S", 0.001)
    job = asyncio.ensure_future(retention(world).run())
    for _ in range(2):
        await world.publish(world.event())
        world.clock.advance(31 * DAY_S)
        async with asyncio.timeout(10):
            await _gone(world)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job


async def _gone(world: World) -> None:
    while positions(world):  # noqa: ASYNC110 - the job tells nobody when it has deleted
        await asyncio.sleep(0.001)
