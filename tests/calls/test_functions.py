"""POST /v1/devices/:id/:function (rest-api-core.md §8.3; acceptance row 18)."""

import pytest

from cyan.core.metrics import REGISTRY
from tests.devices.world import BORON, PERMISSION_DENIED, PHOTON, World, device_id

PATH = f"/v1/devices/{device_id(1)}/led"


def count(outcome: str) -> float:
    labels = {"kind": "function", "outcome": outcome}
    return REGISTRY.get_sample_value("cyan_calls_total", labels) or 0


async def test_a_call_returns_the_functions_result(world: World) -> None:
    world.register(1, world.cast.ada, name="attic")
    device = world.connect(1, ("led",))
    device.results["led"] = -7
    before = count("ok")
    answer = await world.client.post(PATH, headers=world.cast.ada.headers, json={"args": "on"})
    assert answer.status_code == 200
    assert answer.json() == {
        "id": device_id(1),
        "name": "attic",
        "last_app": "",
        "connected": True,
        "return_value": -7,
    }
    assert device.received == [("function", "led(on)")]
    assert count("ok") == before + 1


@pytest.mark.parametrize(
    ("body", "argument"),
    [
        ({"json": {"arg": "a"}}, "a"),
        ({"json": {"args": "grün, 50 %"}}, "grün, 50 %"),
        ({"json": {"params": "c"}}, "c"),
        ({"data": {"arg": "d&e=f"}}, "d&e=f"),
        ({"data": {"args": "g"}}, "g"),
        ({"files": {"args": (None, "h")}}, "h"),
        ({"json": {"args": 42}}, "42"),
        ({"json": {"args": True}}, "true"),
        ({"json": {"args": None}}, ""),
        ({"json": {}}, ""),
        ({}, ""),
    ],
)
async def test_the_argument_is_found_where_clients_put_it(
    world: World, body: dict[str, object], argument: str
) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1, ("led",))
    device.results["led"] = 0
    answer = await world.client.request("POST", PATH, headers=world.cast.ada.headers, **body)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert device.received == [("function", f"led({argument})")]


@pytest.mark.parametrize("where", ["query", "body"])
async def test_the_raw_form_is_the_bare_number(world: World, where: str) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, ("led",)).results["led"] = 5
    raw = {"format": "raw"}
    answer = await world.client.post(
        PATH,
        headers=world.cast.ada.headers,
        params=raw if where == "query" else None,
        data=raw if where == "body" else None,
    )
    assert answer.text == "5"
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_device_is_called_by_its_name_and_a_function_of_any_name(world: World) -> None:
    world.register(1, world.cast.ada, name="green house")
    world.connect(1, ("Lüfter an",)).results["Lüfter an"] = 1
    answer = await world.client.post(
        "/v1/devices/green%20house/L%C3%BCfter%20an", headers=world.cast.ada.headers
    )
    assert answer.json()["return_value"] == 1


async def test_an_offline_device_times_out_at_once(world: World) -> None:
    """Section 21 row 15."""
    world.register(1, world.cast.ada)
    world.connect(1, ("led",))
    world.link.disconnect(device_id(1))
    before = count("offline")
    answer = await world.client.post(PATH, headers=world.cast.ada.headers, json={"args": ""})
    assert (answer.status_code, answer.json()) == (408, {"ok": False, "error": "timed out"})
    assert count("offline") == before + 1


async def test_a_device_that_does_not_answer_times_out(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, ("led",)).is_silent = True
    before = count("timeout")
    answer = await world.client.post(PATH, headers=world.cast.ada.headers, json={"args": ""})
    assert (answer.status_code, answer.json()) == (408, {"ok": False, "error": "timed out"})
    assert count("timeout") == before + 1


@pytest.mark.parametrize("online", [True, False])
async def test_an_unknown_function_is_refused_before_anything_is_sent(
    world: World, online: bool
) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1, ("led",), {"temp": 9})
    if not online:
        world.link.disconnect(device_id(1))
    answer = await world.client.post(
        f"/v1/devices/{device_id(1)}/temp", headers=world.cast.ada.headers
    )
    assert answer.status_code == 404
    assert answer.json() == {"ok": False, "error": "Function temp not found"}
    assert device.received == []


@pytest.mark.parametrize(
    ("platform_id", "system_version", "limit"),
    [(BORON, 6200, 1024), (PHOTON, 3103, 864), (BORON, None, 622)],
)
async def test_an_argument_beyond_the_devices_limit_is_refused(
    world: World, platform_id: int, system_version: int | None, limit: int
) -> None:
    """platform-semantics.md §6.1: bytes of UTF-8; the device would cut it and call anyway."""
    world.register(1, world.cast.ada)
    device = world.connect(1, ("led",), platform_id=platform_id, system_version=system_version)
    device.results["led"] = 1
    headers = world.cast.ada.headers
    fits = await world.client.post(PATH, headers=headers, json={"args": "ü" * (limit // 2)})
    assert fits.status_code == 200
    device.received.clear()
    answer = await world.client.post(PATH, headers=headers, json={"args": "x" * (limit + 1)})
    assert answer.status_code == 400
    assert answer.json() == {
        "ok": False,
        "error": f"The argument has {limit + 1} bytes; this device takes {limit} at most.",
    }
    assert device.received == []


@pytest.mark.parametrize("argument", [["a"], {"a": "b"}])
async def test_an_argument_that_is_not_text_is_refused(world: World, argument: object) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1, ("led",))
    answer = await world.client.post(PATH, headers=world.cast.ada.headers, json={"arg": argument})
    assert answer.status_code == 400
    assert device.received == []


@pytest.mark.parametrize("reference", [device_id(1), device_id(2), device_id(404), "attic"])
async def test_only_the_owner_may_call(world: World, reference: str) -> None:
    world.register(1, world.cast.ada, name="attic")
    device = world.connect(1, ("led",))
    world.register(2)
    world.connect(2, ("led",))
    answer = await world.client.post(
        f"/v1/devices/{reference}/led", headers=world.cast.cleo.headers
    )
    assert (answer.status_code, answer.json()) == (403, PERMISSION_DENIED)
    assert device.received == []


async def test_a_device_that_was_never_online_times_out_whatever_it_is_asked(world: World) -> None:
    """Section 21 row 15: nobody knows yet what it offers."""
    world.register(1, world.cast.ada)
    answer = await world.client.post(
        f"/v1/devices/{device_id(1)}/anything", headers=world.cast.ada.headers
    )
    assert (answer.status_code, answer.json()) == (408, {"ok": False, "error": "timed out"})


async def test_a_device_with_too_many_calls_waiting_says_to_try_again(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, ("led",)).is_busy = True
    answer = await world.client.post(PATH, headers=world.cast.ada.headers, json={"args": ""})
    assert answer.status_code == 429
    assert "Try again" in answer.json()["error"]
