"""An acknowledged event is in the log, once; what is not in the log reaches nobody."""

import asyncio
import threading

import pytest
from sqlalchemy import Connection

from cyan.core.db.engine import Database
from cyan.events import log as log_module
from cyan.events.log import COMMIT_TIMEOUT_S, EventLog
from cyan.events.model import Event
from tests.clock import HandClock
from tests.events.world import LAMP, SESSION, World


def stored_names(db: Database) -> list[str]:
    """What another connection than the writer's finds."""
    return [row[0] for row in db.driver.execute("SELECT name FROM events_event ORDER BY position")]


class Gate:
    """Holds the writer thread until it is opened: a disk that takes its time."""

    def __init__(self, db: Database) -> None:
        self._opened = threading.Event()
        self._entered = threading.Event()
        db.submit(self._wait, lambda result, error: None)
        assert self._entered.wait(10)

    def _wait(self, _connection: Connection) -> None:
        self._entered.set()
        assert self._opened.wait(10)

    def open(self) -> None:
        self._opened.set()


def refuse_inserts(db: Database) -> None:
    db.write_blocking(
        lambda c: c.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON events_event "
            "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    )


async def test_an_acknowledged_event_is_in_the_log_once(world: World) -> None:
    seen_at_the_answer: list[list[str]] = []
    world.service.accept(
        world.event("a"), lambda committed: seen_at_the_answer.append(stored_names(world.db))
    )
    await world.log.drain()
    assert seen_at_the_answer == [["a"]]


async def test_every_field_comes_back_as_it_went_in(world: World) -> None:
    full = Event("x/é", b"\x00\xff", 17, LAMP, None, 65001, 3600, 30301, 7, b"12345678", 65535)
    empty = Event("y", None, 18, "api", "u" * 24)
    await world.publish(full, empty)
    assert world.log.read(0, 10) == [(1, full), (2, empty)]


async def test_a_failing_commit_is_told_and_nothing_is_delivered(world: World) -> None:
    refuse_inserts(world.db)
    stream = world.open()
    assert await world.publish(world.event("a"), world.event("b")) == [False, False]
    assert stored_names(world.db) == []
    assert world.committed == []
    world.db.write_blocking(lambda c: c.exec_driver_sql("DROP TRIGGER full"))
    assert await world.publish(world.event("c")) == [True]
    assert stored_names(world.db) == ["c"]
    assert b"event: c" in (await stream.next_chunk() or b"")


async def test_events_that_come_while_a_commit_runs_make_one_batch(world: World) -> None:
    answers: list[bool] = []
    await world.publish(world.event("first"))
    gate = Gate(world.db)
    world.service.accept(world.event("held"), answers.append)
    await _turns()
    for number in range(50):
        world.service.accept(world.event(f"late{number}"), answers.append)
        await _turns(1)
    assert answers == []
    gate.open()
    await world.log.drain()
    assert answers == [True] * 51
    assert [len(batch) for batch in world.committed] == [1, 1, 50]


async def test_positions_and_answers_keep_the_order_of_arrival(world: World) -> None:
    order: list[int] = []
    for number in range(1500):
        world.service.accept(world.event(f"n{number}"), lambda _, n=number: order.append(n))  # type: ignore[misc]
        if number % 400 == 0:
            await _turns(1)
    await world.log.drain()
    assert order == list(range(1500))
    delivered = [pair for batch in world.committed for pair in batch]
    assert [position for position, _ in delivered] == list(range(1, 1501))
    assert [event.name for _, event in delivered] == [f"n{number}" for number in range(1500)]
    assert stored_names(world.db) == [f"n{number}" for number in range(1500)]


async def test_a_batch_has_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_BATCH", 10)
    assert await world.publish(*(world.event() for _ in range(25))) == [True] * 25
    assert [len(batch) for batch in world.committed] == [10, 10, 5]


async def test_more_than_may_wait_is_refused_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MAX_WAITING", 3)
    assert await world.publish(*(world.event() for _ in range(4))) == [False, True, True, True]


async def test_a_stalled_disk_is_told_after_ten_seconds_and_only_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "WATCH_INTERVAL_S", 0.01)
    answers: list[tuple[str, bool]] = []
    gate = Gate(world.db)
    world.service.accept(world.event("committing"), lambda ok: answers.append(("committing", ok)))
    await _turns()
    world.service.accept(world.event("waiting"), lambda ok: answers.append(("waiting", ok)))
    world.clock.advance(COMMIT_TIMEOUT_S)
    while len(answers) < 2:
        await _turns(1)
    assert answers == [("committing", False), ("waiting", False)]
    gate.open()
    await world.log.drain()
    # What was already with the writer is in the log after all; what waited was given up.
    assert stored_names(world.db) == ["committing"]
    assert [[event.name for _, event in batch] for batch in world.committed] == [["committing"]]
    assert len(answers) == 2


async def test_one_publisher_that_fails_does_not_hurt_the_others(world: World) -> None:
    def broken(_committed: bool) -> None:
        raise RuntimeError("its session is gone")

    answers: list[bool] = []
    world.service.accept(world.event("a"), broken)
    world.service.accept(world.event("b"), answers.append)
    await world.log.drain()
    assert answers == [True]
    assert len(world.committed) == 1


async def test_a_restart_goes_on_behind_the_last_position(world: World) -> None:
    await world.publish(*(world.event() for _ in range(3)))
    again = EventLog(world.db, world.clock)
    assert again.committed_position == 3
    again.append(world.event("after"))
    await again.drain()
    assert [position for position, _ in again.read(0, 10)] == [1, 2, 3, 4]


async def test_the_messages_of_the_last_seconds_are_known_after_a_restart(
    world: World, clock: HandClock
) -> None:
    await world.publish(world.event("old"))
    clock.advance(96)
    since_ms = clock.now_ms() - 95_000
    await world.publish(world.event("recent"), Event("mine", b"", clock.now_ms(), "api", "u" * 24))
    clock.advance(1)
    await world.publish(world.event("newest"))
    again = EventLog(world.db, clock)
    assert list(again.recent_messages(since_ms)) == [(SESSION, 3), (SESSION, 2)]


async def test_many_recent_messages_are_read_page_by_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "RECENT_PAGE", 10)
    await world.publish(*(world.event() for _ in range(35)))
    assert len(set(world.log.recent_messages(0))) == 35


async def test_reading_goes_on_from_a_position(world: World) -> None:
    await world.publish(*(world.event(f"n{number}") for number in range(5)))
    assert [event.name for _, event in world.log.read(2, 2)] == ["n2", "n3"]
    assert world.log.read(5, 2) == []


async def _turns(count: int = 20) -> None:
    """Let the loop, and the timer between two commits, go on."""
    for _ in range(count):
        await asyncio.sleep(0.001)


async def test_what_is_told_as_a_drain_ends_is_waited_for_too(world: World) -> None:
    def tell_one_more(_committed: bool) -> None:
        loop = asyncio.get_running_loop()
        # In the same turn as the drain's own waking, before it.
        loop.call_soon(world.service.accept, world.event("b"), lambda _committed: None)

    world.service.accept(world.event("a"), tell_one_more)
    await world.log.drain()
    assert stored_names(world.db) == ["a", "b"]
