"""POST /v1/device_claims, and what a device does with the code (platform-semantics.md §5.5)."""

import re

import pytest

from cyan.audit.store import list_entries
from cyan.core.ids import UserId
from cyan.devices import claimcodes, registry, store
from cyan.devices.claimcodes import Outcome
from cyan.devices.model import DeviceClaimed
from cyan.plans import store as plans_store
from tests.cast import Person
from tests.devices.world import World, device_id

HOUR_S = 3600


async def make_code(world: World, person: Person) -> str:
    answer = await world.client.post("/v1/device_claims", headers=person.headers, json={})
    assert answer.status_code == 200
    return str(answer.json()["claim_code"])


def limit_to(world: World, devices: int) -> None:
    """Everybody's plan has this many devices from now on."""
    world.db.write_blocking(
        lambda connection: connection.execute(
            plans_store.plans_plan.insert(),
            {"word": "developer", "title": "Developer", "max_developer_devices": devices},
        )
    )


async def test_a_code_fits_the_device_and_comes_with_the_ids_that_one_has_already(
    world: World,
) -> None:
    for number in (2, 1):
        world.register(number, world.cast.ada)
    world.register(3, world.cast.cleo)
    answer = await world.client.post("/v1/device_claims", headers=world.cast.ada.headers)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert re.fullmatch(r"[A-Za-z0-9]{63}", body["claim_code"])
    assert body["device_ids"] == [device_id(1), device_id(2)]


async def test_a_device_that_a_command_gave_to_one_is_among_the_ids(world: World) -> None:
    owner = world.cast.ada.user_id
    # As `cyan device add --owner` does it in another process: nobody tells the server.
    registry.register_device(world.db, world.clock, device_id(1), owner=owner)
    assert device_id(1) not in world.ownership.devices_of(owner)
    answer = await world.client.post("/v1/device_claims", headers=world.cast.ada.headers)
    assert answer.json()["device_ids"] == [device_id(1)]


async def test_a_device_that_one_lost_is_not_among_the_ids(world: World) -> None:
    known = world.register(1, world.cast.ada)
    released = await world.client.delete(f"/v1/devices/{known}", headers=world.cast.ada.headers)
    assert released.status_code == 200
    answer = await world.client.post("/v1/device_claims", headers=world.cast.ada.headers)
    assert answer.json()["device_ids"] == []


async def test_what_a_setup_app_adds_about_the_sim_is_taken_and_ignored(world: World) -> None:
    answer = await world.client.post(
        "/v1/device_claims",
        headers=world.cast.ada.headers,
        data={"iccid": "8934076500002589174", "imei": "352753090041680", "activation_code": "x"},
    )
    assert answer.status_code == 200


async def test_only_a_hash_of_the_code_is_stored_and_nothing_of_it_in_the_audit(
    world: World,
) -> None:
    code = await make_code(world, world.cast.ada)
    world.db.close()
    assert code.encode() not in world.db.path.read_bytes()
    assert claimcodes.hash_of(code).encode() in world.db.path.read_bytes()


async def test_making_a_code_is_in_the_audit(world: World) -> None:
    await make_code(world, world.cast.ada)
    newest = list_entries(world.db, actor=f"user:{world.cast.ada.user_id}")[0]
    assert (newest.action, newest.detail) == ("claim_code.created", None)


async def test_a_device_that_presents_a_code_belongs_to_the_one_who_made_it(world: World) -> None:
    ada = world.cast.ada
    world.register(1, name="greenhouse")
    world.connect(1)
    outcome = await world.present(1, await make_code(world, ada))
    assert outcome == Outcome(claimcodes.CLAIMED, ada.user_id)
    assert world.owner_of(1) == ada.user_id
    assert world.stored(1).name == "greenhouse"
    assert world.claimed == [DeviceClaimed(device_id(1), ada.user_id, None)]


async def test_a_claim_by_code_is_in_the_audit_with_who_had_the_device_before(
    world: World,
) -> None:
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, cleo)
    await world.present(1, await make_code(world, ada))
    newest = list_entries(world.db, subject=f"device:{device_id(1)}")[0]
    assert (newest.action, newest.actor) == ("device.claimed", f"user:{ada.user_id}")
    assert newest.detail == {"how": "claim code", "previous": cleo.user_id}


