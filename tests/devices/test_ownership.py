"""Owners in memory are those of the table, at once after each change."""

from cyan.core.db.engine import Database
from cyan.core.ids import UserId
from cyan.devices import registry
from cyan.devices.ownership import Ownership
from tests.cast import Cast
from tests.clock import HandClock
from tests.devices.world import World, device_id


def test_owners_are_loaded_at_start(db: Database, clock: HandClock, cast: Cast) -> None:
    registry.register_device(db, clock, device_id(1), owner=cast.ada.user_id)
    registry.register_device(db, clock, device_id(2), owner=cast.ada.user_id)
    registry.register_device(db, clock, device_id(3))
    ownership = Ownership(db)
    assert ownership.owner_of(device_id(1)) == cast.ada.user_id
    assert ownership.owner_of(device_id(3)) is None
    assert ownership.owner_of(device_id(4)) is None
    assert ownership.devices_of(cast.ada.user_id) == {device_id(1), device_id(2)}
    assert ownership.devices_of(cast.cleo.user_id) == set()


async def test_a_claim_and_a_release_are_seen_when_the_fact_is_told(world: World) -> None:
    ada = world.cast.ada
    world.register(1)
    world.connect(1)
    await world.client.post("/v1/devices", headers=ada.headers, json={"id": device_id(1)})
    assert world.ownership.owner_of(device_id(1)) == ada.user_id
    assert world.ownership.devices_of(ada.user_id) == {device_id(1)}
    await world.client.delete(f"/v1/devices/{device_id(1)}", headers=ada.headers)
    assert world.ownership.owner_of(device_id(1)) is None
    assert world.ownership.devices_of(ada.user_id) == set()


def test_refresh_sees_what_another_process_wrote(
    db: Database, clock: HandClock, cast: Cast
) -> None:
    ownership = Ownership(db)
    registry.register_device(db, clock, device_id(1), owner=cast.ada.user_id)
    ownership.refresh(device_id(1))
    assert ownership.owner_of(device_id(1)) == cast.ada.user_id
    ownership.refresh(device_id(1))
    assert ownership.devices_of(UserId(cast.ada.user_id)) == {device_id(1)}
    ownership.refresh(device_id(404))
    assert ownership.owner_of(device_id(404)) is None
