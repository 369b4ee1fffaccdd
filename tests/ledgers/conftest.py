"""The routes of ledgers over a real application, with two devices of Ada's."""

import pytest

from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from cyan.devices.access import DeviceAccess
from cyan.devices.registry import register_device
from cyan.ledgers import api
from cyan.ledgers.access import LedgerAccess
from cyan.ledgers.definitions import Definitions
from cyan.ledgers.instances import Instances
from cyan.ledgers.model import LedgersRedefined, LedgerWritten
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve
from tests.ledgers.world import LAMP, PUMP, World


@pytest.fixture
def world(db: Database, clock: HandClock, bus: Bus, cast: Cast, serve: Serve) -> World:
    register_device(db, clock, LAMP, name="lamp", owner=cast.ada.user_id)
    register_device(db, clock, PUMP, name="pump", owner=cast.ada.user_id)
    access = LedgerAccess(db, DeviceAccess(db))
    definitions = Definitions(db, clock, bus, access)
    instances = Instances(db, clock, bus, access)
    client = serve(api.routes(access, definitions, instances))
    client.headers.update(cast.ada.headers)
    facts: list[object] = []
    bus.subscribe(LedgerWritten, facts.append)
    bus.subscribe(LedgersRedefined, facts.append)
    return World(db, clock, cast, client, facts)
