"""Names that a path cannot hold as they are, on every route of a device.

A device's path holds its id or its name (rest-api-core.md §1.1). Which characters a name may have
the platform does not say (platform-semantics.md §24), so they are taken; the stock
clients put names into paths as they are.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from cyan.core.ids import DeviceId
from cyan.devices.registry import register_device
from cyan.rest.registry import Route
from tests.cast import bearer
from tests.rest.access_table import TABLE
from tests.rest.asgi import Answer, ask
from tests.rest.world import World, whole_server

AWKWARD = DeviceId("0123456789abcdef0123beef")

NAMES = ("wer da?", "lamp #2", "100%", "50%25", "%3F", "a+b&c=d;e", "Küche", "مصباح", "..%2f..")

ID_ONLY = ("POST", "/v1/provisioning/{device}")
"""A factory's route: devices have no names there."""

LAST = ("DELETE", "/v1/devices/{device}")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_server(tmp_path) as whole:
        yield whole


def routes_of_a_device(world: World) -> list[Route]:
    """Built ones; the one that gives the device up is the last."""
    found = [
        route
        for route in world.registry.routes
        if "{device}" in route.path and route.is_built and (route.method, route.path) != ID_ONLY
    ]
    assert len(found) > 20
    return sorted(found, key=lambda route: (route.method, route.path) == LAST)


async def ask_ada(world: World, route: Route, device: str) -> Answer:
    headers = bearer(world.cast.ada.token)
    path = route.path.replace("{device}", device)
    for parameter in ("update", "variable", "function", "prefix*", "key"):
        path = path.replace(f"{{{parameter}}}", "LAMP")
    fields = {key: v for key, v in TABLE[route.method, route.path].fields.items() if key != "name"}
    if not fields:
        return await ask(world.app, route.method, path, headers)
    headers["content-type"] = "application/json"
    return await ask(world.app, route.method, path, headers, msgspec.json.encode(fields))


def call_it(world: World, name: str) -> None:
    register_device(world.db, world.parts.clock, AWKWARD, name=name, owner=world.cast.ada.user_id)


@pytest.mark.parametrize("name", NAMES)
async def test_a_percent_encoded_name_works_on_every_route_of_a_device(
    world: World, name: str
) -> None:
    call_it(world, name)
    unknown = [
        f"{route.method} {route.path}"
        for route in routes_of_a_device(world)
        if (await ask_ada(world, route, quote(name, safe=""))).status == 403
    ]
    assert unknown == []


async def test_the_id_works_on_every_route_whatever_the_name_is(world: World) -> None:
    call_it(world, "what?#%41")
    unknown = [
        f"{route.method} {route.path}"
        for route in routes_of_a_device(world)
        if (await ask_ada(world, route, AWKWARD)).status == 403
    ]
    assert unknown == []


@pytest.mark.parametrize("name", NAMES)
async def test_a_device_is_found_by_the_name_that_it_is_given(world: World, name: str) -> None:
    call_it(world, "lamp")
    headers = bearer(world.cast.ada.token)
    headers["content-type"] = "application/json"
    renamed = await ask(
        world.app, "PUT", "/v1/devices/lamp", headers, msgspec.json.encode({"name": name})
    )
    assert renamed.status == 200
    path = f"/v1/devices/{quote(name, safe='')}"
    found = await ask(world.app, "GET", path, headers)
    assert (found.json()["id"], found.json()["name"]) == (AWKWARD, name)


async def test_a_percent_sign_that_encodes_nothing_is_one(world: World) -> None:
    call_it(world, "100%")
    found = await ask(world.app, "GET", "/v1/devices/100%", bearer(world.cast.ada.token))
    assert found.json()["id"] == AWKWARD


async def test_what_stands_behind_a_question_mark_is_not_taken_for_the_name(world: World) -> None:
    call_it(world, "lamp?")
    found = await ask(world.app, "GET", "/v1/devices/lamp?", bearer(world.cast.ada.token))
    assert found.status == 403
