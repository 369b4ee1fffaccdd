"""POST /v1/diagnostics/:id/update: the device is asked, nobody waits."""

import httpx

from tests.health.world import BORON, World


async def update(world: World) -> httpx.Response:
    return await world.client.post(
        f"/v1/diagnostics/{BORON}/update", headers=world.cast.ada.headers
    )


async def test_a_connected_device_is_asked_and_the_answer_does_not_wait(world: World) -> None:
    device = world.link.connect(BORON)
    device.is_silent = True
    answer = await update(world)
    assert (answer.status_code, answer.json()) == (202, {"ok": True})
    assert device.received == [("vitals", "")]


async def test_a_device_that_is_offline_is_told_at_once(world: World) -> None:
    answer = await update(world)
    assert (answer.status_code, answer.json()) == (408, {"ok": False, "error": "timed out"})


async def test_a_device_with_too_much_to_do_is_told_so(world: World) -> None:
    world.link.connect(BORON).is_busy = True
    assert (await update(world)).status_code == 429


async def test_a_stranger_cannot_ask(world: World) -> None:
    device = world.link.connect(BORON)
    answer = await world.client.post(
        f"/v1/diagnostics/{BORON}/update", headers=world.cast.cleo.headers
    )
    assert answer.status_code == 403
    assert device.received == []
