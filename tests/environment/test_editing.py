"""/v1/env: variables set and taken away, of the account and of a device."""

import httpx
import pytest

from cyan.audit.store import list_entries
from cyan.core.clock import iso_ms
from cyan.core.db.engine import Database
from cyan.environment.model import MAX_OPERATIONS, MAX_RENDERED_BYTES
from tests.cast import Cast
from tests.clock import HandClock
from tests.environment.world import ACCOUNT, DEVICE, LAMP, NOTHING, change, get, roll_out


async def test_before_the_first_change_there_is_nothing(client: httpx.AsyncClient) -> None:
    empty: dict[str, object] = {
        "own": {},
        "inherited": {},
        "created_at": None,
        "updated_at": None,
        "created_by": None,
        "updated_by": None,
    }
    assert await get(client, ACCOUNT) == {"last_snapshot": NOTHING, "latest": empty}


async def test_what_was_never_rolled_out_has_no_snapshot(client: httpx.AsyncClient) -> None:
    await change(client, ACCOUNT, A="1")
    assert (await get(client, ACCOUNT))["last_snapshot"] is None


async def test_a_first_change_that_is_taken_back_leaves_nothing_to_roll_out(
    client: httpx.AsyncClient,
) -> None:
    await change(client, ACCOUNT, A="1")
    await change(client, ACCOUNT, A=None)
    assert (await get(client, ACCOUNT))["last_snapshot"] == NOTHING


@pytest.mark.parametrize("base", [ACCOUNT, DEVICE, "/v1/env/lamp"])
async def test_a_change_sets_and_takes_away(
    client: httpx.AsyncClient, base: str, cast: Cast, clock: HandClock
) -> None:
    made = iso_ms(clock.now_ms())
    await change(client, base, A="1", B="2")
    clock.advance(60)
    answer = await change(client, base, A=None, C="3")
    assert answer.status_code == 200
    assert answer.json()["latest"] == {
        "own": {"B": {"value": "2"}, "C": {"value": "3"}},
        "inherited": {},
        "created_at": made,
        "updated_at": iso_ms(clock.now_ms()),
        "created_by": cast.ada.user_id,
        "updated_by": cast.ada.user_id,
    }
    assert await get(client, base) == answer.json()


@pytest.mark.parametrize("base", [ACCOUNT, DEVICE])
async def test_one_variable_is_set_and_deleted_by_its_name(
    client: httpx.AsyncClient, base: str
) -> None:
    answer = await client.put(f"{base}/LEVEL", json={"value": "debug"})
    assert answer.json()["latest"]["own"] == {"LEVEL": {"value": "debug"}}
    answer = await client.delete(f"{base}/LEVEL")
    assert (answer.status_code, answer.json()["latest"]["own"]) == (200, {})


async def test_only_a_device_says_what_is_on_it(client: httpx.AsyncClient) -> None:
    assert "on_device" not in await get(client, ACCOUNT)
    on_device = (await get(client, DEVICE))["on_device"]
    assert on_device == {"rendered": {}, "last_reported_at": None, "development_env": False}


async def test_the_old_access_field_of_clients_is_ignored(client: httpx.AsyncClient) -> None:
    ops = [{"op": "Set", "key": "A", "value": "1", "access": ["Device"]}]
    assert (await client.patch(ACCOUNT, json={"ops": ops})).status_code == 200


