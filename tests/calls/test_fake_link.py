"""The fake link keeps the port's contract."""

from cyan.core.db.engine import Database
from cyan.devices.presence import Presence
from tests.calls import link_contract
from tests.calls.fake_link import FakeLink
from tests.clock import HandClock
from tests.devices.world import device_id


async def test_the_fake_link_does_as_a_link_does(db: Database, clock: HandClock) -> None:
    link = FakeLink(clock, Presence(db))
    await link_contract.check_offline(link, device_id(1))
    device = link.connect(device_id(1))
    device.results["led"] = 1
    device.payloads["answer"] = b"\0\0\0\x2a"
    await link_contract.check_connected(link, device_id(1))
    device.is_silent = True
    await link_contract.check_silent(link, device_id(1))
    link.disconnect(device_id(1))
    await link_contract.check_offline(link, device_id(1))
