"""GET /v1/devices and GET /v1/devices/:id (rest-api-core.md §8.1 and 8.2)."""

import pytest

from cyan.core.clock import iso_ms
from cyan.devices import description
from cyan.wire.describe import Module, SystemDescribe
from cyan.wire.describe.system import SYSTEM_PART, USER_PART
from tests.devices.world import BORON, PERMISSION_DENIED, PHOTON, World, device_id

SUMMARY = {
    "id",
    "name",
    "last_app",
    "last_ip_address",
    "last_heard",
    "last_handshake_at",
    "product_id",
    "online",
    "connected",
    "platform_id",
    "cellular",
    "notes",
    "development",
    "functions",
    "variables",
    "status",
}


async def test_a_device_shows_what_clients_read(world: World) -> None:
    ada = world.cast.ada
    world.register(1, ada, name="attic")
    world.connect(1, ("led", "reset"), {"on": 1, "n": 2, "text": 4, "temp": 9})
    now = iso_ms(world.clock.now_ms())
    answer = await world.client.get(f"/v1/devices/{device_id(1)}", headers=ada.headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "id": device_id(1),
        "name": "attic",
        "last_app": None,
        "last_ip_address": "192.0.2.7",
        "last_heard": now,
        "last_handshake_at": now,
        "product_id": BORON,
        "online": True,
        "connected": True,
        "platform_id": BORON,
        "cellular": True,
        "notes": None,
        "development": False,
        "functions": ["led", "reset"],
        "variables": {"on": "bool", "n": "int32", "text": "string", "temp": "double"},
        "status": "normal",
        "system_firmware_version": "6.2.0",
        "owner": ada.username,
        "firmware_updates_enabled": True,
        "firmware_updates_forced": False,
        "device_protection": {"status": "disabled"},
        "current_build_target": "6.2.0",
        "default_build_target": "6.2.0",
    }


async def test_what_a_cellular_device_says_of_its_modem_is_shown(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1)
    system = SystemDescribe(
        (
            Module(SYSTEM_PART, 1, 6200, checked=30, passed=30),
            Module(USER_PART, 2, 5, checked=30, passed=26),
        ),
        imei="352753090000000",
        iccid="8934076500002589174",
        modem_firmware_version="L0.0.00.00.05.06",
    )
    world.db.write_blocking(
        lambda connection: description.store_system(connection, device_id(1), system, BORON)
    )
    world.db.write_blocking(
        lambda connection: description.store_patch_version(connection, device_id(1), "1.28")
    )
    answer = await world.client.get(f"/v1/devices/{device_id(1)}", headers=world.cast.ada.headers)
    shown = answer.json()
    assert (shown["imei"], shown["iccid"]) == ("352753090000000", "8934076500002589174")
    assert shown["last_iccid"] == "8934076500002589174"
    assert shown["modem_firmware_version"] == "L0.0.00.00.05.06"
    assert shown["cc3000_patch_version"] == "1.28"
    assert shown["status"] == "safe_mode"


async def test_the_update_switches_are_shown(world: World) -> None:
    world.register(1, world.cast.ada)
    world.db.write_blocking(
        lambda connection: description.store_updates(
            connection, device_id(1), enabled=False, forced=True
        )
    )
    answer = await world.client.get(f"/v1/devices/{device_id(1)}", headers=world.cast.ada.headers)
    assert answer.json()["firmware_updates_enabled"] is False
    assert answer.json()["firmware_updates_forced"] is True


@pytest.mark.parametrize(
    "reference",
    ["{id}", "{ID}", "{id}/", "green%20house%20%231"],
    ids=["id", "ID", "slash", "name"],
)
async def test_a_device_is_found_by_id_in_any_case_and_by_name(
    world: World, reference: str
) -> None:
    world.register(0xABC, world.cast.ada, name="green house #1")
    path = reference.format(id=device_id(0xABC), ID=device_id(0xABC).upper())
    answer = await world.client.get(f"/v1/devices/{path}", headers=world.cast.ada.headers)
    assert answer.status_code == 200
    assert answer.json()["id"] == device_id(0xABC)


async def test_the_list_is_a_bare_array_with_the_newest_handshake_first(world: World) -> None:
    for number in (1, 2, 3, 4):
        world.register(number, world.cast.ada)
    for number in (2, 4, 3):
        world.clock.advance(60)
        world.connect(number)
    world.link.disconnect(device_id(4))
    world.register(5, world.cast.cleo)
    world.register(6)
    answer = await world.client.get("/v1/devices", headers=world.cast.ada.headers)
    listed = answer.json()
    assert [row["id"] for row in listed] == [device_id(number) for number in (3, 4, 2, 1)]
    assert [row["connected"] for row in listed] == [True, False, True, False]
    assert all(row["online"] is row["connected"] for row in listed)
    assert all(row.keys() >= SUMMARY for row in listed)


async def test_a_device_that_was_never_online_has_empty_lists_and_no_stamps(world: World) -> None:
    world.register(1, world.cast.ada)
    answer = await world.client.get("/v1/devices", headers=world.cast.ada.headers)
    (row,) = answer.json()
    assert row["functions"] == []
    assert row["variables"] == {}
    assert [row[name] for name in ("last_heard", "last_handshake_at", "platform_id")] == [None] * 3
    assert row.keys() == SUMMARY


async def test_an_offline_device_keeps_what_it_said(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, ("led",), {"temp": 9}, platform_id=PHOTON)
    world.link.disconnect(device_id(1))
    shown = (
        await world.client.get(f"/v1/devices/{device_id(1)}", headers=world.cast.ada.headers)
    ).json()
    assert (shown["online"], shown["functions"]) == (False, ["led"])
    assert shown["last_handshake_at"] == iso_ms(world.clock.now_ms())
    assert shown["cellular"] is False


async def test_a_person_without_devices_has_an_empty_list(world: World) -> None:
    world.register(1, world.cast.ada)
    answer = await world.client.get("/v1/devices", headers=world.cast.cleo.headers)
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    "reference",
    [device_id(1), device_id(2), device_id(404), "attic", "no such name", "x" * 2000],
    ids=["stranger's", "unowned", "unknown", "stranger's name", "unknown name", "long"],
)
async def test_what_is_not_ones_own_and_what_is_not_there_look_alike(
    world: World, reference: str
) -> None:
    world.register(1, world.cast.ada, name="attic")
    world.register(2)
    answer = await world.client.get(f"/v1/devices/{reference}", headers=world.cast.cleo.headers)
    assert (answer.status_code, answer.json()) == (403, PERMISSION_DENIED)


async def test_two_people_may_use_the_same_name(world: World) -> None:
    world.register(1, world.cast.ada, name="attic")
    world.register(2, world.cast.cleo, name="attic")
    for person, number in ((world.cast.ada, 1), (world.cast.cleo, 2)):
        answer = await world.client.get("/v1/devices/attic", headers=person.headers)
        assert answer.json()["id"] == device_id(number)
