"""The routes of the API, and finding one: a trie of path segments.

Starlette's own linear search costs 65 µs at 80 routes (performance-floors.md §3.1); this one costs
1 to 2 µs however many there are.
"""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from starlette.responses import Response

from cyan.rest.auth import Auth
from cyan.rest.body import MAX_BODY_BYTES, URLENCODED
from cyan.rest.call import Call

Endpoint = Callable[[Call], Coroutine[Any, Any, Response]]

EndpointAtOnce = Callable[[Call], Response]
"""Answers without waiting for anything, not even for a body, and soon."""

Shape = type | UnionType
"""How a body looks: any type of which msgspec makes a JSON Schema: a Struct, `list[Struct]`,
`dict[str, object]`, a union of Structs …"""

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

MAX_SEGMENTS = 32
"""Segments of a path that are looked at; the deepest route has 10, an event prefix a few more."""


class MalformedPathError(ValueError):
    """The path is not percent-encoded UTF-8."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One way in which a route answers when it does not refuse. No shape: no body, or raw bytes."""

    shape: Shape | None = None
    status: int = 200
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path.

    `path` is like `/v1/devices/{device}/{name}`; a last segment `{prefix*}` takes all that follows,
    slashes included, and at least one character. `scope` is the permission as the platform names
    it.

    What comes in and goes out is declared for the OpenAPI file, and every answer of the tests is
    held against it: `request` is the shape of the body and `request_media` how it may come;
    `query` a Struct whose fields are the parameters after the question mark; `response` the shape
    of a 200 in JSON, or one or several `Reply`. Refusals need no declaration (`rest/errors.py`).
    A route that is not `is_built` answers 501.

    The endpoint of one that `never_waits` is an `EndpointAtOnce`: the server answers its requests
    in the turn of the loop that brings them.
    """

    method: str
    path: str
    endpoint: Endpoint | EndpointAtOnce
    auth: Auth = Auth.TOKEN
    scope: str | None = None
    summary: str = ""
    request: Shape | None = None
    response: Shape | Reply | tuple[Reply, ...] | None = None
    max_body_bytes: int = MAX_BODY_BYTES
    query: type[msgspec.Struct] | None = None
    request_media: tuple[str, ...] = (JSON, URLENCODED)
    is_built: bool = True
    never_waits: bool = False

    @property
    def replies(self) -> tuple[Reply, ...]:
        """Every declared way of answering; none when nothing is declared."""
        if self.response is None:
            return ()
        if isinstance(self.response, Reply):
            return (self.response,)
        if isinstance(self.response, tuple):
            return self.response
        return (Reply(self.response),)


class Match(msgspec.Struct, frozen=True):
    """A route and the values of its path's parameters, percent-decoded."""

    route: Route
    path: dict[str, str]


_Ending = tuple[Route, tuple[str, ...]]
"""A route, and the names of the parameters on the way to it."""


class _Node:
    __slots__ = ("exact", "parameter", "rest", "routes")

    def __init__(self) -> None:
        self.exact: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.rest: _Node | None = None
        self.routes: dict[str, _Ending] = {}


