"""The OpenAPI 3.1 file of the API, made from what the routes declare."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from starlette.responses import Response

from cyan.rest.auth import Auth
from cyan.rest.call import Call
from cyan.rest.registry import EVENT_STREAM, JSON, Registry, Reply, Route, Shape
from cyan.rest.responses import JsonResponse

VERSION: Final = "3.1.0"

Object = dict[str, object]
"""An object of JSON."""

_REF: Final = "#/components/schemas/{name}"
_NO_BODY_STATUS: Final = 204
_PARAMETER: Final = re.compile(r"{(\w+)(\*?)}")

_REFUSAL: Final[Object] = {
    "title": "Refusal",
    "description": "Why not. `error` is a word for programs or a sentence, by route; where there"
    " is `error_description`, `info` or `description`, it is the sentence for people.",
    "type": "object",
    "properties": {
        "ok": {"const": False},
        "error": {"type": "string"},
        "error_description": {"type": "string"},
        "errors": {"type": "array"},
        "info": {"type": "string"},
        "description": {"type": "string"},
        "code": {"type": "integer"},
        "request_id": {"type": "string"},
    },
    "anyOf": [{"required": ["error"]}, {"required": ["errors"]}],
}
"""The shapes of rest-api-core.md §2.1, in one."""

_SECURITY: Final[dict[Auth, list[Object]]] = {
    Auth.TOKEN: [{"token": []}],
    Auth.OPTIONAL: [{}, {"token": []}],
    Auth.NONE: [],
    Auth.OWN: [{}, {"token": []}, {"basic": []}],
}

_SCHEMES: Final[Object] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `POST /oauth/token`.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Username and password, or client and secret.",
    },
}


def document(routes: Iterable[Route], *, version: str, server_url: str = "/") -> Object:
    """The whole file as JSON values, of the routes that are built. "/" is the server that gives it,
    by whatever address it was reached."""
    built = [route for route in routes if route.is_built]
    schemas = _Schemas(built)
    names = _parameter_names(built)
    paths: dict[str, Object] = {}
    for route in built:
        path = _path(route, names)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, path, schemas)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Cyan",
            "version": version,
            "description": "A device cloud that speaks the protocols of the Particle Device Cloud.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "tags": [{"name": tag} for tag in sorted({_tag(route) for route in built})],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas.components, "securitySchemes": _SCHEMES},
    }


def route(registry: Registry, version: str, server_url: str = "/") -> Route:
    """The route that gives the file of all routes, its own too."""

    @functools.cache
    def content() -> bytes:
        return msgspec.json.encode(
            document(registry.routes, version=version, server_url=server_url)
        )

    async def read(_call: Call) -> Response:
        return JsonResponse(content())

    return Route(
        "GET",
        "/openapi.json",
        read,
        Auth.NONE,
        summary="This API as an OpenAPI file.",
        response=dict[str, object],
    )


def operation_id(route: Route) -> str:
    """One word for a route: `get_devices_device`, without the `v1`."""
    words = re.findall(r"\w+", route.path.removeprefix("/v1"))
    return "_".join([route.method.lower(), *words])


class _Schemas:
    """The schemas of all declared shapes; each Struct stands once, under its name."""

    def __init__(self, routes: Iterable[Route]) -> None:
        shapes: list[Shape] = []
        for route in routes:
            shapes += [reply.shape for reply in route.replies if reply.shape is not None]
            shapes += [shape for shape in (route.request, route.query) if shape is not None]
        made, components = msgspec.json.schema_components(
            shapes, schema_hook=_anything, ref_template=_REF
        )
        self._of = {repr(shape): schema for shape, schema in zip(shapes, made, strict=True)}
        self.components: Object = {**components, "Refusal": _REFUSAL}
        for route in routes:
            if route.query is not None:
                self.components.pop(self._name(route.query), None)
        self._queries: dict[str, Mapping[str, object]] = {
            repr(route.query): components[self._name(route.query)]
            for route in routes
            if route.query is not None
        }

    def schema(self, shape: Shape) -> Object:
        return self._of[repr(shape)]

    def fields(self, query: type[msgspec.Struct]) -> Mapping[str, object]:
        """The schema of a Struct of query parameters."""
        return self._queries[repr(query)]

    def _name(self, shape: Shape) -> str:
        return str(self._of[repr(shape)]["$ref"]).rpartition("/")[2]


def _anything(shape: type) -> Object:
    """The schema of `object`: any value. Raises NotImplementedError for what JSON does not have."""
    if shape is object:
        return {"description": "Any value."}  # msgspec takes an empty schema for none
    raise NotImplementedError(shape)


def _parameter_names(routes: Iterable[Route]) -> dict[str, list[list[str]]]:
    """For each path without its names, the names that its parameters have, one list a place.

    OpenAPI takes `/devices/{device}/{variable}` and `/devices/{device}/{function}` for one path.
    """
    found: dict[str, list[list[str]]] = {}
    for route in routes:
        names = [match[1] for match in _PARAMETER.finditer(route.path)]
        places = found.setdefault(_bare(route.path), [[] for _ in names])
        for place, name in zip(places, names, strict=True):
            if name not in place:
                place.append(name)
    return found


def _bare(path: str) -> str:
    return _PARAMETER.sub("{}", path)


def _path(route: Route, names: Mapping[str, list[list[str]]]) -> str:
    places = iter(names[_bare(route.path)])
    return _PARAMETER.sub(lambda _: "{" + "_or_".join(next(places)) + "}", route.path)


def _tag(route: Route) -> str:
    """The feature: the folder of the endpoint, or `server` for what belongs to none."""
    _, *folders = str(getattr(route.endpoint, "__module__", "")).split(".")
    return folders[0] if len(folders) > 1 and folders[0] != "rest" else "server"


def _operation(route: Route, path: str, schemas: _Schemas) -> Object:
    operation: Object = {
        "operationId": operation_id(route),
        "tags": [_tag(route)],
        "summary": route.summary,
        "security": _SECURITY[route.auth],
        "parameters": [*_path_parameters(route, path), *_query_parameters(route, schemas)],
        "responses": _responses(route, schemas),
    }
    if route.scope is not None:
        operation["x-scope"] = route.scope
    if route.request is not None:
        schema = schemas.schema(route.request)
        operation["requestBody"] = {
            "content": {kind: {"schema": schema} for kind in route.request_media}
        }
    return operation


def _path_parameters(route: Route, path: str) -> list[Object]:
    takes_rest = route.path.endswith("*}")
    parameters: list[Object] = [
        {"name": match[1], "in": "path", "required": True, "schema": _text()}
        for match in _PARAMETER.finditer(path)
    ]
    if takes_rest:
        parameters[-1]["description"] = "All that follows, slashes included."
    return parameters


def _text() -> Object:
    return {"type": "string", "minLength": 1}


def _query_parameters(route: Route, schemas: _Schemas) -> list[Object]:
    if route.query is None:
        return []
    fields = schemas.fields(route.query)
    properties, required = fields["properties"], fields.get("required", ())
    assert isinstance(properties, dict)
    assert isinstance(required, list | tuple)
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in properties.items()
    ]


def _responses(route: Route, schemas: _Schemas) -> Object:
    responses: dict[str, Object] = {}
    for reply in route.replies or (Reply(),):
        answer = responses.setdefault(str(reply.status), {"description": _outcome(reply)})
        if reply.status != _NO_BODY_STATUS:
            content = answer.setdefault("content", {})
            assert isinstance(content, dict)
            content[reply.media_type] = _content(reply, schemas)
    refused: Object = {JSON: {"schema": {"$ref": _REF.format(name="Refusal")}}}
    if route.auth is Auth.TOKEN:
        responses["401"] = {
            "description": "The token does not work (any more).",
            "content": refused,
        }
    responses["4XX"] = {"description": "Refused; the body says why.", "content": refused}
    responses["5XX"] = {"description": "Not possible here or now.", "content": refused}
    return dict(responses)


def _outcome(reply: Reply) -> str:
    if reply.status >= 400:
        return "Refused; the body says why."
    if reply.media_type == EVENT_STREAM:
        return "A stream of events, without end."
    return {201: "Made.", 202: "Accepted.", 204: "Done; no body."}.get(reply.status, "Done.")


def _content(reply: Reply, schemas: _Schemas) -> Object:
    if reply.shape is None:
        return {}
    return {"schema": schemas.schema(reply.shape)}
