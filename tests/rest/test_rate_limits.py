"""Requests of one address: so many in five minutes, and no more (rest-api-core.md §2.4)."""

import asyncio
from collections.abc import Iterable

import httpx
import pytest
from starlette.responses import Response

from cyan.accounts.tokens import Tokens
from cyan.rest import ratelimit
from cyan.rest.application import build_asgi
from cyan.rest.auth import Auth
from cyan.rest.call import Call
from cyan.rest.ratelimit import (
    LIMITED,
    WINDOW_S,
    Limits,
    RateLimits,
    Windows,
    is_loopback,
    network_of,
)
from cyan.rest.registry import Registry, Reply, Route
from cyan.rest.responses import json_response
from tests.clock import HandClock
from tests.rest.world import World

HERE, THERE = "198.51.100.1", "198.51.100.2"


async def fine(_call: Call) -> Response:
    return json_response({})


ROUTES = [
    Route("GET", "/v1/thing", fine, Auth.NONE, response=dict[str, object]),
    Route("POST", "/oauth/token", fine, Auth.NONE, response=dict[str, object]),
    Route("POST", "/v1/users", fine, Auth.NONE, response=dict[str, object]),
    Route("GET", "/health", fine, Auth.NONE, response=dict[str, object]),
]


class Api:
    """These routes behind these limits, asked from any address."""

    def __init__(
        self,
        tokens: Tokens,
        clock: HandClock,
        limits: Limits,
        routes: Iterable[Route] = ROUTES,
        exempt_loopback: bool = False,
    ) -> None:
        rates = RateLimits(limits, clock, exempt_loopback=exempt_loopback)
        self._app = build_asgi(Registry(routes), tokens, clock, rates)

    async def __call__(self, method: str, path: str, host: str = HERE) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=(host, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://cyan.test") as client:
            return await client.request(method, path)


async def test_what_is_too_much_is_refused_with_the_time_to_wait(
    tokens: Tokens, clock: HandClock
) -> None:
    ask = Api(tokens, clock, Limits(requests=3))
    statuses = [(await ask("GET", "/v1/thing")).status_code for _ in range(3)]
    assert statuses == [200, 200, 200]
    clock.advance(100)
    refused = await ask("GET", "/v1/thing")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "201"
    body = refused.json()
    assert (body["ok"], body["error"]) == (False, "too_many_requests")
    told = "Your address made too many requests. Try again in 201 s."
    assert body["error_description"] == told
    assert (await ask("GET", "/v1/thing", THERE)).status_code == 200
    clock.advance(WINDOW_S - 100)
    assert (await ask("GET", "/v1/thing")).status_code == 200


async def test_logins_have_a_limit_of_their_own_and_the_shape_of_oauth(
    tokens: Tokens, clock: HandClock
) -> None:
    ask = Api(tokens, clock, Limits(sensitive=2))
    statuses = [(await ask("POST", "/oauth/token")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = await ask("POST", "/oauth/token")
    assert set(refused.json()) == {"error", "error_description"}
    assert "too many login requests." in refused.json()["error_description"]
    assert refused.headers["cache-control"] == "no-store"
    for path, method in (("/v1/users", "POST"), ("/v1/thing", "GET")):
        assert (await ask(method, path)).status_code == 200


async def test_health_is_never_refused(tokens: Tokens, clock: HandClock) -> None:
    ask = Api(tokens, clock, Limits(requests=1))
    assert {(await ask("GET", "/health")).status_code for _ in range(5)} == {200}


async def test_zero_is_no_limit(tokens: Tokens, clock: HandClock) -> None:
    ask = Api(tokens, clock, Limits(requests=0, sensitive=0))
    assert {(await ask("POST", "/oauth/token")).status_code for _ in range(150)} == {200}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_can_be_left_alone(tokens: Tokens, clock: HandClock, host: str) -> None:
    ask = Api(tokens, clock, Limits(requests=1), exempt_loopback=True)
    assert {(await ask("GET", "/v1/thing", host)).status_code for _ in range(5)} == {200}
    assert [(await ask("GET", "/v1/thing")).status_code for _ in range(2)] == [200, 429]


async def test_so_many_streams_are_open_at_a_time(tokens: Tokens, clock: HandClock) -> None:
    gate = asyncio.Event()

    async def stream(_call: Call) -> Response:
        await gate.wait()
        return Response(media_type="text/event-stream")

    reply = Reply(media_type="text/event-stream")
    routes = [Route("GET", "/v1/devices/events", stream, Auth.NONE, response=reply)]
    ask = Api(tokens, clock, Limits(streams=2), routes)
    held = [asyncio.create_task(ask("GET", "/v1/devices/events")) for _ in range(2)]
    await asyncio.sleep(0)
    while sum(not task.done() for task in held) == 2:
        refused = await ask("GET", "/v1/devices/events")
        if refused.status_code == 429:
            break
    assert "retry-after" in refused.headers
    gate.set()
    assert [(await task).status_code for task in held] == [200, 200]
    assert (await ask("GET", "/v1/devices/events")).status_code == 200


async def test_every_limited_route_exists(world: World) -> None:
    known = {(route.method, route.path) for route in world.registry.routes}
    assert set(LIMITED) <= known
    assert {path for _, path in known} >= ratelimit.UNLIMITED


def test_what_is_counted_is_bounded(clock: HandClock) -> None:
    windows = Windows(clock, 10.0, max_keys=100)
    for number in range(1000):
        windows.add(number)
    assert len(windows) == 100
    assert windows.count(999) == 1
    assert windows.count(0) == 0


def test_a_window_begins_with_the_first_count_and_ends(clock: HandClock) -> None:
    windows = Windows(clock, 10.0)
    windows.add("a")
    clock.advance(6)
    assert (windows.add("a"), windows.ends_in_s("a")) == (2, 4.0)
    clock.advance(4)
    assert (windows.count("a"), windows.ends_in_s("a")) == (0, 0.0)
    assert windows.add("a") == 1
    clock.advance(6)
    assert (windows.add("a", extend=True), windows.ends_in_s("a")) == (2, 10.0)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("", ""),
        ("unix socket", "unix socket"),
    ],
)
def test_an_address_is_counted_as_its_network(host: str, network: str) -> None:
    assert network_of(host) == network


@pytest.mark.parametrize("host", ["", "example.com", "10.0.0.1", "2001:db8::1"])
def test_others_are_not_this_machine(host: str) -> None:
    assert not is_loopback(host)