class Registry:
    """All routes. An exact segment wins over a parameter, and that over the rest of the path."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._root = _Node()
        self._before_last: dict[bytes, _Node] = {}
        self._routes: list[Route] = []
        self.add_all(routes)

    def add(self, route: Route) -> None:
        """Raises ValueError when the method and path are already taken."""
        node = self._root
        names: list[str] = []
        segments = route.path.strip("/").split("/")
        is_exact = True
        for position, segment in enumerate(segments):
            if is_exact and position == len(segments) - 1:
                self._before_last["/".join(["", *segments[:-1], ""]).encode()] = node
            is_exact = is_exact and not segment.startswith("{")
            if segment.endswith("*}"):
                if position != len(segments) - 1:
                    raise ValueError(f"{route.path}: only the last segment can take the rest.")
                names.append(segment[1:-2])
                node.rest = node = node.rest or _Node()
            elif segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node = node.parameter or _Node()
            else:
                node = node.exact.setdefault(segment, _Node())
        if route.method in node.routes:
            raise ValueError(f"{route.method} {route.path} is registered twice.")
        node.routes[route.method] = (route, tuple(names))
        self._routes.append(route)

    def add_all(self, routes: Iterable[Route]) -> None:
        for route in routes:
            self.add(route)

    @property
    def routes(self) -> list[Route]:
        """All routes in the order of their registration."""
        return list(self._routes)

    def match(self, method: str, raw_path: bytes) -> Match | None:
        """The best route for a path as it came (still percent-encoded), or None.

        A trailing slash is ignored, except inside the rest of a `{…*}` route, where it is a part of
        the value. Raises MalformedPathError.
        """
        soon = self._match_soon(method, raw_path)
        if soon is not None:
            return soon
        segments, slash = _split(raw_path)
        found = _find(self._root, segments, 0, slash, method, ())
        if found is None:
            return None
        (route, names), values = found
        return Match(route, dict(zip(names, values, strict=True)))

    def _match_soon(self, method: str, raw_path: bytes) -> Match | None:
        """The match of a path of which only the last segment can be a parameter's, or None where a
        search has to tell: most paths are such, and this is a third of its time."""
        start = raw_path.rfind(b"/") + 1
        node = self._before_last.get(raw_path[:start])
        tail = raw_path[start:]
        if node is None or not tail or b"%" in tail or not tail.isascii():
            return None
        segment = tail.decode()
        child = node.exact.get(segment)
        if child is not None and method in child.routes:
            return Match(child.routes[method][0], {})
        if node.parameter is not None and method in node.parameter.routes:
            route, (name,) = node.parameter.routes[method]
            return Match(route, {name: segment})
        return None

    def methods(self, raw_path: bytes) -> list[str]:
        """Every method that has a route for this path, sorted; empty when the path is unknown."""
        segments, slash = _split(raw_path)
        nodes = _walk(self._root, segments, 0, slash, ())
        return sorted({method for node, _ in nodes for method in node.routes})


def _split(raw_path: bytes) -> tuple[list[str], bool]:
    segments = raw_path.decode("latin-1").split("/", MAX_SEGMENTS)[1:]
    slash = bool(segments) and segments[-1] == ""
    if slash:
        segments.pop()
    if b"%" in raw_path or not raw_path.isascii():
        try:
            segments = [
                unquote(segment.encode("latin-1").decode("utf-8"), errors="strict")
                for segment in segments
            ]
        except UnicodeDecodeError as error:
            raise MalformedPathError from error
    return segments, slash


def _find(
    node: _Node, segments: list[str], at: int, slash: bool, method: str, values: tuple[str, ...]
) -> tuple[_Ending, tuple[str, ...]] | None:
    """The route of this method in the first node of `_walk` that has one; in a third of its time,
    because nearly every path ends in the first node."""
    if at == len(segments):
        ending = node.routes.get(method)
        return None if ending is None else (ending, values)
    segment = segments[at]
    child = node.exact.get(segment)
    if child is not None:
        found = _find(child, segments, at + 1, slash, method, values)
        if found is not None:
            return found
    if node.parameter is not None and segment:
        found = _find(node.parameter, segments, at + 1, slash, method, (*values, segment))
        if found is not None:
            return found
    if node.rest is not None:
        ending = node.rest.routes.get(method)
        if ending is not None:
            return ending, (*values, _rest_of(segments, at, slash))
    return None


def _rest_of(segments: list[str], at: int, slash: bool) -> str:
    return "/".join(segments[at:]) + ("/" if slash else "")


def _walk(
    node: _Node, segments: list[str], at: int, slash: bool, values: tuple[str, ...]
) -> Iterator[tuple[_Node, tuple[str, ...]]]:
    """Every node that the path can end in, the most exact first."""
    if at == len(segments):
        if node.routes:
            yield node, values
        return
    segment = segments[at]
    child = node.exact.get(segment)
    if child is not None:
        yield from _walk(child, segments, at + 1, slash, values)
    if node.parameter is not None and segment:
        yield from _walk(node.parameter, segments, at + 1, slash, (*values, segment))
    if node.rest is not None:
        yield node.rest, (*values, _rest_of(segments, at, slash))
