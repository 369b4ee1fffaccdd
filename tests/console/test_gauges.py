"""Figures of the last hour."""

from pathlib import Path

from cyan.console.gauges import INTERVAL_S, KEPT, Gauges
from cyan.console.live import frame_of
from cyan.core.db.engine import Database
from cyan.devices.presence import Presence
from cyan.gateway import metrics
from tests.clock import HandClock


def test_a_rate_is_what_was_counted_between_two_samples(db: Database, clock: HandClock) -> None:
    gauges = Gauges(clock, Presence(db), db.path)
    gauges.sample()
    metrics.refused.labels(reason="wrong_key").inc(50)
    clock.advance(INTERVAL_S)
    gauges.sample()
    clock.advance(INTERVAL_S)
    gauges.sample()
    assert gauges.rates("refused") == [5.0, 0.0]


def test_one_sample_has_no_rate_yet(db: Database, clock: HandClock) -> None:
    gauges = Gauges(clock, Presence(db), db.path)
    assert gauges.rates("events") == []
    gauges.sample()
    assert gauges.rates("events") == []
    now = gauges.samples[-1]
    assert now.online == 0
    assert now.memory_bytes > 1024 * 1024
    assert now.database_bytes >= db.path.stat().st_size


def test_an_hour_is_kept_and_no_more(db: Database, clock: HandClock) -> None:
    gauges = Gauges(clock, Presence(db), db.path)
    for _ in range(KEPT + 5):
        gauges.sample()
        clock.advance(INTERVAL_S)
    assert len(gauges.samples) == KEPT == 3600 / INTERVAL_S


async def test_open_pages_are_told_until_they_close(db: Database, clock: HandClock) -> None:
    gauges = Gauges(clock, Presence(db), db.path)
    stream = gauges.open("figures", lambda: f"{len(gauges.samples)} samples")
    gauges.sample()
    gauges.sample()
    told = frame_of("figures", "1 samples") + frame_of("figures", "2 samples")
    assert await stream.next_chunk() == told
    stream.close()
    gauges.sample()
    assert await stream.next_chunk() is None


async def test_pages_end_when_the_server_stops(db: Database, clock: HandClock) -> None:
    gauges = Gauges(clock, Presence(db), db.path)
    streams = [gauges.open("figures", str) for _ in range(3)]
    gauges.close()
    assert [await stream.next_chunk() for stream in streams] == [None, None, None]


def test_a_database_that_is_gone_has_no_size(db: Database, clock: HandClock) -> None:
    gauges = Gauges(clock, Presence(db), Path("/nowhere/cyan.db"))
    gauges.sample()
    assert gauges.samples[-1].database_bytes == 0
