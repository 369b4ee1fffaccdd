"""PUT /v1/devices/:id: name, notes, several keys at once, and what is not built (§8.4, 8.5)."""

import pytest

from cyan.audit.store import list_entries
from cyan.core.clock import iso_ms
from tests.devices.world import PERMISSION_DENIED, World, device_id

PATH = f"/v1/devices/{device_id(1)}"


@pytest.fixture(autouse=True)
def _registered(world: World) -> None:
    world.register(1, world.cast.ada, name="attic")


async def test_the_owner_renames_a_device(world: World) -> None:
    world.clock.advance(5)
    answer = await world.client.put(
        PATH, headers=world.cast.ada.headers, json={"name": "  green house "}
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "id": device_id(1),
        "name": "green house",
        "updated_at": iso_ms(world.clock.now_ms()),
    }
    assert world.stored(1).name == "green house"
    assert list_entries(world.db)[0].action == "device.renamed"


async def test_the_owner_writes_and_removes_notes(world: World) -> None:
    for notes in ("behind the stove\nsecond shelf", None):
        answer = await world.client.put(PATH, headers=world.cast.ada.headers, json={"notes": notes})
        assert answer.status_code == 200
        assert answer.json()["notes"] == notes
        assert world.stored(1).notes == notes


@pytest.mark.parametrize("how", ["json", "data", "files"])
async def test_several_keys_are_changed_together_in_every_kind_of_body(
    world: World, how: str
) -> None:
    fields = {"name": "shed", "notes": "left", "signal": "1"}
    device = world.connect(1)
    body: dict[str, object] = (
        {"files": {name: (None, value) for name, value in fields.items()}}
        if how == "files"
        else {how: fields}
    )
    answer = await world.client.request("PUT", PATH, headers=world.cast.ada.headers, **body)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert answer.json() == {
        "id": device_id(1),
        "name": "shed",
        "notes": "left",
        "connected": True,
        "signaling": True,
        "updated_at": iso_ms(world.clock.now_ms()),
    }
    assert (world.stored(1).name, world.stored(1).notes) == ("shed", "left")
    assert device.signaling


async def test_nothing_changes_when_one_of_several_keys_is_bad(world: World) -> None:
    device = world.connect(1)
    answer = await world.client.put(
        PATH, headers=world.cast.ada.headers, json={"signal": "1", "notes": "x", "name": ""}
    )
    assert answer.status_code == 400
    assert (world.stored(1).name, world.stored(1).notes) == ("attic", None)
    assert device.received == []


async def test_nothing_is_stored_when_the_device_does_not_signal(world: World) -> None:
    answer = await world.client.put(
        PATH, headers=world.cast.ada.headers, json={"signal": "1", "name": "shed"}
    )
    assert answer.status_code == 408
    assert world.stored(1).name == "attic"


async def test_notes_are_not_stored_when_the_name_beside_them_is_taken(world: World) -> None:
    world.register(2, world.cast.ada, name="shed")
    answer = await world.client.put(
        PATH, headers=world.cast.ada.headers, json={"notes": "x", "name": "shed"}
    )
    assert answer.status_code == 409
    assert answer.json() == {"ok": False, "error": "Another device of yours has that name."}
    assert (world.stored(1).name, world.stored(1).notes) == ("attic", None)


async def test_a_device_keeps_its_own_name(world: World) -> None:
    answer = await world.client.put(PATH, headers=world.cast.ada.headers, json={"name": "attic"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("x" * 65, "at most 64"),
        ("line\nbreak", "printable"),
        ("a/b", "slash"),
        (device_id(7), "look like a device id"),
        ("events", "cannot be called"),
        (7, "text"),
        (None, "text"),
        (["a"], "text"),
    ],
)
async def test_a_bad_name_is_refused_with_the_reason(world: World, name: object, said: str) -> None:
    answer = await world.client.put(PATH, headers=world.cast.ada.headers, json={"name": name})
    assert answer.status_code == 400
    assert said in answer.json()["error_description"]
    assert world.stored(1).name == "attic"


async def test_a_name_of_64_characters_of_any_script_is_fine(world: World) -> None:
    answer = await world.client.put(PATH, headers=world.cast.ada.headers, json={"name": "ü" * 64})
    assert answer.status_code == 200
    assert world.stored(1).name == "ü" * 64


@pytest.mark.parametrize("notes", ["x" * 4097, "bell\a", 5])
async def test_bad_notes_are_refused(world: World, notes: object) -> None:
    answer = await world.client.put(PATH, headers=world.cast.ada.headers, json={"notes": notes})
    assert answer.status_code == 400
    assert world.stored(1).notes is None


@pytest.mark.parametrize("body", [{}, {"colour": "blue"}])
async def test_a_request_that_changes_nothing_is_told_what_it_may_have(
    world: World, body: dict[str, str]
) -> None:
    answer = await world.client.put(PATH, headers=world.cast.ada.headers, json=body)
    assert answer.status_code == 400
    assert "name, notes, signal" in answer.json()["error_description"]


async def test_a_key_that_nobody_knows_does_not_hinder_the_others(world: World) -> None:
    answer = await world.client.put(
        PATH, headers=world.cast.ada.headers, json={"colour": "blue", "name": "shed"}
    )
    assert answer.status_code == 200
    assert "colour" not in answer.json()


@pytest.mark.parametrize(
    "body",
    [
        {"flash": True},
        {"desired_firmware_version": None},
        {"groups": ["a"]},
        {"app_id": "55a665623c4bbac933d13b84"},
    ],
)
async def test_keys_that_are_not_built_say_so_and_nothing_else_is_done(
    world: World, body: dict[str, object]
) -> None:
    answer = await world.client.put(
        PATH, headers=world.cast.ada.headers, json={**body, "name": "shed"}
    )
    assert answer.status_code == 501
    assert answer.json()["error"] == "not_implemented"
    assert next(iter(body)) in answer.json()["error_description"]
    assert world.stored(1).name == "attic"


async def test_a_stranger_cannot_change_anything(world: World) -> None:
    for reference in (device_id(1), "attic"):
        answer = await world.client.put(
            f"/v1/devices/{reference}", headers=world.cast.cleo.headers, json={"name": "mine"}
        )
        assert (answer.status_code, answer.json()) == (403, PERMISSION_DENIED)
    assert world.stored(1).name == "attic"


async def test_no_key_changes_the_id(world: World) -> None:
    """Row 38: no API can change an id."""
    answer = await world.client.put(
        PATH, headers=world.cast.ada.headers, json={"id": device_id(9), "name": "shed"}
    )
    assert answer.json()["id"] == device_id(1)
    assert world.stored(1).id == device_id(1)
