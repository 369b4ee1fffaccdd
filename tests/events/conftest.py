"""What every test of events starts from."""

import pytest
from tests.clock import HandClock
from tests.events.world import World, make_world

from cyan.core.db.engine import Database


@pytest.fixture
def world(db: Database, clock: HandClock) -> World:
    return make_world(db, clock)
