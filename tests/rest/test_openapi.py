"""The OpenAPI file: valid, whole, and true to what routes declare."""

import msgspec
import pytest
from openapi_spec_validator import validate
from starlette.responses import Response

from cyan.rest.auth import Auth
from cyan.rest.call import Call
from cyan.rest.openapi import document, operation_id
from cyan.rest.registry import EVENT_STREAM, Reply, Route
from cyan.rest.responses import json_response
from tests import answers
from tests.conftest import Serve
from tests.rest.asgi import ask
from tests.rest.world import World


class Lamp(msgspec.Struct):
    """A lamp."""

    name: str
    lumen: int = 0


class LampQuery(msgspec.Struct):
    colour: str
    limit: int = 10


async def endpoint(_call: Call) -> Response:
    return json_response({"name": 7})


def made(*routes: Route) -> dict[str, object]:
    file = document(routes, version="1.0")
    validate(msgspec.to_builtins(file))
    return msgspec.json.decode(msgspec.json.encode(file), type=dict[str, object])


def part(file: dict[str, object], *keys: str) -> object:
    value: object = file
    for key in keys:
        assert isinstance(value, dict)
        value = value[key]
    return value


async def test_the_server_gives_a_valid_file_of_all_that_is_built(world: World) -> None:
    answer = await ask(world.app, "GET", "/openapi.json")
    file = answer.json()
    validate(file)
    assert file["openapi"] == "3.1.0"
    paths = file["paths"]
    assert isinstance(paths, dict)
    operations = {body["operationId"] for item in paths.values() for body in item.values()}
    assert operations == {operation_id(route) for route in world.registry.routes if route.is_built}


async def test_the_file_names_the_server_as_people_reach_it(world: World) -> None:
    file = (await ask(world.app, "GET", "/openapi.json")).json()
    assert file["servers"] == [{"url": "/"}]
    at = "https://cloud.example.com"
    assert document(world.registry.routes, version="1", server_url=at)["servers"] == [{"url": at}]


async def test_every_route_that_is_built_declares_what_it_answers(world: World) -> None:
    undeclared = [
        f"{route.method} {route.path}"
        for route in world.registry.routes
        if route.is_built and not route.replies
    ]
    assert undeclared == []


async def test_every_route_that_is_built_has_a_summary(world: World) -> None:
    assert [route.path for route in world.registry.routes if not route.summary] == []


def test_a_body_and_an_answer_are_shown_by_their_structs() -> None:
    file = made(Route("PUT", "/v1/lamps", endpoint, request=Lamp, response=list[Lamp]))
    operation = part(file, "paths", "/v1/lamps", "put")
    assert isinstance(operation, dict)
    assert set(operation["requestBody"]["content"]) == {
        "application/json",
        "application/x-www-form-urlencoded",
    }
    assert part(operation, "responses", "200", "content", "application/json", "schema") == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Lamp"},
    }
    assert part(file, "components", "schemas", "Lamp", "required") == ["name"]


def test_the_parameters_of_path_and_query_are_listed() -> None:
    file = made(Route("GET", "/v1/lamps/{lamp}", endpoint, query=LampQuery, response=Lamp))
    parameters = part(file, "paths", "/v1/lamps/{lamp}", "get", "parameters")
    assert isinstance(parameters, list)
    assert [(found["name"], found["in"], found["required"]) for found in parameters] == [
        ("lamp", "path", True),
        ("colour", "query", True),
        ("limit", "query", False),
    ]
    assert "LampQuery" not in str(part(file, "components"))


def test_paths_that_differ_only_in_a_name_are_one_path() -> None:
    file = made(
        Route("GET", "/v1/lamps/{lamp}/{variable}", endpoint, response=Lamp),
        Route("POST", "/v1/lamps/{lamp}/{function}", endpoint, response=Lamp),
    )
    item = part(file, "paths", "/v1/lamps/{lamp}/{variable_or_function}")
    assert isinstance(item, dict)
    assert set(item) == {"get", "post"}


@pytest.mark.parametrize(
    ("auth", "security"),
    [
        (Auth.TOKEN, [{"token": []}]),
        (Auth.OPTIONAL, [{}, {"token": []}]),
        (Auth.NONE, []),
        (Auth.OWN, [{}, {"token": []}, {"basic": []}]),
    ],
)
def test_who_may_ask_is_told(auth: Auth, security: list[object]) -> None:
    file = made(Route("GET", "/v1/lamps", endpoint, auth, response=Lamp))
    assert part(file, "paths", "/v1/lamps", "get", "security") == security


def test_what_is_not_built_is_left_out() -> None:
    assert made(Route("GET", "/v1/lamps", endpoint, is_built=False))["paths"] == {}


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (dict[str, int], None),
        (Lamp, "200 $.name: 7 is not of type 'string'"),
        (Reply(Lamp, 201), "the status 200 is not declared"),
        (Reply(status=204), "the status 200 is not declared"),
        (Reply(media_type=EVENT_STREAM), "200 is application/json, declared ['text/event-stream']"),
    ],
)
async def test_an_answer_that_a_route_does_not_declare_is_noticed(
    serve: Serve, response: type | Reply, fault: str | None
) -> None:
    client = serve([Route("GET", "/v1/lamps", endpoint, Auth.NONE, response=response)])
    faults: list[str] = []
    with answers.watch(faults):
        await client.get("/v1/lamps")
    assert faults == ([] if fault is None else [f"GET /v1/lamps: {fault}"])
