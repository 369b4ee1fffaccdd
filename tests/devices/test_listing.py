"""GET /v1/devices with pages, order and filters."""

import asyncio

import pytest
from sqlalchemy import insert

from cyan.devices import store
from cyan.devices.api import RENDERED_AT_ONCE
from cyan.devices.importing import import_labels
from cyan.devices.labels import Label
from tests.devices.world import World, device_id


async def listed(world: World, **query: object) -> list[int]:
    """The numbers of the devices in the answer."""
    answer = await world.client.get(
        "/v1/devices",
        headers=world.cast.ada.headers,
        params={name: str(value) for name, value in query.items()},
    )
    assert answer.status_code == 200
    return [int(row["id"][8:], 16) for row in answer.json()]


@pytest.fixture
def five(world: World) -> World:
    """Five devices of Ada's: 3 came online last, then 1; the others never did."""
    names = ("Echo", "alpha", "Delta", "bravo", "charlie")
    for number, name in enumerate(names, 1):
        world.register(number, world.cast.ada, name=name)
    for number in (1, 3):
        world.clock.advance(60)
        world.connect(number)
    world.register(6, world.cast.cleo, name="alpha of somebody else")
    return world


async def test_without_a_word_all_come_the_newest_handshake_first(five: World) -> None:
    assert await listed(five) == [3, 1, 2, 4, 5]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"sortAttr": "deviceName"}, [2, 4, 5, 3, 1]),
        ({"sortAttr": "deviceName", "sortDir": "desc"}, [1, 3, 5, 4, 2]),
        ({"sortAttr": "deviceId"}, [1, 2, 3, 4, 5]),
        ({"sortAttr": "lastConnection", "sortDir": "asc"}, [2, 4, 5, 1, 3]),
        ({"sortAttr": "firmwareVersion", "sortDir": "desc"}, [1, 3, 2, 4, 5]),
        ({"sortDir": "desc"}, [3, 1, 2, 4, 5]),
    ],
)
async def test_the_order_can_be_chosen(
    five: World, query: dict[str, str], numbers: list[int]
) -> None:
    assert await listed(five, **query) == numbers


async def test_texts_are_looked_for_inside_ids_names_and_serial_numbers(five: World) -> None:
    import_labels(five.db, five.clock, five.vault, [Label(device_id(2), serial_number="P046AC")])
    assert await listed(five, deviceName="AL") == [2]
    assert await listed(five, deviceName="l") == [3, 2, 5]
    assert await listed(five, deviceId="0000000004") == [4]
    assert await listed(five, serialNumber="46a") == [2]
    assert await listed(five, deviceName="alpha", serialNumber="nothing") == []


async def test_pages_are_cut_after_the_order_and_counted(five: World) -> None:
    for size in ("per_page", "perPage"):
        pages = [
            await listed(five, sortAttr="deviceId", page=page, **{size: 2}) for page in (1, 2, 3, 4)
        ]
        assert pages == [[1, 2], [3, 4], [5], []]
    answer = await five.client.get(
        "/v1/devices?per_page=2&deviceName=l", headers=five.cast.ada.headers
    )
    assert answer.headers["x-total-count"] == "3"


async def test_a_page_has_twenty_five_when_nothing_else_is_said(world: World) -> None:
    for number in range(1, 28):
        world.register(number, world.cast.ada)
    assert len(await listed(world, page=1)) == 25
    assert len(await listed(world, page=2)) == 2
    assert len(await listed(world)) == 27


@pytest.mark.parametrize(
    "query",
    [
        {"sortAttr": "colour"},
        {"sortDir": "up"},
        {"page": "0"},
        {"page": "-1"},
        {"page": "x"},
        {"page": "²"},
        {"per_page": "1001"},
        {"per_page": "9" * 40},
    ],
)
async def test_what_makes_no_list_is_told_so(world: World, query: dict[str, str]) -> None:
    answer = await world.client.get("/v1/devices", headers=world.cast.ada.headers, params=query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["error_description"]


async def test_a_long_list_lets_others_have_their_turn(world: World) -> None:
    owner = world.cast.ada
    rows = [
        {"id": device_id(number), "owner_id": owner.user_id, "registered_at_ms": number}
        for number in range(1, 2001)
    ]
    await world.db.write(lambda c: c.execute(insert(store.devices_device), rows).rowcount)
    listing = asyncio.create_task(world.client.get("/v1/devices", headers=owner.headers))
    turns = 0
    while not listing.done():
        await asyncio.sleep(0)
        turns += 1
    numbers = [int(row["id"][8:], 16) for row in listing.result().json()]
    assert sorted(numbers) == list(range(1, 2001))
    assert turns >= 2000 / RENDERED_AT_ONCE
