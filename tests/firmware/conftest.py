"""Attempts over a real database and boards of this process."""

from collections.abc import AsyncIterator

import pytest

from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from tests.cast import Cast
from tests.clock import HandClock
from tests.firmware.world import Works, make_works


@pytest.fixture
async def works(db: Database, clock: HandClock, bus: Bus, cast: Cast) -> AsyncIterator[Works]:
    made = make_works(db, clock, bus, cast)
    yield made
    await made.attempts.close()
