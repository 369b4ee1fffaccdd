"""The device routes over a real application and database."""

import pytest

from cyan.accounts.people import People
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve
from tests.devices.world import World, make_world


@pytest.fixture
def world(
    db: Database, clock: HandClock, bus: Bus, cast: Cast, serve: Serve, people: People
) -> World:
    return make_world(db, clock, bus, cast, serve, people)
