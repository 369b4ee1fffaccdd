"""Every route of the registry, asked by nobody, with an expired token, and by a stranger."""

import re

import msgspec
import pytest

from cyan.accounts.tokens import issue_token
from cyan.core.ids import DeviceId
from cyan.rest.auth import Auth
from cyan.rest.registry import Route
from tests.cast import bearer
from tests.rest.access_table import TABLE, Expected, Row
from tests.rest.asgi import Answer, ask
from tests.rest.world import ADAS_DEVICE, ADAS_NAME, World

UNKNOWN_DEVICE = DeviceId("fedcba9876543210fedcba98")

WHO = ("nobody", "expired", "stranger")


async def test_every_route_has_a_row_and_every_row_a_route(world: World) -> None:
    routes = {(route.method, route.path) for route in world.registry.routes}
    assert routes == set(TABLE)


@pytest.mark.parametrize("who", WHO)
async def test_every_route_answers_strangers_as_the_table_says(world: World, who: str) -> None:
    wrong = []
    for route in world.registry.routes:
        row = TABLE.get((route.method, route.path))
        if row is None:
            continue  # the test above fails for it
        expected: Expected = getattr(row, who)
        answer = await _ask(world, route, row, who)
        if not _fits(answer, expected):
            wrong.append(f"{route.method} {route.path}: {answer.status} {answer.body[:200]!r}")
    assert wrong == []


async def test_no_refusal_but_a_bad_token_speaks_of_access_tokens(world: World) -> None:
    """The stock CLI takes such words, and every 401, for "log in again" (rest-api-core.md §1.4)."""
    for route in world.registry.routes:
        answer = await _ask(world, route, TABLE[route.method, route.path], "stranger")
        if answer.status >= 400 and route.auth is not Auth.OWN:
            assert answer.status != 401
            assert not re.search("access token", answer.body.decode(), re.IGNORECASE)


async def test_no_answer_to_a_stranger_names_what_is_adas(world: World) -> None:
    adas = [world.cast.ada.username, world.cast.ada.user_id, world.cast.ada.token, ADAS_NAME]
    for route in world.registry.routes:
        answer = await _ask(world, route, TABLE[route.method, route.path], "stranger")
        assert [name for name in adas if name in answer.body.decode()] == [], route.path


async def test_a_stranger_cannot_tell_adas_device_from_one_that_does_not_exist(
    world: World,
) -> None:
    told = []
    for route in world.registry.routes:
        if "{device}" in route.path:
            row = TABLE[route.method, route.path]
            hers = await _ask(world, route, row, "stranger")
            none = await _ask(world, route, row, "stranger", device=UNKNOWN_DEVICE)
            if (hers.status, hers.body.replace(ADAS_DEVICE.encode(), b"")) != (
                none.status,
                none.body.replace(UNKNOWN_DEVICE.encode(), b""),
            ):
                told.append(f"{route.method} {route.path}: {hers.body!r} {none.body!r}")
    assert told == []


async def test_every_refusal_is_json_and_carries_a_request_id(world: World) -> None:
    for route in world.registry.routes:
        answer = await _ask(world, route, TABLE[route.method, route.path], "nobody")
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])
        assert answer.headers["access-control-allow-origin"] == "*"


async def _ask(
    world: World, route: Route, row: Row, who: str, device: DeviceId = ADAS_DEVICE
) -> Answer:
    headers = _headers(world, who)
    values = {"device": device, "token": world.cast.ada.token_id}
    path = re.sub(r"{(\w+)\*?}", lambda match: values.get(match[1], "1"), route.path)
    fields = msgspec.json.encode(row.fields).replace(b"{device}", ADAS_DEVICE.encode())
    if row.fields:
        headers = {**headers, "content-type": "application/json"}
    return await ask(world.app, route.method, path, headers, fields if row.fields else b"")


def _headers(world: World, who: str) -> dict[str, str]:
    if who == "nobody":
        return {}
    if who == "expired":
        return bearer(world.cast.expired_token)
    fresh = issue_token(world.db, world.cast.cleo.user_id, clock=world.clock)
    return bearer(fresh.access_token)  # some routes end the token that they are asked with


def _fits(answer: Answer, expected: Expected) -> bool:
    if answer.status != expected.status:
        return False
    if not expected.body:
        return True
    body = answer.json()
    return all(body.get(key) == value for key, value in expected.body.items())
