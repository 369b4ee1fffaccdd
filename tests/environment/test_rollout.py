"""Edits are staged; a rollout makes them hold (rest-api-core.md §17)."""

import httpx
import pytest

from cyan.core.clock import iso_ms
from tests.cast import Cast
from tests.clock import HandClock
from tests.environment.world import ACCOUNT, DEVICE, NOTHING, change, get, roll_out


async def test_a_rollout_copies_the_latest_into_the_snapshot(
    client: httpx.AsyncClient, cast: Cast, clock: HandClock
) -> None:
    await change(client, ACCOUNT, A="1")
    await roll_out(client, ACCOUNT)
    rolled_out = iso_ms(clock.now_ms())
    clock.advance(60)
    await change(client, ACCOUNT, A="2", B="3")
    state = await get(client, ACCOUNT)
    assert state["last_snapshot"] == {
        "own": {"A": {"value": "1"}},
        "inherited": {},
        "rollout_at": rolled_out,
        "rollout_by": cast.ada.user_id,
    }
    assert state["latest"]["own"] == {"A": {"value": "2"}, "B": {"value": "3"}}


async def test_what_holds_is_the_snapshot(
    client: httpx.AsyncClient, cast: Cast, clock: HandClock
) -> None:
    assert await get(client, f"{ACCOUNT}/render") == {
        "env": {},
        "last_updated_at": None,
        "rollout_at": None,
        "rollout_by": None,
    }
    now = iso_ms(clock.now_ms())
    await change(client, ACCOUNT, A="1")
    await roll_out(client, ACCOUNT)
    await change(client, ACCOUNT, A="2")
    assert await get(client, f"{ACCOUNT}/render") == {
        "env": {"A": "1"},
        "last_updated_at": now,
        "rollout_at": now,
        "rollout_by": cast.ada.user_id,
    }


async def test_a_device_inherits_what_its_account_rolled_out_and_overrides_it(
    client: httpx.AsyncClient,
) -> None:
    await change(client, ACCOUNT, A="account", B="account")
    await change(client, DEVICE, A="device")
    assert (await get(client, DEVICE))["latest"]["inherited"] == {}
    await roll_out(client, ACCOUNT)
    state = await get(client, DEVICE)
    inherited = {
        "A": {"from": "Owner", "value": "account"},
        "B": {"from": "Owner", "value": "account"},
    }
    assert state["latest"]["inherited"] == inherited
    assert state["last_snapshot"]["own"] == {}
    assert (await get(client, f"{DEVICE}/render"))["env"] == {"A": "account", "B": "account"}
    await roll_out(client, DEVICE)
    state = await get(client, DEVICE)
    assert state["last_snapshot"]["inherited"] == inherited
    assert state["last_snapshot"]["own"] == {"A": {"value": "device"}}
    assert (await get(client, f"{DEVICE}/render"))["env"] == {"A": "device", "B": "account"}


async def test_a_rollout_of_a_device_leaves_the_account_staged(client: httpx.AsyncClient) -> None:
    await change(client, ACCOUNT, A="staged")
    await change(client, DEVICE, B="1")
    await roll_out(client, DEVICE, "Connect")
    assert (await get(client, ACCOUNT))["last_snapshot"] is None
    assert (await get(client, f"{DEVICE}/render"))["env"] == {"B": "1"}


async def test_a_review_shows_what_a_rollout_would_change(client: httpx.AsyncClient) -> None:
    await change(client, ACCOUNT, KEPT="1", CHANGED="old", REMOVED="gone")
    await roll_out(client, ACCOUNT)
    await change(client, ACCOUNT, CHANGED="new", REMOVED=None, ADDED="here")
    review = await get(client, f"{ACCOUNT}/rollout")
    assert review == {
        "from_snapshot": {
            "changes": [
                {"op": "Added", "key": "ADDED", "after": "here"},
                {"op": "Changed", "key": "CHANGED", "before": "old", "after": "new"},
                {"op": "Removed", "key": "REMOVED", "before": "gone"},
            ],
            "unchanged": {"KEPT": "1"},
        }
    }


async def test_a_review_of_a_device_compares_with_what_it_reported_too(
    client: httpx.AsyncClient,
) -> None:
    await change(client, ACCOUNT, A="1")
    await roll_out(client, ACCOUNT)
    review = await get(client, f"{DEVICE}/rollout")
    assert review["from_snapshot"] == {"changes": [], "unchanged": {"A": "1"}}
    added = {"op": "Added", "key": "A", "after": "1"}
    assert review["from_device"] == {"changes": [added], "unchanged": {}}


@pytest.mark.parametrize("body", [{}, {"when": "Later"}, {"when": 7}])
async def test_another_time_is_refused_with_those_that_there_are(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    answer = await client.post(f"{ACCOUNT}/rollout", json=body)
    assert answer.status_code == 400
    assert "Immediate" in answer.json()["error"]
    assert (await get(client, ACCOUNT))["last_snapshot"] == NOTHING
