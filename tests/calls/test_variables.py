"""GET /v1/devices/:id/:variable (rest-api-core.md §8.3; acceptance row 18)."""

import struct

import pytest

from cyan.core.clock import iso_ms
from cyan.core.metrics import REGISTRY
from tests.devices.world import BORON, PERMISSION_DENIED, World, device_id

VARIABLES = {"ready": 1, "answer": 2, "greeting": 4, "temp": 9}
PAYLOADS = {
    "ready": b"\x01",
    "answer": struct.pack(">i", -42),
    "greeting": "héllo".encode(),
    "temp": struct.pack("<d", 90.7249984741211),
}
"""device-protocol.md §3.5: integers big-endian, doubles little-endian."""


async def test_a_variable_is_read_with_what_clients_look_at(world: World) -> None:
    world.register(1, world.cast.ada, name="attic")
    device = world.connect(1, variables=VARIABLES)
    device.payloads.update(PAYLOADS)
    now = iso_ms(world.clock.now_ms())
    answer = await world.client.get(
        f"/v1/devices/{device_id(1)}/answer", headers=world.cast.ada.headers
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "cmd": "VarReturn",
        "name": "answer",
        "result": -42,
        "coreInfo": {
            "last_app": "",
            "last_heard": now,
            "connected": True,
            "last_handshake_at": now,
            "deviceID": device_id(1),
            "product_id": BORON,
            "name": "attic",
        },
    }
    assert device.received == [("variable", "answer")]


@pytest.mark.parametrize(
    ("name", "value", "raw"),
    [
        ("ready", True, "true"),
        ("answer", -42, "-42"),
        ("greeting", "héllo", "héllo"),
        ("temp", 90.7249984741211, "90.7249984741211"),
    ],
)
async def test_each_type_reads_back(world: World, name: str, value: object, raw: str) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, variables=VARIABLES).payloads.update(PAYLOADS)
    path = f"/v1/devices/{device_id(1)}/{name}"
    answer = await world.client.get(path, headers=world.cast.ada.headers)
    result = answer.json()["result"]
    assert result == value
    assert type(result) is type(value)
    bare = await world.client.get(f"{path}?format=raw", headers=world.cast.ada.headers)
    assert bare.text == raw
    assert bare.headers["content-type"] == "text/plain; charset=utf-8"


async def test_an_empty_text_and_a_value_that_json_lacks(world: World) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1, variables=VARIABLES)
    device.payloads.update(greeting=b"", temp=struct.pack("<d", float("nan")))
    for name, value in (("greeting", ""), ("temp", None)):
        answer = await world.client.get(
            f"/v1/devices/{device_id(1)}/{name}", headers=world.cast.ada.headers
        )
        assert answer.json()["result"] == value


async def test_an_offline_device_times_out_at_once(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, variables=VARIABLES)
    world.link.disconnect(device_id(1))
    answer = await world.client.get(
        f"/v1/devices/{device_id(1)}/temp", headers=world.cast.ada.headers
    )
    assert (answer.status_code, answer.json()) == (408, {"ok": False, "error": "timed out"})


async def test_a_device_that_does_not_answer_times_out(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, variables=VARIABLES).is_silent = True
    answer = await world.client.get(
        f"/v1/devices/{device_id(1)}/temp", headers=world.cast.ada.headers
    )
    assert (answer.status_code, answer.json()) == (408, {"ok": False, "error": "timed out"})


async def test_an_unknown_variable_is_refused_before_anything_is_sent(world: World) -> None:
    world.register(1, world.cast.ada)
    device = world.connect(1, ("led",), VARIABLES)
    answer = await world.client.get(
        f"/v1/devices/{device_id(1)}/led", headers=world.cast.ada.headers
    )
    assert answer.status_code == 404
    assert answer.json() == {"ok": False, "error": "Unknown Variable: led"}
    assert device.received == []


async def test_a_refusal_of_the_device_is_told(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, variables=VARIABLES)
    answer = await world.client.get(
        f"/v1/devices/{device_id(1)}/temp", headers=world.cast.ada.headers
    )
    assert answer.status_code == 502
    assert answer.json() == {"ok": False, "error": "The device answered with an error."}


@pytest.mark.parametrize(
    ("name", "payload"),
    [("temp", b"\0" * 7), ("answer", b""), ("ready", b"\0\0"), ("new", b"abc")],
)
async def test_a_value_that_does_not_fit_its_type_is_told(
    world: World, name: str, payload: bytes
) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, variables={**VARIABLES, "new": 77}).payloads[name] = payload
    labels = {"kind": "variable", "outcome": "refused"}
    before = REGISTRY.get_sample_value("cyan_calls_total", labels) or 0
    answer = await world.client.get(
        f"/v1/devices/{device_id(1)}/{name}", headers=world.cast.ada.headers
    )
    assert answer.status_code == 502
    assert "does not fit the type" in answer.json()["error"]
    assert REGISTRY.get_sample_value("cyan_calls_total", labels) == before + 1


@pytest.mark.parametrize("reference", [device_id(1), device_id(2), device_id(404), "attic"])
async def test_only_the_owner_may_read(world: World, reference: str) -> None:
    world.register(1, world.cast.ada, name="attic")
    device = world.connect(1, variables=VARIABLES)
    world.register(2)
    world.connect(2, variables=VARIABLES)
    answer = await world.client.get(
        f"/v1/devices/{reference}/temp", headers=world.cast.cleo.headers
    )
    assert (answer.status_code, answer.json()) == (403, PERMISSION_DENIED)
    assert device.received == []


async def test_a_device_that_was_never_online_times_out_whatever_it_is_asked(world: World) -> None:
    """Section 21 row 15: nobody knows yet what it offers."""
    world.register(1, world.cast.ada)
    answer = await world.client.get(
        f"/v1/devices/{device_id(1)}/anything", headers=world.cast.ada.headers
    )
    assert (answer.status_code, answer.json()) == (408, {"ok": False, "error": "timed out"})
