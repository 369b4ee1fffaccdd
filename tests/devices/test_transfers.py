"""Asking for somebody else's device (platform-semantics.md §5.2; acceptance row 60)."""

import pytest

from cyan.audit.store import list_entries
from cyan.devices import transfers
from cyan.devices.model import DeviceClaimed
from cyan.devices.transfers import Transfers
from cyan.plans import store as plans_store
from cyan.rest.auth import Caller
from tests.cast import Person
from tests.devices.world import World, device_id

WEEK_S = 7 * 24 * 3600


async def ask(world: World, person: Person, number: int, wish: object = True) -> str:
    """A request for the device, the way the stock clients make it; its id."""
    answer = await world.client.post(
        "/v1/devices",
        headers=person.headers,
        json={"id": device_id(number), "request_transfer": wish},
    )
    assert answer.status_code == 200
    assert answer.json().keys() == {"ok", "transfer_id"}
    return str(answer.json()["transfer_id"])


async def answer_to(world: World, person: Person, transfer: str, action: str) -> tuple[int, str]:
    """What the answer to a request does: status, and the request's state afterwards."""
    answer = await world.client.put(
        f"/v1/device_transfers/{transfer}", headers=person.headers, json={"action": action}
    )
    return answer.status_code, str(answer.json().get("state"))


async def listed(world: World, person: Person) -> list[dict[str, object]]:
    answer = await world.client.get("/v1/device_transfers", headers=person.headers)
    assert answer.status_code == 200
    found: list[dict[str, object]] = answer.json()["transfers"]
    return found


def limit_to(world: World, devices: int) -> None:
    world.db.write_blocking(
        lambda connection: connection.execute(
            plans_store.plans_plan.insert(),
            {"word": "developer", "title": "Developer", "max_developer_devices": devices},
        )
    )


async def test_the_owner_accepts_and_the_device_is_who_askeds(world: World) -> None:
    """Row 60, the transfer path: refused claim, request, answer, claim."""
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada, name="attic")
    refused = await world.client.post(
        "/v1/devices", headers=cleo.headers, json={"id": device_id(1), "request_transfer": False}
    )
    assert "belongs to someone else" in refused.json()["errors"][0]
    transfer = await ask(world, cleo, 1)
    assert world.owner_of(1) == ada.user_id
    assert await answer_to(world, ada, transfer, "accept") == (200, "accepted")
    assert world.owner_of(1) == cleo.user_id
    assert world.claimed == [DeviceClaimed(device_id(1), cleo.user_id, ada.user_id)]
    again = await world.client.post(
        "/v1/devices", headers=cleo.headers, json={"id": device_id(1), "request_transfer": False}
    )
    assert again.json()["claimed"] is True


async def test_name_notes_and_flags_stay_behind(world: World) -> None:
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada, name="attic")
    await world.client.put(
        f"/v1/devices/{device_id(1)}", headers=ada.headers, json={"notes": "key under the mat"}
    )
    await answer_to(world, ada, await ask(world, cleo, 1), "accept")
    moved = world.stored(1)
    assert moved.notes is None
    assert moved.name not in (None, "attic")


async def test_the_owner_is_written_to_once_and_who_asked_hears_the_answer(world: World) -> None:
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada)
    transfer = await ask(world, cleo, 1)
    assert await ask(world, cleo, 1) == transfer
    assert [(one.id, one.owner_id) for one, _ in world.letters.requested] == [
        (transfer, ada.user_id)
    ]
    await answer_to(world, ada, transfer, "refuse")
    assert [(one.requester_id, one.state) for one in world.letters.decided] == [
        (cleo.user_id, "refused")
    ]


async def test_a_form_asks_too(world: World) -> None:
    world.register(1, world.cast.ada)
    answer = await world.client.post(
        "/v1/devices",
        headers=world.cast.cleo.headers,
        data={"id": device_id(1).upper(), "request_transfer": "true"},
    )
    assert answer.json()["transfer_id"]


async def test_both_see_the_request_and_only_the_owner_sees_names(world: World) -> None:
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada, name="attic")
    transfer = await ask(world, cleo, 1)
    (incoming,) = await listed(world, ada)
    assert incoming["id"] == transfer
    assert (incoming["direction"], incoming["state"]) == ("incoming", "open")
    assert (incoming["requested_by"], incoming["device_name"]) == (cleo.username, "attic")
    (outgoing,) = await listed(world, cleo)
    assert (outgoing["direction"], outgoing["device_id"]) == ("outgoing", device_id(1))
    assert outgoing.keys().isdisjoint({"requested_by", "device_name"})
    assert await listed(world, world.cast.operator) == []


async def test_a_refusal_leaves_the_device_and_one_may_ask_again(world: World) -> None:
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada)
    first = await ask(world, cleo, 1)
    assert await answer_to(world, ada, first, "refuse") == (200, "refused")
    assert world.owner_of(1) == ada.user_id
    assert await ask(world, cleo, 1) != first


async def test_who_asked_can_withdraw(world: World) -> None:
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada)
    transfer = await ask(world, cleo, 1)
    path = f"/v1/device_transfers/{transfer}"
    assert (await world.client.delete(path, headers=ada.headers)).status_code == 404
    withdrawn = await world.client.delete(path, headers=cleo.headers)
    assert withdrawn.json()["state"] == "withdrawn"
    assert world.letters.decided == []
    assert (await answer_to(world, ada, transfer, "accept"))[0] == 409
    assert world.owner_of(1) == ada.user_id


