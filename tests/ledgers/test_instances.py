"""What ledgers hold: set, merged, read, deleted, and how it was before (rest-api-core.md §20)."""

import pytest

from cyan.core.clock import iso_ms
from cyan.core.ids import DeviceId
from cyan.devices.registry import register_device
from cyan.ledgers import writing
from cyan.ledgers.model import LedgersRedefined, LedgerWritten, Scope
from tests.ledgers.world import BASE, LAMP, PUMP, World


async def test_data_of_a_device_is_set_and_read(world: World) -> None:
    await world.make("config")
    answer = await world.put("config", LAMP, {"level": 3, "name": "ä"})
    assert answer.status_code == 201
    now = iso_ms(world.clock.now_ms())
    assert answer.json() == {
        "instance": {
            "name": "config",
            "scope": {"type": "Device", "value": LAMP, "name": "lamp"},
            "version": 1,
            # A map of two: 1 + (1 + 5) + 1 + (1 + 4) + (1 + 2).
            "size_bytes": 16,
            "data": {"level": 3, "name": "ä"},
            "created_at": now,
            "updated_at": now,
        }
    }
    assert await world.get(f"/config/instances/{LAMP}") == answer.json()
    stats = (await world.get("/config"))["ledger"]["stats"]
    assert stats == {"instance_count": 1, "total_bytes": 16}


async def test_the_device_may_be_written_in_capitals(world: World) -> None:
    await world.make("config")
    await world.put("config", LAMP.upper(), {"a": 1})
    assert (await world.get(f"/config/instances/{LAMP}"))["instance"]["data"] == {"a": 1}


async def test_the_account_has_one_instance_under_its_own_id(world: World) -> None:
    await world.make("shared", "Owner")
    owner_id = world.cast.ada.user_id
    answer = await world.put("shared", owner_id, {"a": 1})
    assert answer.json()["instance"]["scope"] == {"type": "Owner", "value": owner_id}
    for other in (LAMP, world.cast.cleo.user_id, "me"):
        refused = await world.put("shared", other, {"a": 1})
        assert (refused.status_code, "owner" in refused.json()["error"]) == (404, True)


async def test_the_bare_body_of_the_documentation_is_taken_too(world: World) -> None:
    await world.make("config")
    answer = await world.client.put(f"{BASE}/config/instances/{LAMP}", json={"data": {"a": 1}})
    assert answer.status_code == 201


async def test_a_second_set_replaces_unless_it_merges(world: World) -> None:
    await world.make("config")
    await world.put("config", LAMP, {"a": 1, "b": {"c": 2}})
    replaced = await world.put("config", LAMP, {"b": 3}, "Replace")
    assert (replaced.status_code, replaced.json()["instance"]["data"]) == (200, {"b": 3})
    merged = await world.put("config", LAMP, {"a": None, "d": 4}, "Merge")
    assert merged.json()["instance"]["data"] == {"b": 3, "a": None, "d": 4}
    assert (await world.put("config", LAMP, {}, "Add")).status_code == 400


@pytest.mark.parametrize("data", [None, [], "text", 7])
async def test_data_that_is_no_object_is_refused(world: World, data: object) -> None:
    await world.make("config")
    assert (await world.put("config", LAMP, data)).status_code == 400
    await world.get(f"/config/instances/{LAMP}", 404)


async def test_data_that_is_nested_too_deeply_is_refused(world: World) -> None:
    await world.make("config")
    data: dict[str, object] = {}
    for _ in range(14):
        data = {"a": data}
    assert (await world.put("config", LAMP, data)).status_code == 201
    assert (await world.put("config", LAMP, {"a": data})).status_code == 400


async def test_data_is_bounded_as_devices_keep_it(world: World) -> None:
    await world.make("config")
    # 1 for the map, 2 for the key, 3 before the text.
    fits = {"k": "x" * (16_384 - 6)}
    assert (await world.put("config", LAMP, fits)).json()["instance"]["size_bytes"] == 16_384
    answer = await world.put("config", LAMP, {"k": "x" * (16_384 - 5)})
    assert answer.status_code == 400
    assert "16385" in answer.json()["error"]
    assert (await world.put("config", LAMP, {"more": 1}, "Merge")).status_code == 400


async def test_a_whole_number_that_devices_cannot_read_is_refused(world: World) -> None:
    await world.make("config")
    assert (await world.put("config", LAMP, {"n": (1 << 64) - 1})).status_code == 201
    answer = await world.put("config", LAMP, {"n": 1 << 64})
    assert (answer.status_code, "2^64" in answer.json()["error"]) == (400, True)


async def test_only_own_devices_can_be_written(world: World) -> None:
    cleos = DeviceId("e00fce680000000000000009")
    register_device(world.db, world.clock, cleos, owner=world.cast.cleo.user_id)
    await world.make("config")
    unknown = await world.put("config", "e00fce68000000000000000a", {})
    strange = await world.put("config", cleos, {})
    assert (strange.status_code, strange.json()) == (404, unknown.json())


