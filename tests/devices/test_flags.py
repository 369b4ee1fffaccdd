"""The keys `development` and `firmware_updates_forced` of PUT /v1/devices/:id."""

import pytest

from cyan.audit.store import list_entries
from cyan.devices.presence import DeviceOnline
from tests.cast import Person
from tests.devices.world import World, device_id

FORCED = "particle/device/updates/forced"


async def put(world: World, person: Person, fields: dict[str, object]) -> tuple[int, object]:
    answer = await world.client.put(
        f"/v1/devices/{device_id(1)}", headers=person.headers, json=fields
    )
    return answer.status_code, answer.json()


async def shown(world: World, person: Person) -> dict[str, object]:
    answer = await world.client.get(f"/v1/devices/{device_id(1)}", headers=person.headers)
    device: dict[str, object] = answer.json()
    return device


@pytest.mark.parametrize("flag", ["development", "firmware_updates_forced"])
async def test_a_flag_is_set_shown_and_unset(world: World, flag: str) -> None:
    ada = world.cast.ada
    world.register(1, ada)
    for value, meant in ((True, True), (False, False), ("true", True), ("false", False)):
        status, reply = await put(world, ada, {flag: value})
        assert status == 200
        assert isinstance(reply, dict)
        assert (reply["id"], reply[flag]) == (device_id(1), meant)
        assert reply.keys() == {"id", flag, "updated_at"}
        assert (await shown(world, ada))[flag] is meant
    actions = [entry.action for entry in list_entries(world.db, subject=f"device:{device_id(1)}")]
    assert actions[:4] == [f"device.{flag.removeprefix('firmware_')}_set"] * 4


@pytest.mark.parametrize("flag", ["development", "firmware_updates_forced"])
@pytest.mark.parametrize("value", ["yes", 2, None, [], {}])
async def test_a_flag_is_true_or_false(world: World, flag: str, value: object) -> None:
    world.register(1, world.cast.ada)
    status, reply = await put(world, world.cast.ada, {flag: value, "name": "attic"})
    assert status == 400
    assert isinstance(reply, dict)
    assert reply["error_description"] == f"{flag} is true or false."
    assert world.stored(1).name != "attic"


@pytest.mark.parametrize("flag", ["development", "firmware_updates_forced"])
async def test_a_stranger_sets_no_flag(world: World, flag: str) -> None:
    world.register(1, world.cast.ada)
    assert (await put(world, world.cast.cleo, {flag: True}))[0] == 403
    assert (await shown(world, world.cast.ada))[flag] is False


async def test_all_keys_of_one_request_are_applied_together(world: World) -> None:
    ada = world.cast.ada
    world.register(1, ada)
    fake = world.connect(1)
    keys: dict[str, object] = {
        "name": "attic",
        "notes": "by the window",
        "signal": "1",
        "development": True,
        "firmware_updates_forced": True,
    }
    status, reply = await put(world, ada, keys)
    assert status == 200
    assert isinstance(reply, dict)
    assert reply.pop("updated_at")
    del keys["signal"]
    assert reply == keys | {"id": device_id(1), "connected": True, "signaling": True}
    assert fake.received == [("signal", "on"), ("event", f"{FORCED}=true")]


async def test_a_device_is_told_at_once_and_whenever_it_comes_online(world: World) -> None:
    ada = world.cast.ada
    world.register(1, ada)
    fake = world.connect(1)
    await put(world, ada, {"firmware_updates_forced": True})
    world.bus.publish(DeviceOnline(device_id(1)))
    await put(world, ada, {"firmware_updates_forced": False})
    world.bus.publish(DeviceOnline(device_id(1)))
    assert fake.received == [
        ("event", f"{FORCED}=true"),
        ("event", f"{FORCED}=true"),
        ("event", f"{FORCED}=false"),
    ]


async def test_a_device_that_is_offline_is_told_later(world: World) -> None:
    ada = world.cast.ada
    world.register(1, ada)
    assert (await put(world, ada, {"firmware_updates_forced": True}))[0] == 200
    fake = world.connect(1)
    world.bus.publish(DeviceOnline(device_id(1)))
    assert fake.received == [("event", f"{FORCED}=true")]


async def test_flags_go_with_the_owner(world: World) -> None:
    ada = world.cast.ada
    world.register(1, ada)
    world.connect(1)
    await put(world, ada, {"development": True, "firmware_updates_forced": True})
    await world.client.delete(f"/v1/devices/{device_id(1)}", headers=ada.headers)
    await world.client.post(
        "/v1/devices", headers=world.cast.cleo.headers, json={"id": device_id(1)}
    )
    device = await shown(world, world.cast.cleo)
    assert (device["development"], device["firmware_updates_forced"]) == (False, False)
