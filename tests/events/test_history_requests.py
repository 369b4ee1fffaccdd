"""GET /v1/event_log."""

import httpx
import pytest

from cyan.core.clock import iso_ms
from cyan.devices import registry
from cyan.devices.access import DeviceAccess
from cyan.events import api
from cyan.events.history import EventHistory
from cyan.events.historyapi import routes
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve
from tests.events.world import LAMP, PUMP, UNLIMITED, World

PATH = "/v1/event_log"


@pytest.fixture
def client(world: World, serve: Serve, cast: Cast, clock: HandClock) -> httpx.AsyncClient:
    for device_id, name in ((LAMP, "attic lamp"), (PUMP, "pump")):
        registry.register_device(world.db, clock, device_id, name=name, owner=cast.ada.user_id)
        world.owners.book[device_id] = cast.ada.user_id
    access = DeviceAccess(world.db)
    past = EventHistory(world.db, world.owners)
    return serve(
        [
            *routes(past, world.cursors, access),
            *api.routes(world.service, world.hub, world.cursors, access, UNLIMITED),
        ]
    )


async def publish(world: World, cast: Cast, *names: str) -> None:
    owner_id = cast.ada.user_id
    assert all(await world.publish(*(world.event(name, owner_id=owner_id) for name in names)))


async def names(client: httpx.AsyncClient, cast: Cast, **query: str | int) -> list[str]:
    answer = await client.get(PATH, headers=cast.ada.headers, params=query)
    assert answer.status_code == 200
    return [event["name"] for event in answer.json()["events"]]


async def test_an_event_looks_as_in_streams_with_its_name_and_id(
    client: httpx.AsyncClient, world: World, cast: Cast
) -> None:
    await publish(world, cast, "temperature")
    answer = await client.get(PATH, headers=cast.ada.headers)
    assert answer.json() == {
        "events": [
            {
                "id": world.cursors.encode(1),
                "name": "temperature",
                "data": "21.5",
                "ttl": 60,
                "published_at": "2026-01-02T03:04:05.678Z",
                "coreid": LAMP,
                "userid": cast.ada.user_id,
                "version": 0,
                "public": False,
            }
        ],
        "next": None,
    }


async def test_pages_follow_one_another_by_their_cursor(
    client: httpx.AsyncClient, world: World, cast: Cast
) -> None:
    await publish(world, cast, *(f"n{number}" for number in range(5)))
    found: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "2", "cursor": cursor}
        answer = (await client.get(PATH, headers=cast.ada.headers, params=query)).json()
        found.append([event["name"] for event in answer["events"]])
        cursor = answer["next"]
    assert found == [["n4", "n3"], ["n2", "n1"], ["n0"]]


async def test_the_id_of_an_event_is_a_cursor_too(
    client: httpx.AsyncClient, world: World, cast: Cast
) -> None:
    await publish(world, cast, "a", "b", "c")
    answer = await client.get(PATH, headers=cast.ada.headers, params={"prefix": "b"})
    cursor = answer.json()["events"][0]["id"]
    assert await names(client, cast, cursor=cursor) == ["a"]
    assert await names(client, cast, cursor=cursor, order="oldest") == ["c"]


async def test_device_prefix_and_time_narrow_it(
    client: httpx.AsyncClient, world: World, cast: Cast, clock: HandClock
) -> None:
    first_ms = clock.now_ms()
    await publish(world, cast, "temp/1", "door")
    clock.advance(3600)
    await publish(world, cast, "temp/2")
    await world.service.publish(cast.ada.user_id, "temp/api", b"")
    assert await names(client, cast, prefix="temp/") == ["temp/api", "temp/2", "temp/1"]
    assert await names(client, cast, prefix="temp/", device="attic lamp") == ["temp/2", "temp/1"]
    assert await names(client, cast, device=LAMP.upper()) == ["temp/2", "door", "temp/1"]
    assert await names(client, cast, device=PUMP) == []
    assert await names(client, cast, end_date=iso_ms(first_ms)) == ["door", "temp/1"]
    assert await names(client, cast, start_date=iso_ms(first_ms + 1)) == ["temp/api", "temp/2"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"limit": "0"}, "1 to 1000"),
        ({"limit": "1001"}, "1 to 1000"),
        ({"limit": "-1"}, "1 to 1000"),
        ({"limit": "²"}, "1 to 1000"),
        ({"limit": "9" * 5000}, "1 to 1000"),
        ({"order": "random"}, "newest"),
        ({"prefix": "a" * 65}, "64 bytes"),
        ({"start_date": "yesterday"}, "ISO 8601"),
        ({"end_date": "2026-13-01"}, "ISO 8601"),
        ({"start_date": "2026-01-02", "end_date": "2026-01-01"}, "not after"),
        ({"end_date": "0001-01-01T00:00:00+23:59"}, "not after"),
        ({"cursor": "17"}, "cursor"),
    ],
)
async def test_a_query_that_cannot_be_is_refused_with_what_would_be_right(
    client: httpx.AsyncClient, cast: Cast, query: dict[str, str], says: str
) -> None:
    answer = await client.get(PATH, headers=cast.ada.headers, params=query)
    assert answer.status_code == 400
    assert says in answer.json()["error_description"]


@pytest.mark.parametrize("device", [LAMP, "attic lamp", "e00fce680000000000000bad", "nothing"])
async def test_a_stranger_cannot_ask_for_a_device_and_does_not_learn_that_it_exists(
    client: httpx.AsyncClient, cast: Cast, device: str
) -> None:
    answer = await client.get(PATH, headers=cast.cleo.headers, params={"device": device})
    assert answer.status_code == 403
    assert answer.json()["error"] == "Permission Denied"


async def test_a_stranger_sees_an_empty_log_whatever_cursor_they_have(
    client: httpx.AsyncClient, world: World, cast: Cast
) -> None:
    await publish(world, cast, "secret")
    for cursor in ("", world.cursors.encode(2)):
        answer = await client.get(PATH, headers=cast.cleo.headers, params={"cursor": cursor})
        assert answer.json() == {"events": [], "next": None}


async def test_without_a_token_there_is_nothing(client: httpx.AsyncClient, cast: Cast) -> None:
    assert (await client.get(PATH)).status_code == 400
    expired = {"authorization": f"Bearer {cast.expired_token}"}
    assert (await client.get(PATH, headers=expired)).status_code == 401
