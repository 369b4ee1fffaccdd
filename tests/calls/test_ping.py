"""PUT /v1/devices/:id/ping (rest-api-core.md §8.4)."""

from tests.devices.world import PERMISSION_DENIED, World, device_id

PATH = f"/v1/devices/{device_id(1)}/ping"


async def test_a_connected_device_answers(world: World) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1)
    answer = await world.client.put(PATH, headers=world.cast.ada.headers, json={})
    assert (answer.status_code, answer.json()) == (200, {"online": True, "ok": True})
    assert device.received == [("ping", "")]


async def test_an_offline_device_is_not_online(world: World) -> None:
    world.register(1, world.cast.ada)
    answer = await world.client.put(PATH, headers=world.cast.ada.headers)
    assert (answer.status_code, answer.json()) == (200, {"online": False, "ok": True})


async def test_a_device_that_does_not_answer_is_not_online(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1).is_silent = True
    answer = await world.client.put(PATH, headers=world.cast.ada.headers)
    assert answer.json() == {"online": False, "ok": True}


async def test_a_stranger_may_not_ping(world: World) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1)
    answer = await world.client.put(PATH, headers=world.cast.cleo.headers)
    assert (answer.status_code, answer.json()) == (403, PERMISSION_DENIED)
    assert device.received == []