async def test_what_devices_write_is_theirs(world: World) -> None:
    await world.make("state", "Device", "Upstream")
    answer = await world.put("state", LAMP, {"a": 1})
    assert (answer.status_code, "device" in answer.json()["error"]) == (403, True)


async def test_the_fact_is_told_only_of_what_devices_read(world: World) -> None:
    await world.make("config", "Device", "Downstream")
    await world.make("notes", "Device", None)
    await world.put("notes", LAMP, {"a": 1})
    await world.put("config", LAMP, {"a": 1})
    ada = world.cast.ada.user_id
    assert world.facts == [
        LedgersRedefined(ada),
        LedgersRedefined(ada),
        LedgerWritten(ada, "config", Scope.DEVICE, LAMP, world.clock.now_ms()),
    ]


async def test_each_state_is_newer_than_the_one_before_whatever_the_clock_says(
    world: World,
) -> None:
    await world.make("config")
    stamps = []
    for step in (0, 0, -60):
        world.clock.advance(step)
        instance = (await world.put("config", LAMP, {"at": step})).json()["instance"]
        stamps.append(instance["updated_at"])
    await world.client.delete(f"{BASE}/config/instances/{LAMP}")
    instance = (await world.put("config", LAMP, {"again": True})).json()["instance"]
    stamps.append(instance["updated_at"])
    assert stamps == sorted(set(stamps))
    assert instance["version"] == 4


async def test_instances_are_listed_by_page(world: World) -> None:
    await world.make("config")
    for device in (PUMP, LAMP):
        await world.put("config", device, {"a": 1})
    found = await world.get("/config/instances?per_page=1&page=2")
    assert [each["scope"]["name"] for each in found["instances"]] == ["pump"]
    assert found["meta"] == {"page": 2, "per_page": 1, "total_pages": 2, "total": 2}


async def test_data_of_a_device_that_was_given_away_stays_and_is_marked(world: World) -> None:
    await world.make("config")
    await world.put("config", LAMP, {"a": 1})
    give_away = "UPDATE devices_device SET owner_id = :to WHERE id = :id"
    await world.db.write(
        lambda connection: (
            connection.exec_driver_sql(
                give_away, {"to": world.cast.cleo.user_id, "id": LAMP}
            ).rowcount
        )
    )
    scope = (await world.get(f"/config/instances/{LAMP}"))["instance"]["scope"]
    assert scope == {"type": "Device", "value": LAMP, "not_owned": True}
    assert (await world.put("config", LAMP, {"a": 2})).status_code == 404


async def test_a_deleted_instance_is_gone_and_its_state_is_kept(world: World) -> None:
    await world.make("config")
    await world.put("config", LAMP, {"a": 1})
    world.clock.advance(60)
    path = f"{BASE}/config/instances/{LAMP}"
    assert (await world.client.delete(path)).status_code == 204
    assert (await world.client.delete(path)).status_code == 404
    await world.get(f"/config/instances/{LAMP}", 404)
    versions = (await world.get(f"/config/instances/{LAMP}/versions"))["versions"]
    assert [each["data"] for each in versions] == [{"a": 1}]
    assert versions[0]["replaced_at"] == iso_ms(world.clock.now_ms())


async def test_replaced_states_are_listed_newest_first_and_by_time(world: World) -> None:
    await world.make("config")
    stamps = []
    for number in range(4):
        stamps.append(iso_ms(world.clock.now_ms()))
        await world.put("config", LAMP, {"n": number})
        world.clock.advance(60)
    tail = f"/config/instances/{LAMP}/versions"
    found = await world.get(tail)
    assert [each["data"]["n"] for each in found["versions"]] == [2, 1, 0]
    assert found["meta"] == {"has_more": False}
    chosen = await world.get(f"{tail}?replaced_after={stamps[1]}&replaced_before={stamps[3]}")
    assert [each["data"]["n"] for each in chosen["versions"]] == [1]
    await world.get(f"{tail}?replaced_after=yesterday", 400)


async def test_one_state_is_read_by_its_number_the_present_one_too(world: World) -> None:
    await world.make("config")
    for number in range(1, 4):
        await world.put("config", LAMP, {"n": number})
    tail = f"/config/instances/{LAMP}/versions"
    for number in range(1, 4):
        assert (await world.get(f"{tail}/{number}"))["instance"]["data"] == {"n": number}
    for unknown in ("0", "4", "-1", "last", "9" * 30):
        await world.get(f"{tail}/{unknown}", 404)


async def test_the_number_of_kept_states_is_bounded_the_oldest_give_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_KEPT", 2)
    await world.make("config")
    for number in range(5):
        await world.put("config", LAMP, {"n": number})
    found = await world.get(f"/config/instances/{LAMP}/versions")
    assert [each["data"]["n"] for each in found["versions"]] == [3, 2]
