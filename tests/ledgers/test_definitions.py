"""Ledgers made, listed, changed, archived (rest-api-core.md §20)."""

import httpx
import pytest

from cyan.audit.store import list_entries
from cyan.core.clock import iso_ms
from cyan.ledgers import definitions
from cyan.ledgers.model import LedgersRedefined
from tests.ledgers.world import BASE, LAMP, World


async def test_a_ledger_is_made_and_shown(world: World) -> None:
    answer = await world.make("pump-state", "Device", "Upstream")
    assert answer.status_code == 201
    now = iso_ms(world.clock.now_ms())
    shown = {
        "scope": "Device",
        "name": "pump-state",
        "description": "of a test",
        "direction": "Upstream",
        "created_at": now,
        "updated_at": now,
        "archived_at": None,
    }
    assert answer.json() == {"ledger": shown}
    stats = {"instance_count": 0, "total_bytes": 0}
    assert await world.get("/pump-state") == {"ledger": {**shown, "stats": stats}}
    meta = {"page": 1, "per_page": 25, "total_pages": 1, "total": 1}
    assert await world.get("") == {"ledgers": [shown], "ledger_definitions": [shown], "meta": meta}
    assert world.facts == [LedgersRedefined(world.cast.ada.user_id)]


async def test_the_key_of_the_documentation_is_taken_too(world: World) -> None:
    fields = {"name": "a", "scope": "Owner"}
    answer = await world.client.post(BASE, json={"definition": fields})
    assert answer.json()["ledger"]["direction"] is None


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"name": "Upper", "scope": "Owner"}, "small letters"),
        ({"name": "a" * 33, "scope": "Owner"}, "small letters"),
        ({"scope": "Owner"}, "small letters"),
        ({"name": "a", "scope": "Planet"}, '"scope"'),
        ({"name": "a"}, '"scope"'),
        ({"name": "a", "scope": "Device", "direction": "Sideways"}, '"direction"'),
        ({"name": "a", "scope": "Owner", "direction": "Upstream"}, "scope Device"),
        ({"name": "a", "scope": "Owner", "description": 7}, "text"),
        ({"name": "a", "scope": "Owner", "description": "x" * 1001}, "1000"),
        ("a", '"scope"'),
    ],
)
async def test_what_describes_no_ledger_is_refused_with_the_rule(
    world: World, fields: object, word: str
) -> None:
    answer = await world.client.post(BASE, json={"ledger": fields})
    assert answer.status_code == 400
    assert word in answer.json()["error"]


async def test_a_ledger_of_products_is_not_built_and_says_so(world: World) -> None:
    answer = await world.make("a", "Product")
    assert answer.status_code == 501
    assert "products" in answer.json()["error_description"]


async def test_a_name_is_taken_once_over_all_scopes(world: World) -> None:
    await world.make("a", "Device")
    answer = await world.make("a", "Owner")
    assert answer.status_code == 409


async def test_the_number_of_ledgers_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(definitions, "MAX_LEDGERS", 2)
    assert [(await world.make(name)).status_code for name in "abc"] == [201, 201, 409]


async def test_the_description_can_be_changed_alone(world: World) -> None:
    await world.make("a")
    world.clock.advance(60)
    answer = await world.client.put(f"{BASE}/a", json={"ledger": {"description": "new"}})
    assert answer.status_code == 200
    changed = answer.json()["ledger"]
    assert (changed["description"], changed["direction"]) == ("new", "Downstream")
    assert changed["updated_at"] == iso_ms(world.clock.now_ms())


async def test_the_direction_of_what_devices_use_stays(world: World) -> None:
    await world.make("a", "Device", "Downstream")
    change = {"ledger": {"direction": "Upstream"}}
    answer = await world.client.put(f"{BASE}/a", json=change)
    assert (answer.status_code, "another" in answer.json()["error"]) == (409, True)


async def test_a_ledger_of_the_cloud_can_be_opened_to_devices(world: World) -> None:
    await world.make("a", "Device", None)
    change = {"ledger": {"direction": "Downstream"}}
    answer = await world.client.put(f"{BASE}/a", json=change)
    assert answer.json()["ledger"]["direction"] == "Downstream"
    assert world.facts[1:] == [LedgersRedefined(world.cast.ada.user_id)]


async def test_an_archived_ledger_is_listed_apart_and_its_name_is_free(world: World) -> None:
    await world.make("a")
    await world.put("a", LAMP, {"on": True})
    world.clock.advance(60)
    assert (await world.client.delete(f"{BASE}/a")).status_code == 204
    assert (await world.get(""))["ledgers"] == []
    await world.get("/a", 404)
    await world.get(f"/a/instances/{LAMP}", 404)
    assert (await world.client.delete(f"{BASE}/a")).status_code == 404
    archived = (await world.get("?archived=true"))["ledgers"]
    assert [each["archived_at"] for each in archived] == [iso_ms(world.clock.now_ms())]
    assert (await world.make("a")).status_code == 201
    assert (await world.get("/a/instances"))["instances"] == []


async def test_the_list_is_by_scope_and_page(world: World) -> None:
    for name in "edcba":
        await world.make(name, "Owner" if name in "ace" else "Device")
    owned = await world.get("?scope=Owner&per_page=2&page=2")
    assert [each["name"] for each in owned["ledgers"]] == ["e"]
    assert owned["meta"] == {"page": 2, "per_page": 2, "total_pages": 2, "total": 3}
    assert len((await world.get("?perPage=4"))["ledgers"]) == 4
    assert (await world.get("?scope=Product"))["ledgers"] == []
    for query in ("?page=first", "?page=0", "?per_page=0", "?scope=Everybody"):
        await world.get(query, 400)


async def test_a_stranger_sees_no_ledger_and_not_whether_there_is_one(world: World) -> None:
    await world.make("a")
    await world.put("a", LAMP, {"on": True})
    cleo = world.cast.cleo.headers
    assert (await world.client.get(BASE, headers=cleo)).json()["ledgers"] == []
    for method, tail in (
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/instances"),
        ("GET", f"/instances/{LAMP}"),
        ("PUT", f"/instances/{LAMP}"),
        ("DELETE", f"/instances/{LAMP}"),
        ("GET", f"/instances/{LAMP}/versions"),
        ("GET", f"/instances/{LAMP}/versions/1"),
    ):
        seen = await _ask(world, method, f"/a{tail}")
        unknown = await _ask(world, method, f"/none{tail}")
        assert (seen.status_code, seen.json()) == (unknown.status_code, unknown.json())
        assert seen.status_code == 404
    await world.get("/a")


async def _ask(world: World, method: str, tail: str) -> httpx.Response:
    body = {"ledger": {"description": "hers"}, "instance": {"data": {}}}
    return await world.client.request(
        method, BASE + tail, headers=world.cast.cleo.headers, json=body
    )


async def test_deeds_are_recorded(world: World) -> None:
    await world.make("a")
    await world.put("a", LAMP, {"on": True})
    await world.client.delete(f"{BASE}/a/instances/{LAMP}")
    await world.client.delete(f"{BASE}/a")
    entries = list_entries(world.db, actor=f"user:{world.cast.ada.user_id}")
    assert [entry.action for entry in entries[:4]] == [
        "ledger.archived",
        "ledger.deleted",
        "ledger.set",
        "ledger.created",
    ]
    assert entries[2].detail == {"name": "a", "scope_value": LAMP}
