"""GET /v1/serial_numbers/:serial and GET /v1/user/search."""

import pytest

from cyan.devices import labels
from cyan.devices.importing import import_labels
from cyan.devices.labels import Label
from tests.cast import Person
from tests.devices.world import BORON, World, device_id

ICCID = "8934076500002589174"


def label(world: World, number: int, **known: object) -> None:
    """The operator has imported the label of this device."""
    made = Label(device_id(number), **known)  # type: ignore[arg-type]
    import_labels(world.db, world.clock, world.vault, [made])


async def look_up(world: World, person: Person, serial: str) -> tuple[int, dict[str, object]]:
    answer = await world.client.get(f"/v1/serial_numbers/{serial}", headers=person.headers)
    return answer.status_code, answer.json()


async def search(world: World, person: Person, text: str, **more: str) -> dict[str, object]:
    answer = await world.client.get(
        "/v1/user/search", headers=person.headers, params={"text": text, **more}
    )
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


def ids(found: dict[str, object]) -> list[str]:
    results = found["results"]
    assert isinstance(results, list)
    return [result["device"]["id"] for result in results]


async def test_the_owner_finds_a_device_with_all_that_stands_on_it(world: World) -> None:
    world.register(1, world.cast.ada)
    label(
        world, 1, serial_number="P046AC123", mobile_secret="S" * 15, iccid=ICCID, platform_id=BORON
    )
    assert await look_up(world, world.cast.ada, "p046ac123") == (
        200,
        {
            "ok": True,
            "serial_number": "P046AC123",
            "device_id": device_id(1),
            "deviceID": device_id(1),
            "platform_id": BORON,
            "iccid": ICCID,
            "mobile_secret": "S" * 15,
        },
    )


async def test_anybody_finds_a_device_that_nobody_has_without_its_secrets(world: World) -> None:
    label(world, 1, serial_number="P046AC123", mobile_secret="S" * 15, iccid=ICCID)
    status, found = await look_up(world, world.cast.cleo, "P046AC123")
    assert (status, found["device_id"]) == (200, device_id(1))
    assert found.keys().isdisjoint({"mobile_secret", "iccid"})


async def test_a_strangers_device_is_as_unknown_as_one_that_is_not_there(world: World) -> None:
    world.register(1, world.cast.ada)
    label(world, 1, serial_number="P046AC123")
    refused = await look_up(world, world.cast.cleo, "P046AC123")
    assert refused == await look_up(world, world.cast.cleo, "P046AC999")
    assert refused == await look_up(world, world.cast.cleo, "no%20number!")
    assert refused[0] == 404


async def test_an_account_can_look_up_so_many_in_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "LOOKUPS", 3)
    for _ in range(3):
        assert (await look_up(world, world.cast.cleo, "P046"))[0] == 404
        world.clock.advance(60)
    assert (await look_up(world, world.cast.cleo, "P046"))[0] == 429
    assert (await look_up(world, world.cast.ada, "P046"))[0] == 404
    world.clock.advance(3600 - 180)
    assert (await look_up(world, world.cast.cleo, "P046"))[0] == 404
    assert (await look_up(world, world.cast.cleo, "P046"))[0] == 429


async def test_the_label_is_in_the_device_and_the_secret_only_in_the_single_one(
    world: World,
) -> None:
    world.register(1, world.cast.ada)
    label(
        world,
        1,
        serial_number="P046AC123",
        mobile_secret="S" * 15,
        mac_wifi="a8:61:0a:af:18:2c",
    )
    ada = world.cast.ada
    one = (await world.client.get(f"/v1/devices/{device_id(1)}", headers=ada.headers)).json()
    (row,) = (await world.client.get("/v1/devices", headers=ada.headers)).json()
    assert one["serial_number"] == row["serial_number"] == "P046AC123"
    assert one["mac_wifi"] == row["mac_wifi"] == "a8:61:0a:af:18:2c"
    assert one["mobile_secret"] == "S" * 15
    assert "mobile_secret" not in row


async def test_search_looks_at_the_beginning_of_everything_that_names_a_device(
    world: World,
) -> None:
    ada = world.cast.ada
    world.register(1, ada, name="Greenhouse 100%")
    world.register(2, ada, name="attic")
    label(world, 2, serial_number="GR046AC", iccid=ICCID, imei="352753090041680")
    for text, found in (
        (device_id(1)[:23], [1, 2]),
        (device_id(2).upper(), [2]),
        ("gree", [1]),
        ("GR", [1, 2]),
        ("house", []),
        (ICCID[:8], [2]),
        ("3527", [2]),
        ("Greenhouse 100%", [1]),
        ("%", []),
        ("att_c", []),
        ("!", []),
    ):
        assert ids(await search(world, ada, text)) == [device_id(n) for n in found], text


async def test_a_result_has_what_a_console_shows(world: World) -> None:
    world.register(1, world.cast.ada, name="lamp")
    world.connect(1)
    assert await search(world, world.cast.ada, "lamp", type="device,sim") == {
        "ok": True,
        "results": [
            {
                "type": "device",
                "device": {
                    "id": device_id(1),
                    "name": "lamp",
                    "product_id": BORON,
                    "serial_number": None,
                },
            }
        ],
        "hasMore": False,
    }
    assert ids(await search(world, world.cast.ada, "lamp", type="product")) == []


async def test_nobody_finds_what_is_not_theirs(world: World) -> None:
    world.register(1, world.cast.ada, name="lamp")
    world.register(2, name="lamp of nobody")
    for text in ("lamp", device_id(1), device_id(2)):
        assert ids(await search(world, world.cast.cleo, text)) == []


async def test_ten_results_and_whether_there_are_more(world: World) -> None:
    for number in range(1, 11):
        world.register(number, world.cast.ada, name=f"lamp {number}")
    assert (await search(world, world.cast.ada, "lamp"))["hasMore"] is False
    world.register(11, world.cast.ada, name="lamp 11")
    found = await search(world, world.cast.ada, "lamp")
    assert (len(ids(found)), found["hasMore"]) == (10, True)


@pytest.mark.parametrize(
    "query", [{}, {"text": " "}, {"text": "x" * 65}, {"text": "lamp", "type": "people"}]
)
async def test_a_search_that_makes_no_sense_is_told_so(world: World, query: dict[str, str]) -> None:
    answer = await world.client.get("/v1/user/search", headers=world.cast.ada.headers, params=query)
    assert answer.status_code == 400
