"""POST /v1/devices (platform-semantics.md §5.2; acceptance rows 38, 59 and 60)."""

import asyncio

import pytest

from cyan.audit.store import list_entries
from cyan.devices.model import DeviceClaimed
from tests.devices.world import World, device_id


async def test_an_online_device_without_owner_is_claimed_at_once(world: World) -> None:
    """Row 59: breathing cyan is a live session. Row 60: the documented call."""
    world.register(1)
    world.connect(1)
    ada = world.cast.ada
    answer = await world.client.post(
        "/v1/devices",
        headers=ada.headers,
        json={"id": device_id(1), "request_transfer": False},
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "user_id": ada.user_id,
        "id": device_id(1),
        "deviceID": device_id(1),
        "connected": True,
        "claimed": True,
        "ok": True,
    }
    assert world.owner_of(1) == ada.user_id
    assert world.claimed == [DeviceClaimed(device_id(1), ada.user_id, None)]
    assert world.stored(1).claimed_at_ms == world.clock.now_ms()


async def test_a_claim_is_in_the_audit(world: World) -> None:
    world.register(1)
    world.connect(1)
    await world.client.post(
        "/v1/devices", headers=world.cast.ada.headers, json={"id": device_id(1)}
    )
    newest = list_entries(world.db, subject=f"device:{device_id(1)}")[0]
    assert (newest.action, newest.actor) == ("device.claimed", f"user:{world.cast.ada.user_id}")


async def test_an_id_in_capitals_and_as_a_form_with_a_slash_is_the_same_device(
    world: World,
) -> None:
    """Row 38, and the way in which the auto-claim webhook and old tools ask."""
    world.register(0xABC)
    world.connect(0xABC)
    answer = await world.client.post(
        f"/v1/devices/?access_token={world.cast.ada.token}",
        data={"deviceID": device_id(0xABC).upper()},
    )
    assert answer.status_code == 200
    assert answer.json()["id"] == device_id(0xABC)
    assert world.owner_of(0xABC) == world.cast.ada.user_id


async def test_a_claimed_device_gets_a_name_that_its_owner_has_not_used(world: World) -> None:
    for number in range(1, 6):
        world.register(number)
        world.connect(number)
        await world.client.post(
            "/v1/devices", headers=world.cast.ada.headers, json={"id": device_id(number)}
        )
    names = {world.stored(number).name for number in range(1, 6)}
    assert len(names) == 5
    assert all(name and "_" in name for name in names)


async def test_a_device_keeps_the_name_that_the_operator_gave_it(world: World) -> None:
    world.register(1, name="greenhouse")
    world.connect(1)
    await world.client.post(
        "/v1/devices", headers=world.cast.ada.headers, json={"id": device_id(1)}
    )
    assert world.stored(1).name == "greenhouse"


async def test_a_name_that_the_new_owner_uses_already_is_replaced(world: World) -> None:
    world.register(1, world.cast.ada, name="greenhouse")
    world.register(2, name="greenhouse")
    world.connect(2)
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.ada.headers, json={"id": device_id(2)}
    )
    assert answer.status_code == 200
    assert world.stored(2).name not in (None, "greenhouse")


@pytest.mark.parametrize("online", [True, False])
async def test_claiming_ones_own_device_again_succeeds_and_changes_nothing(
    world: World, online: bool
) -> None:
    """The auto-claim library depends on it (platform-semantics.md §5.2)."""
    world.register(1, world.cast.ada, name="attic")
    if online:
        world.connect(1)
    before = world.stored(1)
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.ada.headers, json={"id": device_id(1)}
    )
    assert answer.status_code == 200
    assert answer.json()["connected"] is online
    assert world.stored(1) == before
    assert world.claimed == []


async def test_a_device_that_is_offline_cannot_be_claimed(world: World) -> None:
    """Row 59; section 21 row 1. The CLI prints strings of `errors`, so it is one."""
    world.register(1)
    world.connect(1)
    world.link.disconnect(device_id(1))
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.ada.headers, json={"id": device_id(1)}
    )
    assert answer.status_code == 404
    assert answer.json() == {
        "ok": False,
        "errors": [
            "The device is not online. Connect it first: its light breathes cyan when it is."
        ],
    }
    assert world.owner_of(1) is None


@pytest.mark.parametrize("online", [True, False])
async def test_a_strangers_device_belongs_to_someone_else(world: World, online: bool) -> None:
    """Row 60: the CLI looks for this text and then offers a transfer."""
    world.register(1, world.cast.ada)
    if online:
        world.connect(1)
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.cleo.headers, json={"id": device_id(1)}
    )
    assert answer.status_code == 403
    assert answer.json() == {"ok": False, "errors": ["That belongs to someone else."]}
    assert world.owner_of(1) == world.cast.ada.user_id


@pytest.mark.parametrize("unknown", [device_id(404), "abc", "g" * 24, "0" * 25, "déjà"])
async def test_an_unknown_or_malformed_id_is_not_found(world: World, unknown: str) -> None:
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.ada.headers, json={"id": unknown}
    )
    assert answer.status_code == 404
    assert answer.json() == {"ok": False, "errors": ["device not found"]}


async def test_a_claim_without_an_id_is_told_so(world: World) -> None:
    answer = await world.client.post("/v1/devices", headers=world.cast.ada.headers, json={})
    assert answer.status_code == 400
    assert answer.json() == {"ok": False, "errors": ["arg.deviceID is empty"]}


async def test_an_id_that_is_not_text_is_told_so(world: World) -> None:
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.ada.headers, json={"id": [device_id(1)]}
    )
    assert answer.status_code == 400
    assert "24 hexadecimal digits" in answer.json()["errors"][0]


async def test_of_two_people_who_claim_at_once_one_gets_it(world: World) -> None:
    world.register(1)
    world.connect(1)
    answers = await asyncio.gather(
        *(
            world.client.post("/v1/devices", headers=person.headers, json={"id": device_id(1)})
            for person in (world.cast.ada, world.cast.cleo)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 403]
    winner = next(answer.json()["user_id"] for answer in answers if answer.status_code == 200)
    assert world.owner_of(1) == winner
    assert len(world.claimed) == 1
