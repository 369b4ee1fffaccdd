"""What acts for a person: access tokens, and OAuth clients that make some."""

from http import HTTPStatus

from starlette.responses import Response

from cyan.accounts.clients import Clients
from cyan.accounts.model import (
    Client,
    ClientFieldError,
    ClientType,
    TooManyClientsError,
    UnknownClientError,
)
from cyan.console.account import ACCOUNT
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit

APPS = f"{ACCOUNT}/apps"


def pages(needs: Needs) -> list[Page]:
    room = _Apps(needs)
    return [
        Page("GET", APPS, room.show),
        Page("POST", f"{APPS}/tokens", room.end_tokens),
        Page("POST", f"{APPS}/tokens/{{token}}", room.end_token),
        Page("POST", f"{APPS}/clients", room.make_client),
        Page("POST", f"{APPS}/clients/{{client}}", room.change_client),
        Page("POST", f"{APPS}/clients/{{client}}/delete", room.delete_client),
    ]


class _Apps:
    def __init__(self, needs: Needs) -> None:
        self._tokens = needs.accounts.tokens
        self._clients: Clients = needs.accounts.clients

    async def show(self, visit: Visit) -> Response:
        return self._page(visit)

    async def end_token(self, visit: Visit) -> Response:
        await self._tokens.revoke_of(visit.caller.user_id, visit.path["token"])
        return visit.go(APPS, "The token has ended.")

    async def end_tokens(self, visit: Visit) -> Response:
        await self._tokens.revoke_of(visit.caller.user_id)
        return visit.go(APPS, "All tokens have ended.")

    async def make_client(self, visit: Visit) -> Response:
        """The secret is on the page that answers, and nowhere after it."""
        fields = await visit.texts()
        try:
            client, secret = await self._clients.create(
                visit.caller.user_id,
                fields.get("name", ""),
                fields.get("type", ""),
                fields.get("redirect_uri", "").strip() or None,
                fields.get("scope", ""),
            )
        except (ClientFieldError, TooManyClientsError) as error:
            return self._page(visit, error=error.message, fields=fields)
        return self._page(visit, made=client, secret=secret)

    async def change_client(self, visit: Visit) -> Response:
        fields = await visit.texts()
        try:
            await self._clients.change(
                visit.caller.user_id,
                visit.path["client"],
                fields.get("name", ""),
                fields.get("scope", "").strip() or "none",
            )
        except ClientFieldError as error:
            return self._page(visit, change_error=error.message)
        except UnknownClientError as error:
            return visit.go(APPS, error.message)
        return visit.go(APPS, "Saved.")

    async def delete_client(self, visit: Visit) -> Response:
        try:
            await self._clients.delete(visit.caller.user_id, visit.path["client"])
        except UnknownClientError as error:
            return visit.go(APPS, error.message)
        return visit.go(APPS, "The client is deleted, and its tokens have ended.")

    def _page(
        self,
        visit: Visit,
        *,
        error: str | None = None,
        change_error: str | None = None,
        fields: dict[str, str] | None = None,
        made: Client | None = None,
        secret: str | None = None,
    ) -> Response:
        user_id = visit.caller.user_id
        return visit.page(
            "account-apps.html",
            HTTPStatus.UNPROCESSABLE_ENTITY if error or change_error else HTTPStatus.OK,
            tokens=self._tokens.list_living(user_id)[::-1],
            clients=self._clients.list_of(user_id),
            types=[kind.value for kind in ClientType],
            error=error,
            change_error=change_error,
            fields=fields or {},
            made=made,
            secret=secret,
        )
