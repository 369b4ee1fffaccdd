"""PUT /v1/devices/:id {signal} (rest-api-core.md §8.4)."""

import pytest

from tests.devices.world import PERMISSION_DENIED, World, device_id

PATH = f"/v1/devices/{device_id(1)}"


@pytest.mark.parametrize(
    ("value", "on"),
    [("1", True), ("0", False), (1, True), (0, False), (True, True), (False, False)],
)
async def test_the_rainbow_starts_and_stops(world: World, value: object, on: bool) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1)
    device.signaling = not on
    answer = await world.client.put(PATH, headers=world.cast.ada.headers, json={"signal": value})
    assert answer.status_code == 200
    assert answer.json() == {"id": device_id(1), "connected": True, "signaling": on}
    assert device.signaling is on


@pytest.mark.parametrize("value", ["2", "", 7, None, [], {}])
async def test_another_value_is_refused(world: World, value: object) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1)
    answer = await world.client.put(PATH, headers=world.cast.ada.headers, json={"signal": value})
    assert answer.status_code == 400
    assert '"1"' in answer.json()["error_description"]
    assert device.received == []


async def test_an_offline_device_times_out(world: World) -> None:
    world.register(1, world.cast.ada)
    answer = await world.client.put(PATH, headers=world.cast.ada.headers, json={"signal": "1"})
    assert (answer.status_code, answer.json()) == (408, {"ok": False, "error": "timed out"})


async def test_a_stranger_may_not_signal(world: World) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1)
    answer = await world.client.put(PATH, headers=world.cast.cleo.headers, json={"signal": "1"})
    assert (answer.status_code, answer.json()) == (403, PERMISSION_DENIED)
    assert device.received == []
