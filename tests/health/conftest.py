"""The routes of vitals over a real application and database, with a device of Ada's."""

import pytest

from cyan.core.db.engine import Database
from cyan.devices.access import DeviceAccess
from cyan.devices.presence import Presence
from cyan.devices.registry import register_device
from cyan.health import api
from cyan.health.service import Vitals
from tests.calls.fake_link import FakeLink
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve
from tests.health.world import BORON, World


@pytest.fixture
def world(db: Database, clock: HandClock, cast: Cast, serve: Serve) -> World:
    register_device(db, clock, BORON, name="boron", owner=cast.ada.user_id)
    link = FakeLink(clock, Presence(db))
    client = serve(api.routes(DeviceAccess(db), Vitals(db, link)))
    return World(db, clock, cast, link, client)
