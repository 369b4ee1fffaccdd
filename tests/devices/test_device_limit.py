"""The developer plan's 100 devices (platform-semantics.md §2.1; acceptance row 20)."""

from cyan.plans import store as plans_store
from cyan.plans.model import BUILT_IN
from tests.devices.world import World, device_id

(DEVELOPER,) = BUILT_IN


async def test_the_hundredth_device_is_claimed_and_the_next_one_is_refused(world: World) -> None:
    ada = world.cast.ada
    assert DEVELOPER.max_developer_devices == 100
    for number in range(99):
        world.register(number, ada)
    for number in (99, 100):
        world.register(number)
        world.connect(number)
    hundredth = await world.client.post(
        "/v1/devices", headers=ada.headers, json={"id": device_id(99)}
    )
    assert hundredth.status_code == 200
    refusal = await world.client.post(
        "/v1/devices", headers=ada.headers, json={"id": device_id(100)}
    )
    assert refusal.status_code == 403
    (text,) = refusal.json()["errors"]
    assert "Developer plan allows 100 devices" in text
    assert "belongs to someone else" not in text
    assert world.owner_of(100) is None

    released = await world.client.delete(f"/v1/devices/{device_id(0)}", headers=ada.headers)
    assert released.status_code == 200
    again = await world.client.post("/v1/devices", headers=ada.headers, json={"id": device_id(100)})
    assert again.status_code == 200


async def test_a_person_at_the_limit_can_claim_their_own_device_again(world: World) -> None:
    ada = world.cast.ada
    world.db.write_blocking(
        lambda connection: connection.execute(
            plans_store.plans_plan.insert(),
            {"word": "developer", "title": "Developer", "max_developer_devices": 1},
        )
    )
    world.register(1, ada)
    world.register(2)
    world.connect(2)
    own = await world.client.post("/v1/devices", headers=ada.headers, json={"id": device_id(1)})
    assert own.status_code == 200
    other = await world.client.post("/v1/devices", headers=ada.headers, json={"id": device_id(2)})
    assert other.status_code == 403


async def test_one_persons_devices_do_not_count_for_another(world: World) -> None:
    for number in range(100):
        world.register(number, world.cast.ada)
    world.register(100)
    world.connect(100)
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.cleo.headers, json={"id": device_id(100)}
    )
    assert answer.status_code == 200
