"""GET /v1/diagnostics/:id/last and …/metadata (rest-api-core.md §15)."""

from cyan.core.clock import iso_ms
from tests.health.world import BORON, World

DENIED = 403


async def test_the_last_vitals_come_as_a_record(world: World) -> None:
    world.send('{"device":{"system":{"uptime":1}}}')
    world.clock.advance(60)
    world.send('{"device":{"system":{"uptime":61}}}')
    answer = await world.get("/last")
    assert answer.status_code == 200
    assert answer.json() == {
        "diagnostics": {
            "updated_at": iso_ms(world.clock.now_ms()),
            "deviceID": BORON,
            "payload": {"device": {"system": {"uptime": 61}}},
        }
    }


async def test_a_device_is_found_by_its_name_too(world: World) -> None:
    world.send("{}")
    answer = await world.client.get("/v1/diagnostics/boron/last", headers=world.cast.ada.headers)
    assert answer.status_code == 200


async def test_a_device_that_sent_none_is_told_so(world: World) -> None:
    answer = await world.get("/last")
    assert answer.status_code == 404
    body = answer.json()
    assert (body["ok"], body["error"]) == (False, "not_found")
    assert "vitals" in body["description"]


async def test_a_stranger_sees_no_vitals_and_not_whether_there_are_any(world: World) -> None:
    world.send("{}")
    for tail in ("", "/last", "/metadata"):
        answer = await world.get(tail, world.cast.cleo)
        assert answer.status_code == DENIED
        assert answer.json()["error"] == "Permission Denied"


async def test_the_meaning_of_vitals_has_their_shape(world: World) -> None:
    answer = await world.get("/metadata")
    assert answer.status_code == 200
    tree = answer.json()["diagnostics_metadata"]
    assert tree["device"]["system"]["uptime"]["units"] == "s"
    assert tree["device"]["network"]["signal"]["strength"]["ranges"] == {"low": 20}
    assert tree["service"]["coap"]["round_trip"]["units"] == "ms"
