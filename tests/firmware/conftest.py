"""Attempts over a real database and boards of this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve
from tests.firmware.doors import Door, make_door
from tests.firmware.world import Works, make_works


@pytest.fixture
async def works(db: Database, clock: HandClock, bus: Bus, cast: Cast) -> AsyncIterator[Works]:
    made = make_works(db, clock, bus, cast)
    yield made
    await made.attempts.close()


@pytest.fixture
def door(works: Works, cast: Cast, serve: Serve, tmp_path: Path) -> Door:
    return make_door(works, cast, serve, tmp_path, "all")


@pytest.fixture
def door_without_compilers(works: Works, cast: Cast, serve: Serve, tmp_path: Path) -> Door:
    return make_door(works, cast, serve, tmp_path, "off")
