"""The routes of environment variables over a real application, with a device of Ada's."""

import httpx
import pytest

from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.devices.access import DeviceAccess
from cyan.devices.registry import register_device
from cyan.environment import api
from cyan.environment.service import Environment
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve
from tests.environment.world import LAMP


@pytest.fixture
def client(db: Database, clock: HandClock, cast: Cast, serve: Serve) -> httpx.AsyncClient:
    register_device(db, clock, DeviceId(LAMP), name="lamp", owner=cast.ada.user_id)
    client = serve(api.routes(DeviceAccess(db), Environment(db, clock)))
    client.headers.update(cast.ada.headers)
    return client