@pytest.mark.parametrize("action", ["accept", "refuse"])
async def test_only_who_was_asked_can_answer(world: World, action: str) -> None:
    world.register(1, world.cast.ada)
    transfer = await ask(world, world.cast.cleo, 1)
    for person in (world.cast.cleo, world.cast.operator):
        assert (await answer_to(world, person, transfer, action))[0] == 404
    assert (await answer_to(world, world.cast.ada, "0" * 24, action))[0] == 404
    assert world.owner_of(1) == world.cast.ada.user_id


async def test_an_answer_is_accept_or_refuse(world: World) -> None:
    world.register(1, world.cast.ada)
    transfer = await ask(world, world.cast.cleo, 1)
    answer = await world.client.put(
        f"/v1/device_transfers/{transfer}",
        headers=world.cast.ada.headers,
        json={"action": "perhaps"},
    )
    assert answer.status_code == 400
    assert '"accept" or "refuse"' in answer.json()["error_description"]


async def test_a_request_ends_after_a_week(world: World) -> None:
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada)
    transfer = await ask(world, cleo, 1)
    world.clock.advance(WEEK_S - 1)
    assert (await listed(world, ada))[0]["state"] == "open"
    world.clock.advance(1)
    assert (await listed(world, ada))[0]["state"] == "expired"
    assert (await answer_to(world, ada, transfer, "accept"))[0] == 409
    assert world.owner_of(1) == ada.user_id


async def test_a_request_to_an_owner_who_has_released_the_device_is_over(world: World) -> None:
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada)
    transfer = await ask(world, cleo, 1)
    await world.client.delete(f"/v1/devices/{device_id(1)}", headers=ada.headers)
    assert (await answer_to(world, ada, transfer, "accept"))[0] == 409
    assert (await listed(world, cleo))[0]["state"] == "expired"
    assert world.owner_of(1) is None


async def test_of_two_who_asked_one_gets_it(world: World) -> None:
    ada = world.cast.ada
    world.register(1, ada)
    first = await ask(world, world.cast.cleo, 1)
    second = await ask(world, world.cast.operator, 1)
    assert first != second
    assert (await answer_to(world, ada, first, "accept"))[0] == 200
    assert (await answer_to(world, ada, second, "accept"))[0] == 409
    assert world.owner_of(1) == world.cast.cleo.user_id


async def test_the_limit_of_the_plan_holds_and_the_request_stays_open(world: World) -> None:
    """Row 2: every way of claiming obeys."""
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada)
    world.register(2, cleo)
    limit_to(world, 1)
    transfer = await ask(world, cleo, 1)
    assert (await answer_to(world, ada, transfer, "accept"))[0] == 409
    assert world.owner_of(1) == ada.user_id
    await world.client.delete(f"/v1/devices/{device_id(2)}", headers=cleo.headers)
    assert await answer_to(world, ada, transfer, "accept") == (200, "accepted")


@pytest.mark.parametrize("wish", [True, False, "true"])
async def test_one_cannot_ask_for_what_nobody_has(world: World, wish: object) -> None:
    world.register(1)
    answer = await world.client.post(
        "/v1/devices",
        headers=world.cast.cleo.headers,
        json={"id": device_id(1), "request_transfer": wish},
    )
    assert answer.status_code == 404
    assert world.letters.requested == []


async def test_a_person_can_have_so_many_open_requests(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "MAX_OPEN_REQUESTS", 2)
    for number in (1, 2, 3):
        world.register(number, world.cast.ada)
    await ask(world, world.cast.cleo, 1)
    second = await ask(world, world.cast.cleo, 2)
    refused = await world.client.post(
        "/v1/devices",
        headers=world.cast.cleo.headers,
        json={"id": device_id(3), "request_transfer": True},
    )
    assert refused.status_code == 429
    assert "Too many" in refused.json()["errors"][0]
    assert await ask(world, world.cast.cleo, 2) == second
    await world.client.delete(f"/v1/device_transfers/{second}", headers=world.cast.cleo.headers)
    await ask(world, world.cast.cleo, 3)


async def test_an_owner_is_not_asked_without_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "MAX_OPEN_FOR_OWNER", 1)
    world.register(1, world.cast.ada)
    world.register(2, world.cast.ada)
    await ask(world, world.cast.operator, 1)
    refused = await world.client.post(
        "/v1/devices",
        headers=world.cast.cleo.headers,
        json={"id": device_id(2), "request_transfer": True},
    )
    assert refused.status_code == 429


async def test_the_audit_has_request_answer_and_change_of_owner(world: World) -> None:
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, ada)
    transfer = await ask(world, cleo, 1)
    await answer_to(world, ada, transfer, "accept")
    entries = list_entries(world.db, subject=f"device:{device_id(1)}")[:3]
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("transfer.accepted", f"user:{ada.user_id}"),
        ("device.claimed", f"user:{cleo.user_id}"),
        ("transfer.requested", f"user:{cleo.user_id}"),
    ]
    assert entries[1].detail == {"how": "transfer", "previous": ada.user_id}


async def test_old_requests_are_forgotten(world: World) -> None:
    world.register(1, world.cast.ada)
    await ask(world, world.cast.cleo, 1)
    world.clock.advance(91 * 24 * 3600)
    world.register(2, world.cast.operator)
    # The token of the cast has ended by now; the service is asked directly.
    service = Transfers(world.db, world.clock, world.bus, world.ownership, world.letters)
    cleo = Caller(world.cast.cleo.user_id, world.cast.cleo.username, "t", "c", None)
    made = await service.request(cleo, device_id(2))
    assert [one.id for one in service.list_of(cleo)] == [made.id]