async def test_who_holds_the_device_takes_it_over_and_sees_nothing_of_its_past(
    world: World,
) -> None:
    """platform-semantics.md §5.4: physical possession."""
    ada, cleo = world.cast.ada, world.cast.cleo
    world.register(1, cleo, name="cleos_secret_lab")
    await world.client.put(
        f"/v1/devices/{device_id(1)}", headers=cleo.headers, json={"notes": "the safe is behind"}
    )
    outcome = await world.present(1, await make_code(world, ada))
    assert outcome == Outcome(claimcodes.CLAIMED, ada.user_id, cleo.user_id)
    assert world.owner_of(1) == ada.user_id
    assert world.stored(1).notes is None
    assert world.stored(1).name != "cleos_secret_lab"
    assert world.claimed == [DeviceClaimed(device_id(1), ada.user_id, cleo.user_id)]
    refused = await world.client.get(f"/v1/devices/{device_id(1)}", headers=cleo.headers)
    assert refused.status_code == 403


async def test_a_device_that_is_ones_own_already_uses_the_code_up_and_stays_as_it_is(
    world: World,
) -> None:
    ada = world.cast.ada
    world.register(1, ada, name="attic")
    before = world.stored(1)
    code = await make_code(world, ada)
    outcome = await world.present(1, code)
    assert outcome == Outcome(claimcodes.ALREADY_OWN, ada.user_id)
    assert world.stored(1) == before
    assert world.claimed == []
    again = await world.present(1, code)
    assert again.word == claimcodes.USED


async def test_a_code_works_once(world: World) -> None:
    ada = world.cast.ada
    world.register(1)
    world.register(2)
    code = await make_code(world, ada)
    await world.present(1, code)
    outcome = await world.present(2, code)
    assert outcome == Outcome(claimcodes.USED, ada.user_id)
    assert world.owner_of(2) is None


@pytest.mark.parametrize(
    ("after_s", "word"), [(HOUR_S - 1, claimcodes.CLAIMED), (HOUR_S, claimcodes.EXPIRED)]
)
async def test_a_code_works_for_an_hour(world: World, after_s: int, word: str) -> None:
    world.register(1)
    code = await make_code(world, world.cast.ada)
    world.clock.advance(after_s)
    outcome = await world.present(1, code)
    assert outcome.word == word
    assert (world.owner_of(1) is None) is (word == claimcodes.EXPIRED)


@pytest.mark.parametrize("code", ["", "x" * 63, "\udcff", "n" * 1024])
async def test_a_code_that_nobody_made_changes_nothing(world: World, code: str) -> None:
    world.register(1, world.cast.cleo)
    await make_code(world, world.cast.ada)
    outcome = await world.present(1, code)
    assert outcome == Outcome(claimcodes.UNKNOWN)
    assert world.owner_of(1) == world.cast.cleo.user_id
    assert world.claimed == []


async def test_a_code_does_not_make_a_device_known(world: World) -> None:
    code = await make_code(world, world.cast.ada)
    assert await world.present(9, code) == Outcome(claimcodes.UNKNOWN)


async def test_the_limit_of_the_plan_holds_and_the_code_stays_good(world: World) -> None:
    ada = world.cast.ada
    limit_to(world, 1)
    world.register(1, ada)
    world.register(2)
    code = await make_code(world, ada)
    outcome = await world.present(2, code)
    assert outcome == Outcome(claimcodes.AT_LIMIT, ada.user_id)
    assert world.owner_of(2) is None
    await world.client.delete(f"/v1/devices/{device_id(1)}", headers=ada.headers)
    outcome = await world.present(2, code)
    assert outcome.word == claimcodes.CLAIMED


async def test_one_account_has_a_bounded_number_of_open_codes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimcodes, "MAX_OPEN_CODES", 2)
    ada, cleo = world.cast.ada, world.cast.cleo
    first, _ = [await make_code(world, ada) for _ in range(2)]
    refused = await world.client.post("/v1/device_claims", headers=ada.headers, json={})
    assert refused.status_code == 429
    (text,) = refused.json()["errors"]
    assert "claim codes" in text
    await make_code(world, cleo)
    world.register(1)
    await world.present(1, first)
    await make_code(world, ada)
    world.clock.advance(HOUR_S)
    await make_code(world, ada)


async def test_codes_of_yesterday_are_gone(world: World) -> None:
    for _ in range(3):
        await make_code(world, world.cast.ada)
    world.clock.advance(claimcodes.KEPT_MS / 1000 + 1)
    await make_code(world, world.cast.cleo)
    (row,) = world.db.rows(store.devices_claim_code.select())
    assert row.owner_id == UserId(world.cast.cleo.user_id)
