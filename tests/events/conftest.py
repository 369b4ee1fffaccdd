"""What every test of events starts from."""

import pytest

from cyan.core.db.engine import Database
from tests.clock import HandClock
from tests.events.world import World, make_world


@pytest.fixture
def world(db: Database, clock: HandClock) -> World:
    return make_world(db, clock)
