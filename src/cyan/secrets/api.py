"""REST: cloud secrets of the caller's own space (rest-api-core.md §18)."""

from typing import Any

import msgspec
from starlette.responses import Response

from cyan.core.clock import iso_ms
from cyan.rest.call import Call
from cyan.rest.errors import bad_request
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response, no_content
from cyan.secrets.model import Secret
from cyan.secrets.service import Secrets


class SecretJson(msgspec.Struct, frozen=True):
    """A secret as clients read it: never its value, always both arrays (rest-api-core.md §24)."""

    name: str
    created_at: str
    updated_at: str
    created_by: str
    updated_by: str
    last_accessed_at: str | None
    integrations: list[dict[str, str]]
    logic_functions: list[dict[str, str]]


class SecretBody(msgspec.Struct, frozen=True):
    """The answer with one secret."""

    secret: SecretJson


class SecretListBody(msgspec.Struct, frozen=True):
    """The answer with all secrets."""

    secrets: list[SecretJson]


class SecretRequest(msgspec.Struct, frozen=True):
    """What sets a secret. The CLI puts these fields into an object named `secret`."""

    value: str
    name: str | None = None


class _Endpoints:
    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def list(self, call: Call) -> Response:
        found = self._secrets.list(call.caller)
        return json_response(SecretListBody([_render(secret) for secret in found]))

    async def get(self, call: Call) -> Response:
        return _answer(self._secrets.get(call.caller, call.path["secret"]))

    async def create(self, call: Call) -> Response:
        fields = await _fields(call)
        made = await self._secrets.create(call.caller, fields.get("name"), fields.get("value"))
        return _answer(made, 201)

    async def put(self, call: Call) -> Response:
        fields = await _fields(call)
        name = call.path["secret"]
        return _answer(await self._secrets.put(call.caller, name, fields.get("value")))

    async def delete(self, call: Call) -> Response:
        await self._secrets.delete(call.caller, call.path["secret"])
        return no_content()


async def _fields(call: Call) -> dict[str, Any]:
    """The documentation has the fields bare, the CLI in an object: both are taken."""
    body = await call.body()
    inner = body.get("secret", body)
    if not isinstance(inner, dict):
        raise bad_request('Send {"secret": {"value": "…"}} or {"value": "…"}.')
    return inner


def _answer(secret: Secret, status: int = 200) -> Response:
    return json_response(SecretBody(_render(secret)), status)


def _render(secret: Secret) -> SecretJson:
    accessed = secret.last_accessed_at_ms
    return SecretJson(
        name=secret.name,
        created_at=iso_ms(secret.created_at_ms),
        updated_at=iso_ms(secret.updated_at_ms),
        created_by=secret.created_by,
        updated_by=secret.updated_by,
        last_accessed_at=None if accessed is None else iso_ms(accessed),
        integrations=[],
        logic_functions=[],
    )


def routes(secrets: Secrets) -> list[Route]:
    """The routes of this feature."""
    on = _Endpoints(secrets)
    base, one = "/v1/secrets", "/v1/secrets/{secret}"
    return [
        Route("GET", base, on.list, summary="All secrets, without values", response=SecretListBody),
        Route(
            "POST",
            base,
            on.create,
            summary="Make a secret",
            request=SecretRequest,
            response=Reply(SecretBody, 201),
        ),
        Route("GET", one, on.get, summary="One secret, without its value", response=SecretBody),
        Route(
            "PUT",
            one,
            on.put,
            summary="Make a secret, or replace its value",
            request=SecretRequest,
            response=SecretBody,
        ),
        Route("DELETE", one, on.delete, summary="Delete a secret", response=Reply(status=204)),
    ]
