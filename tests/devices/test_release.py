"""DELETE /v1/devices/:id."""

import pytest

from cyan.audit.store import list_entries
from cyan.devices.model import DeviceReleased
from tests.devices.world import PERMISSION_DENIED, World, device_id


@pytest.mark.parametrize("online", [True, False])
async def test_the_owner_gives_a_device_up(world: World, online: bool) -> None:
    world.register(1, world.cast.ada, name="attic")
    if online:
        world.connect(1)
    answer = await world.client.delete(
        f"/v1/devices/{device_id(1)}", headers=world.cast.ada.headers
    )
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert world.owner_of(1) is None
    assert world.released == [DeviceReleased(device_id(1), world.cast.ada.user_id)]
    newest = list_entries(world.db, subject=f"device:{device_id(1)}")[0]
    assert newest.action == "device.released"


async def test_what_the_owner_wrote_about_it_is_not_left_to_the_next_owner(world: World) -> None:
    ada = world.cast.ada
    world.register(1, ada)
    await world.client.put(
        f"/v1/devices/{device_id(1)}",
        headers=ada.headers,
        json={"name": "under the floor", "notes": "the safe is behind it"},
    )
    await world.client.delete("/v1/devices/under%20the%20floor", headers=ada.headers)
    assert (world.stored(1).name, world.stored(1).notes) == (None, None)


async def test_a_released_device_can_be_claimed_by_someone_else(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1)
    await world.client.delete(f"/v1/devices/{device_id(1)}", headers=world.cast.ada.headers)
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.cleo.headers, json={"id": device_id(1)}
    )
    assert answer.status_code == 200
    assert world.owner_of(1) == world.cast.cleo.user_id


async def test_a_stranger_cannot_release(world: World) -> None:
    world.register(1, world.cast.ada)
    answer = await world.client.delete(
        f"/v1/devices/{device_id(1)}", headers=world.cast.cleo.headers
    )
    assert (answer.status_code, answer.json()) == (403, PERMISSION_DENIED)
    assert world.owner_of(1) == world.cast.ada.user_id


async def test_releasing_twice_is_refused_the_second_time(world: World) -> None:
    world.register(1, world.cast.ada)
    path = f"/v1/devices/{device_id(1)}"
    assert (await world.client.delete(path, headers=world.cast.ada.headers)).status_code == 200
    assert (await world.client.delete(path, headers=world.cast.ada.headers)).status_code == 403
    assert len(world.released) == 1