@pytest.mark.parametrize("key", ["lower", "1A", "A-B", "", "A" * 129, 7, None])
async def test_a_bad_name_is_refused_with_the_rule(client: httpx.AsyncClient, key: object) -> None:
    answer = await client.patch(ACCOUNT, json={"ops": [{"op": "Set", "key": key, "value": "1"}]})
    assert answer.status_code == 400
    assert "capital letters" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ops": []},
        {"ops": "Set"},
        {"ops": [7]},
        {"ops": [{"op": "Drop", "key": "A"}]},
        {"ops": [{"op": "Set", "key": "A", "value": "1"}] * (MAX_OPERATIONS + 1)},
    ],
)
async def test_operations_of_another_form_are_refused_with_the_form(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    answer = await client.patch(ACCOUNT, json=body)
    assert answer.status_code == 400
    assert '"op": "Set"' in answer.json()["error"]


@pytest.mark.parametrize("body", [{}, {"value": 7}, {"value": None}])
async def test_a_value_that_is_no_text_is_refused(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    assert (await client.put("/v1/env/A", json=body)).status_code == 400
    assert (await get(client, ACCOUNT))["latest"]["own"] == {}


async def test_a_change_happens_whole_or_not_at_all(client: httpx.AsyncClient) -> None:
    answer = await change(client, ACCOUNT, A="1", bad="2")
    assert answer.status_code == 400
    assert (await get(client, ACCOUNT))["latest"]["own"] == {}


async def test_what_one_device_gets_is_bounded_from_both_sides(client: httpx.AsyncClient) -> None:
    half = "x" * (MAX_RENDERED_BYTES // 2)
    assert (await change(client, ACCOUNT, A=half)).status_code == 200
    too_much = await change(client, DEVICE, B=half)
    assert too_much.status_code == 400
    assert str(MAX_RENDERED_BYTES) in too_much.json()["error"]
    # An override takes the place of what it hides.
    assert (await change(client, DEVICE, A=half)).status_code == 200
    assert (await change(client, ACCOUNT, A=None, C=half)).status_code == 400
    assert (await change(client, DEVICE, A="small")).status_code == 200
    assert (await change(client, ACCOUNT, A=None, C=half)).status_code == 200


async def test_a_stranger_sees_and_changes_nothing(client: httpx.AsyncClient, cast: Cast) -> None:
    await change(client, ACCOUNT, A="1")
    await change(client, DEVICE, B="2")
    await roll_out(client, ACCOUNT)
    cleo = cast.cleo.headers
    assert (await client.get(ACCOUNT, headers=cleo)).json()["latest"]["own"] == {}
    ops = {"ops": [{"op": "Set", "key": "A", "value": "hers"}]}
    assert (await client.patch(ACCOUNT, json=ops, headers=cleo)).status_code == 200
    for method, tail in (("GET", ""), ("PATCH", ""), ("GET", "/render"), ("POST", "/rollout")):
        answer = await client.request(method, DEVICE + tail, headers=cleo, json=ops)
        assert (answer.status_code, answer.json()["error"]) == (403, "Permission Denied")
    assert (await get(client, ACCOUNT))["latest"]["own"] == {"A": {"value": "1"}}


async def test_a_new_owner_of_the_device_does_not_see_the_old_ones_variables(
    client: httpx.AsyncClient, cast: Cast, db: Database
) -> None:
    await change(client, DEVICE, SECRET="Ada's")
    await roll_out(client, DEVICE)
    give_away = "UPDATE devices_device SET owner_id = :to WHERE id = :id"
    await db.write(
        lambda connection: (
            connection.exec_driver_sql(give_away, {"to": cast.cleo.user_id, "id": LAMP}).rowcount
        )
    )
    seen = (await client.get(DEVICE, headers=cast.cleo.headers)).json()
    assert (seen["last_snapshot"], seen["latest"]["own"]) == (NOTHING, {})


async def test_changes_are_recorded_by_name_without_values(
    client: httpx.AsyncClient, db: Database, cast: Cast
) -> None:
    await change(client, ACCOUNT, TOKEN="hunter2")
    await change(client, DEVICE, A="1")
    await roll_out(client, DEVICE)
    entries = list_entries(db, actor=f"user:{cast.ada.user_id}")[:3]
    assert [(entry.action, entry.subject, entry.detail) for entry in entries] == [
        ("environment.rolled_out", f"device:{LAMP}", {"when": "Immediate"}),
        ("environment.changed", f"device:{LAMP}", {"keys": ["A"]}),
        ("environment.changed", f"user:{cast.ada.user_id}", {"keys": ["TOKEN"]}),
    ]
