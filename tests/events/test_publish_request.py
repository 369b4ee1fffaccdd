"""POST /v1/devices/events (rest-api-core.md §10.1)."""

import json

import httpx
import pytest

from cyan.core.metrics import REGISTRY
from cyan.devices.access import DeviceAccess
from cyan.events.api import routes
from cyan.events.model import Event
from cyan.events.publishlimit import PublishLimit
from cyan.rest.errors import ApiError
from tests.cast import Cast, Person
from tests.clock import HandClock
from tests.conftest import Serve
from tests.events.world import PUMP, UNLIMITED, World

PATH = "/v1/devices/events"


@pytest.fixture
def client(world: World, serve: Serve) -> httpx.AsyncClient:
    return serve(routes(world.service, world.hub, world.cursors, DeviceAccess(world.db), UNLIMITED))


def published(world: World) -> list[Event]:
    return [event for _, event in world.log.read(0, 100)]


async def test_an_event_is_in_the_log_when_the_answer_comes(
    client: httpx.AsyncClient, world: World, cast: Cast, clock: HandClock
) -> None:
    answer = await client.post(
        PATH,
        headers=cast.ada.headers,
        json={"name": "valve/open", "data": "3", "ttl": 5, "private": True},
    )
    assert (answer.status_code, answer.content) == (200, b'{"ok":true}')
    assert published(world) == [
        Event("valve/open", b"3", clock.now_ms(), "api", cast.ada.user_id, ttl_s=5)
    ]


async def test_a_form_is_as_good_as_json(
    client: httpx.AsyncClient, world: World, cast: Cast
) -> None:
    fields = {"name": "a", "data": "ü", "ttl": "7", "private": "true"}
    answer = await client.post(PATH, data={**fields, "access_token": cast.ada.token})
    assert answer.status_code == 200
    (event,) = published(world)
    assert (event.name, event.data, event.ttl_s) == ("a", "ü".encode(), 7)


@pytest.mark.parametrize(
    ("fields", "data", "ttl_s"),
    [
        ({}, b"", 60),
        ({"data": ""}, b"", 60),
        ({"data": None}, None, 60),
        ({"data": 21.5}, b"21.5", 60),
        ({"data": {"a": [1]}}, b'{"a":[1]}', 60),
        ({"ttl": ""}, b"", 60),
        ({"ttl": None}, b"", 60),
        ({"ttl": "0"}, b"", 0),
        ({"ttl": 16777215}, b"", 16777215),
    ],
)
async def test_data_and_ttl_have_defaults_and_other_spellings(
    client: httpx.AsyncClient,
    world: World,
    cast: Cast,
    fields: dict[str, object],
    data: bytes | None,
    ttl_s: int,
) -> None:
    answer = await client.post(PATH, headers=cast.ada.headers, json={"name": "a", **fields})
    assert answer.status_code == 200
    (event,) = published(world)
    assert (event.data, event.ttl_s) == (data, ttl_s)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "needs a name"),
        ({"name": None}, "needs a name"),
        ({"name": 7}, "needs a name"),
        ({"name": ""}, "1 to 64 bytes"),
        ({"name": "a" * 65}, "1 to 64 bytes"),
        ({"name": "a\nb"}, "printable"),
        ({"name": "spark/status"}, "reserved"),
        ({"name": "Particle"}, "reserved"),
        ({"name": "a", "data": "x" * 102401}, "102400"),
        ({"name": "a", "ttl": -1}, "0 to 16777215"),
        ({"name": "a", "ttl": 16777216}, "0 to 16777215"),
        ({"name": "a", "ttl": "soon"}, "0 to 16777215"),
        ({"name": "a", "ttl": "²"}, "0 to 16777215"),
        ({"name": "a", "ttl": True}, "0 to 16777215"),
        ({"name": "a", "ttl": 1.5}, "0 to 16777215"),
    ],
)
async def test_what_cannot_be_published_is_refused_with_the_reason(
    client: httpx.AsyncClient, world: World, cast: Cast, fields: dict[str, object], says: str
) -> None:
    answer = await client.post(PATH, headers=cast.ada.headers, json=fields)
    assert answer.status_code == 400
    assert answer.json()["error"] == "bad_request"
    assert says in answer.json()["error_description"]
    assert published(world) == []


