"""The console counts together with the API: nobody gains tries by changing the door."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from cyan.accounts import store as accounts_store
from cyan.console import rooms
from cyan.console.application import Front
from cyan.rest.application import build_asgi
from cyan.rest.body import URLENCODED
from cyan.rest.ratelimit import Limits, RateLimits
from tests.rest.asgi import ask
from tests.rest.world import World, whole_server

BROWSER = {"accept": "text/html"}
FORM = {**BROWSER, "content-type": URLENCODED}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_server(tmp_path) as whole:
        yield whole


def both(world: World, limits: Limits) -> ASGIApp:
    """Console and API with the limits of one server."""
    parts, counted = world.parts, RateLimits(limits, world.clock)
    api = build_asgi(parts.registry, parts.tokens, parts.clock, counted)
    console = rooms.console(parts.config, parts.clock, parts.sessions, parts.pages, counted)
    return Front(console, api)


async def test_logins_here_and_there_count_as_one(world: World) -> None:
    app = both(world, Limits(sensitive=3))
    for path in ("/oauth/token", "/console/sign-in", "/console/sign-in/code"):
        assert (await ask(app, "POST", path, FORM, b"x=y")).status != 429
    refused = await ask(app, "POST", "/console/sign-in", FORM, b"x=y")
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["content-type"].startswith("text/html")
    assert (await ask(app, "POST", "/oauth/token", FORM, b"x=y")).status == 429
    # What is not a login goes on.
    assert (await ask(app, "GET", "/console/sign-in", BROWSER)).status == 200


async def test_all_requests_of_an_address_count(world: World) -> None:
    app = both(world, Limits(requests=3))
    for path in ("/console/sign-in", "/v1/user", "/console/forgotten"):
        assert (await ask(app, "GET", path, BROWSER)).status != 429
    assert (await ask(app, "GET", "/console/sign-in", BROWSER)).status == 429


async def test_a_page_that_watches_is_a_stream_until_it_is_closed(world: World) -> None:
    app = both(world, Limits(sensitive=100, streams=1))
    person = world.cast.operator
    user = world.parts.people.find(person.user_id)
    hashed = accounts_store.find_password_hash(world.db, person.user_id)
    assert user is not None
    assert hashed is not None
    secret = await world.parts.sessions.begin(user, hashed, "a test")
    headers = {**BROWSER, "cookie": f"cyan-session={secret}"}
    for _ in range(3):  # each leaves as soon as it has been answered
        assert (await ask(app, "GET", "/console/server/live", headers)).status == 200


async def test_an_api_path_that_begins_alike_is_not_the_consoles(world: World) -> None:
    app = both(world, Limits())
    answer = await ask(app, "GET", "/consolement", BROWSER)
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("application/json")
