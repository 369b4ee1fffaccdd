"""The gateway's world, started."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyan.core.db.engine import Database
from tests.clock import HandClock
from tests.gateway.world import World, make_world


@pytest.fixture
async def world(db: Database, clock: HandClock, tmp_path: Path) -> AsyncIterator[World]:
    made = make_world(db, clock, tmp_path)
    await made.start()
    yield made
    await made.end()


@pytest.fixture
async def slow_world(db: Database, clock: HandClock, tmp_path: Path) -> AsyncIterator[World]:
    """All updates together may send 50 kB a second."""
    made = make_world(db, clock, tmp_path, update_kib_per_s=50)
    await made.start()
    yield made
    await made.end()
