"""Every answer that any test gets from the API is held against what its route declares.

`watch` looks at the one application that all of them ask. Routes without a declaration are those
that tests make for themselves: `tests/rest/test_openapi.py` shows that all others have one.
"""

import functools
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from typing import Final, cast
from unittest import mock

import msgspec
from jsonschema import Draft202012Validator
from starlette.types import Message, Receive, Scope, Send

from cyan.rest.application import Application
from cyan.rest.openapi import Object, document
from cyan.rest.registry import JSON, MalformedPathError, Registry, Route

_PREFLIGHT: Final = "OPTIONS"


class Declared:
    """What one route may answer, by its part of the OpenAPI file."""

    def __init__(self, route: Route) -> None:
        self._file = cast(Object, _closed(document([route], version="test")))
        ((_, item),) = cast("dict[str, Object]", self._file["paths"]).items()
        operation = cast(Object, item[route.method.lower()])
        self._responses = cast("dict[str, Object]", operation["responses"])
        self._validators: dict[tuple[str, str], Draft202012Validator] = {}

    def fault(self, status: int, media_type: str, body: bytes) -> str | None:
        """What is wrong with an answer; None when it is as declared."""
        key = str(status) if str(status) in self._responses else f"{status // 100}XX"
        if key not in self._responses:
            return f"the status {status} is not declared"
        content = cast("dict[str, Object]", self._responses[key].get("content", {}))
        if not content:
            return None if not body else f"{status} has a body: {body[:200]!r}"
        if media_type not in content:
            return f"{status} is {media_type}, declared {sorted(content)}"
        schema = content[media_type].get("schema")
        if schema is None or media_type != JSON:
            return None
        return self._mismatch(key, media_type, cast(Object, schema), body)

    def _mismatch(self, key: str, media_type: str, schema: Object, body: bytes) -> str | None:
        try:
            value = msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            return f"{key} is not JSON: {error}"
        validator = self._validators.get((key, media_type))
        if validator is None:
            whole = {**schema, "components": self._file["components"]}
            validator = self._validators[key, media_type] = Draft202012Validator(whole)
        errors = [
            f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)
        ]
        return f"{key} {'; '.join(errors)}" if errors else None


def _closed(schema: object) -> object:
    """The same file, but objects have no fields beside those that it names: what a route answers in
    addition has to be declared, too."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


_watching: list[MutableSequence[str]] = []


@functools.cache
def _declared(route: Route) -> Declared:
    return Declared(route)


@contextmanager
def watch(faults: MutableSequence[str]) -> Iterator[None]:
    """While it is open, what answers do not keep is written to `faults`, and nowhere else."""
    serve = Application._serve
    _watching.append(faults)

    async def watched(self: Application, scope: Scope, receive: Receive, send: Send) -> None:
        route = _route_of(self._registry, scope)
        if route is None or _watching[-1] is not faults:
            await serve(self, scope, receive, send)
            return
        answer = _Answer(send)
        await serve(self, scope, receive, answer.send)
        fault = answer.fault(route)
        if fault is not None:
            faults.append(f"{route.method} {route.path}: {fault}")

    try:
        with mock.patch.object(Application, "_serve", watched):
            yield
    finally:
        _watching.pop()


def _route_of(registry: Registry, scope: Scope) -> Route | None:
    """The declared route of a request, if there is one."""
    if scope["method"] == _PREFLIGHT:
        return None
    try:
        match = registry.match(scope["method"], scope.get("raw_path") or scope["path"].encode())
    except MalformedPathError:
        return None
    return match.route if match is not None and match.route.replies else None


class _Answer:
    """Passes an answer on and keeps a copy, as far as it came."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""
        self._is_whole = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._body += message.get("body", b"")
            self._is_whole = not message.get("more_body", False)
        await self._send(message)

    def fault(self, route: Route) -> str | None:
        if self._start is None or not self._is_whole:
            return None  # the client went away
        headers = {name.lower(): value for name, value in self._start["headers"]}
        media_type = headers.get(b"content-type", b"").decode().partition(";")[0]
        return _declared(route).fault(self._start["status"], media_type, self._body)
