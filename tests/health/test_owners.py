"""Vitals of a device that has changed hands: cells and networks tell where it was before."""

import pytest
from sqlalchemy import update

from cyan.devices.store import devices_device
from tests.cast import Person
from tests.health.world import BORON, World

OLD, NEW = '{"device":{"system":{"uptime":1}}}', '{"device":{"system":{"uptime":2}}}'


async def give(world: World, person: Person) -> None:
    """The device is this person's from now on."""
    world.clock.advance(60)
    values = {"owner_id": person.user_id, "claimed_at_ms": world.clock.now_ms()}
    change = update(devices_device).where(devices_device.c.id == BORON).values(values)
    await world.db.write(lambda connection: connection.execute(change).rowcount)


@pytest.mark.parametrize("tail", ["", "/summary"])
async def test_a_new_owner_sees_nothing_of_before(world: World, tail: str) -> None:
    world.send(OLD)
    await give(world, world.cast.cleo)
    answer = await world.get(tail, world.cast.cleo)
    assert answer.status_code == 200
    body = answer.json()
    assert body.get("diagnostics", body.get("samples")) == []


async def test_the_last_is_there_once_the_device_has_told_the_new_owner(world: World) -> None:
    world.send(OLD)
    await give(world, world.cast.cleo)
    assert (await world.get("/last", world.cast.cleo)).status_code == 404
    world.send(NEW)
    last = await world.get("/last", world.cast.cleo)
    assert last.json()["diagnostics"]["payload"]["device"]["system"]["uptime"] == 2
    assert len((await world.get("", world.cast.cleo)).json()["diagnostics"]) == 1
