"""The REST routes of accounts: login, tokens, and who one is (rest-api-core.md §5, §7)."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from cyan.accounts import shapes
from cyan.accounts.credentials import basic_of
from cyan.accounts.model import MAX_PASSWORD_CHARACTERS, Token, User
from cyan.accounts.oauth import TokenEndpoint
from cyan.accounts.passwords import TooManyLoginsError
from cyan.accounts.people import People
from cyan.accounts.tokens import Tokens
from cyan.core.clock import iso_ms
from cyan.core.errors import CyanError
from cyan.core.ids import UserId
from cyan.rest.auth import Auth, ExpiredTokenError, InvalidTokenError, bearer_of
from cyan.rest.body import URLENCODED
from cyan.rest.call import Call
from cyan.rest.errors import ApiError, described, errors_list, token_missing, token_refused
from cyan.rest.registry import Route
from cyan.rest.responses import json_response
from cyan.rest.shapes import Done

HANDLE_CHARACTERS = 24
"""A path segment of this length names a token by its handle; a token itself has 40."""


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """How many devices of each kind a person has, for `GET /v1/user`."""

    wifi: int
    cellular: int


def routes(
    people: People,
    tokens: Tokens,
    device_counts: Callable[[UserId], DeviceCounts] | None = None,
) -> list[Route]:
    """The routes. `device_counts` comes from `devices`; without it `user` tells no counts."""
    api = _Api(people, tokens, device_counts)
    own, current = "/v1/access_tokens", "/v1/access_tokens/current"
    return [
        Route(
            "POST",
            "/oauth/token",
            TokenEndpoint(people, tokens),
            Auth.OWN,
            summary="Log in: make a token.",
            request=shapes.TokenRequest,
            request_media=(URLENCODED,),
            response=shapes.TokenReply,
        ),
        Route(
            "GET",
            own,
            api.list_tokens,
            Auth.OWN,
            summary="List one's tokens by handle.",
            response=list[shapes.ListedToken],
        ),
        Route("DELETE", own, api.delete_all, summary="End all of one's tokens.", response=Done),
        Route(
            "GET",
            current,
            api.current,
            summary="The token of this request.",
            response=shapes.CurrentToken,
        ),
        Route("DELETE", current, api.delete_current, summary="Log out.", response=Done),
        Route(
            "DELETE",
            "/v1/access_tokens/{token}",
            api.delete_one,
            Auth.OWN,
            summary="End a token by itself, or by its handle.",
            response=Done,
        ),
        Route("GET", "/v1/user", api.user, summary="Who one is.", response=shapes.UserReply),
        Route(
            "GET",
            "/v1/user/identify",
            api.identify,
            summary="One's id and e-mail address.",
            response=shapes.Identity,
        ),
    ]


class _Api:
    def __init__(
        self,
        people: People,
        tokens: Tokens,
        device_counts: Callable[[UserId], DeviceCounts] | None,
    ) -> None:
        self._people = people
        self._tokens = tokens
        self._device_counts = device_counts

    async def current(self, call: Call) -> Response:
        caller = call.caller
        return json_response(
            {
                "expires_at": _stamp(caller.expires_at_ms),
                # Documentation says client, api-js reads client_id (rest-api-core.md §5.3).
                "client": caller.client_id,
                "client_id": caller.client_id,
                "scopes": [],
                "orgs": [],
            }
        )

    async def delete_current(self, call: Call) -> Response:
        await self._tokens.revoke_of(call.caller.user_id, call.caller.token_id)
        return json_response({"ok": True})

    async def delete_all(self, call: Call) -> Response:
        await self._tokens.revoke_of(call.caller.user_id)
        return json_response({"ok": True})

    async def list_tokens(self, call: Call) -> Response:
        user_id = await self._who(call)
        return json_response([_listed(token) for token in self._tokens.list_living(user_id)])

    async def delete_one(self, call: Call) -> Response:
        """Having the token is enough to end it: that is all that stock clients send."""
        named = call.path["token"]
        if len(named) == HANDLE_CHARACTERS:
            await self._tokens.revoke_of(await self._who(call), named)
        else:
            await self._tokens.revoke(named)
        return json_response({"ok": True})

    async def user(self, call: Call) -> Response:
        user = self._user_of(call)
        body: dict[str, object] = {
            "username": user.username,
            "subscription_ids": [],
            "account_info": {
                "first_name": "",
                "last_name": "",
                "business_account": False,
                "company_name": "",
            },
            "scim_provisioned": False,
            "no_password": not user.has_password,
            "tos": 1,
            "memberships": [],
            "mfa": {"enabled": False},
        }
        if self._device_counts is not None:
            counts = self._device_counts(user.id)
            body["wifi_device_count"] = counts.wifi
            body["cellular_device_count"] = counts.cellular
        return json_response(body)

    async def identify(self, call: Call) -> Response:
        return json_response({"id": call.caller.user_id, "email": call.caller.username})

    def _user_of(self, call: Call) -> User:
        user = self._people.find(call.caller.user_id)
        if user is None:
            raise token_refused(InvalidTokenError())
        return user

    async def _who(self, call: Call) -> UserId:
        """By Basic username and password, or by bearer token.

        An unknown user and a wrong password get the same answer, although the platform told them
        apart: who has an account here is nobody's business.
        """
        authorization = call.request.headers.get("authorization")
        bearer = bearer_of(authorization or "") or call.query.get("access_token")
        if bearer:
            try:
                return self._tokens.authenticate(bearer).user_id
            except (InvalidTokenError, ExpiredTokenError) as error:
                raise token_refused(error) from error
        basic = basic_of(authorization)
        if basic is None:
            raise token_missing()
        if len(basic[1]) > MAX_PASSWORD_CHARACTERS:
            raise _bad_password()
        try:
            found = await self._people.by_password(*basic)
        except TooManyLoginsError as error:
            raise _busy(error) from error
        if found is None:
            raise _bad_password()
        return found[0].id


def _bad_password() -> ApiError:
    return errors_list(401, ["Bad password"])


def _busy(error: CyanError) -> ApiError:
    return described(429, "too_many_requests", error.message)


def _listed(token: Token) -> dict[str, object]:
    return {
        "token": token.id,
        "expires_at": _stamp(token.expires_at_ms),
        "client": token.client_id,
    }


def _stamp(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else iso_ms(epoch_ms)
