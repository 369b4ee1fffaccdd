"""The REST routes of OAuth clients (rest-api-core.md §6)."""

from msgspec import UNSET
from starlette.responses import Response

from cyan.accounts.clients import Clients
from cyan.accounts.fields import needed_text, text_of
from cyan.accounts.model import Client
from cyan.accounts.shapes import (
    MAX_BODY_BYTES,
    ClientChange,
    ClientInfo,
    ClientList,
    NewClient,
    OneClient,
)
from cyan.rest.call import Call
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response, no_content


def routes(clients: Clients) -> list[Route]:
    api = _Api(clients)
    all_, one = "/v1/clients", "/v1/clients/{client}"
    return [
        Route(
            "GET",
            all_,
            api.list_,
            scope="clients:list",
            summary="One's OAuth clients.",
            response=ClientList,
        ),
        Route(
            "POST",
            all_,
            api.create,
            scope="clients:create",
            summary="Make an OAuth client; its secret is shown this once.",
            request=NewClient,
            max_body_bytes=MAX_BODY_BYTES,
            response=OneClient,
        ),
        Route(
            "PUT",
            one,
            api.change,
            scope="clients:update",
            summary="Change the name or scope of an OAuth client.",
            request=ClientChange,
            max_body_bytes=MAX_BODY_BYTES,
            response=OneClient,
        ),
        Route(
            "DELETE",
            one,
            api.delete,
            scope="clients:remove",
            summary="Delete an OAuth client and end the tokens made with it.",
            response=Reply(status=204),
        ),
    ]


class _Api:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def list_(self, call: Call) -> Response:
        own = self._clients.list_of(call.caller.user_id)
        return json_response(ClientList([_info(client) for client in own]))

    async def create(self, call: Call) -> Response:
        fields = await call.body()
        client, secret = await self._clients.create(
            call.caller.user_id,
            needed_text(fields, "name"),
            needed_text(fields, "type"),
            text_of(fields, "redirect_uri"),
            text_of(fields, "scope"),
        )
        return json_response(OneClient(_info(client, secret)))

    async def change(self, call: Call) -> Response:
        fields = await call.body()
        client = await self._clients.change(
            call.caller.user_id,
            call.path["client"],
            text_of(fields, "name"),
            text_of(fields, "scope"),
        )
        return json_response(OneClient(_info(client)))

    async def delete(self, call: Call) -> Response:
        await self._clients.delete(call.caller.user_id, call.path["client"])
        return no_content()


def _info(client: Client, secret: str | None = None) -> ClientInfo:
    return ClientInfo(
        name=client.name,
        type=client.type.value,
        id=client.id,
        redirect_uri=UNSET if client.redirect_uri is None else client.redirect_uri,
        scope=UNSET if client.scope is None else client.scope,
        secret=UNSET if secret is None else secret,
    )