async def test_a_lone_surrogate_in_the_data_does_not_fail(
    client: httpx.AsyncClient, cast: Cast
) -> None:
    content = json.dumps({"name": "a", "data": "\ud800"})
    headers = {**cast.ada.headers, "content-type": "application/json"}
    answer = await client.post(PATH, headers=headers, content=content)
    assert answer.status_code in (200, 400)


async def test_it_reaches_the_subscribed_devices_of_the_same_owner_only(
    client: httpx.AsyncClient, world: World, cast: Cast
) -> None:
    """Acceptance row 17 of platform-semantics.md §22."""
    world.owners.book[PUMP] = cast.ada.user_id
    heard: list[Event] = []
    world.hub.subscribe_device(PUMP, "valve", heard.append)
    for who in (cast.ada, cast.cleo):
        fields = {"name": "valve/open", "data": who.username}
        assert (await client.post(PATH, headers=who.headers, json=fields)).status_code == 200
    assert [event.data for event in heard] == [cast.ada.username.encode()]


async def test_without_a_token_nothing_is_published(
    client: httpx.AsyncClient, world: World, cast: Cast
) -> None:
    assert (await client.post(PATH, json={"name": "a"})).status_code == 400
    expired = {"authorization": f"Bearer {cast.expired_token}"}
    assert (await client.post(PATH, headers=expired, json={"name": "a"})).status_code == 401
    assert published(world) == []


async def test_a_log_that_cannot_store_says_so(
    client: httpx.AsyncClient, world: World, cast: Cast
) -> None:
    world.db.write_blocking(
        lambda c: c.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON events_event "
            "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    )
    answer = await client.post(PATH, headers=cast.ada.headers, json={"name": "a"})
    assert answer.status_code == 503
    assert answer.json()["error"] == "unavailable"


async def test_an_account_publishes_so_many_events_in_five_minutes(
    world: World, serve: Serve, cast: Cast, clock: HandClock
) -> None:
    access = DeviceAccess(world.db)
    limit = PublishLimit(clock, 3)
    client = serve(routes(world.service, world.hub, world.cursors, access, limit))

    async def publish(who: Person) -> httpx.Response:
        return await client.post(PATH, headers=who.headers, json={"name": "a"})

    assert [(await publish(cast.ada)).status_code for _ in range(3)] == [200] * 3
    clock.advance(100)
    answer = await publish(cast.ada)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "201")
    assert answer.json() == {
        "ok": False,
        "error": "too_many_requests",
        "error_description": "This account may publish 3 events in 5 minutes. Try again in 201 s.",
    }
    assert len(published(world)) == 3
    assert (await publish(cast.cleo)).status_code == 200
    clock.advance(201)
    assert (await publish(cast.ada)).status_code == 200


def test_this_machine_may_be_left_out_of_the_limit(cast: Cast, clock: HandClock) -> None:
    limit = PublishLimit(clock, 1, exempt_loopback=True)
    for _ in range(3):
        limit.admit(cast.ada.user_id, "127.0.0.1")
    limit.admit(cast.ada.user_id, "192.0.2.1")
    with pytest.raises(ApiError):
        limit.admit(cast.ada.user_id, "192.0.2.2")


async def test_events_are_counted_by_who_published(world: World, cast: Cast) -> None:
    def counts() -> list[float]:
        values = [
            REGISTRY.get_sample_value("cyan_events_total", {"origin": origin})
            for origin in ("device", "api", "cloud")
        ]
        return [value or 0.0 for value in values]

    before = counts()
    await world.publish(world.event(), world.event())
    await world.service.publish(cast.ada.user_id, "a", b"")
    world.service.emit("spark/status", b"online", PUMP, cast.ada.user_id)
    await world.log.drain()
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [2, 1, 1]


def test_only_system_names_are_emitted_by_the_cloud(world: World) -> None:
    with pytest.raises(ValueError):
        world.service.emit("temperature", b"", PUMP, None)
