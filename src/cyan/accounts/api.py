"""The REST routes of accounts: login and tokens; people and OAuth clients beside (§5 to §7)."""

from collections.abc import Callable

from starlette.responses import Response

from cyan.accounts import clientapi, userapi
from cyan.accounts.credentials import basic_of
from cyan.accounts.fields import flag_of
from cyan.accounts.model import Token
from cyan.accounts.oauth import TokenEndpoint, host_of
from cyan.accounts.service import Accounts
from cyan.accounts.shapes import (
    MAX_BODY_BYTES,
    CodeNeeded,
    CurrentToken,
    EndQuery,
    ListedToken,
    ListQuery,
    TokenReply,
    TokenRequest,
)
from cyan.accounts.userapi import DeviceCounts, TooMany, too_many
from cyan.core.clock import iso_ms
from cyan.core.ids import UserId
from cyan.rest.auth import Auth, ExpiredTokenError, InvalidTokenError, bearer_of
from cyan.rest.body import URLENCODED
from cyan.rest.call import Call
from cyan.rest.errors import ApiError, errors_list, token_missing, token_refused
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response
from cyan.rest.shapes import Done

__all__ = ["DeviceCounts", "routes"]

HANDLE_CHARACTERS = 24
"""A path segment of this length names a token by its handle; a token itself has 40."""


def routes(
    accounts: Accounts, device_counts: Callable[[UserId], DeviceCounts] | None = None
) -> list[Route]:
    """All routes of accounts. `device_counts` comes from `devices`, for `GET /v1/user`."""
    return [
        *_token_routes(accounts),
        *userapi.routes(accounts, device_counts),
        *clientapi.routes(accounts.clients),
    ]


def _token_routes(accounts: Accounts) -> list[Route]:
    api = _Api(accounts)
    login = TokenEndpoint(
        accounts.people,
        accounts.tokens,
        accounts.clients,
        accounts.logins,
        accounts.second_factors,
    )
    own, current = "/v1/access_tokens", "/v1/access_tokens/current"
    return [
        Route(
            "POST",
            "/oauth/token",
            login,
            Auth.OWN,
            summary="Log in: make a token.",
            request=TokenRequest,
            max_body_bytes=MAX_BODY_BYTES,
            request_media=(URLENCODED,),
            response=(Reply(TokenReply), Reply(CodeNeeded, 403)),
        ),
        Route(
            "GET",
            own,
            api.list_tokens,
            Auth.OWN,
            summary="List one's tokens by handle.",
            query=ListQuery,
            response=list[ListedToken],
        ),
        Route(
            "DELETE",
            own,
            api.delete_all,
            summary="End all of one's tokens, or all but the current one.",
            query=EndQuery,
            response=Done,
        ),
        Route(
            "GET",
            current,
            api.current,
            summary="The token of this request.",
            response=CurrentToken,
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
    ]


class _Api:
    def __init__(self, accounts: Accounts) -> None:
        self._tokens = accounts.tokens
        self._logins = accounts.logins

    async def current(self, call: Call) -> Response:
        caller = call.caller
        # Documentation says client, api-js reads client_id (rest-api-core.md §5.3).
        ends = _stamp(caller.expires_at_ms)
        return json_response(CurrentToken(ends, caller.client_id, caller.client_id, [], []))

    async def delete_current(self, call: Call) -> Response:
        await self._tokens.revoke_of(call.caller.user_id, call.caller.token_id)
        return json_response(Done(True))

    async def delete_all(self, call: Call) -> Response:
        keeps = flag_of(dict(call.query), "keep_current")
        keep = call.caller.token_id if keeps else None
        await self._tokens.revoke_of(call.caller.user_id, keep=keep)
        return json_response(Done(True))

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
        return json_response(Done(True))

    async def _who(self, call: Call) -> UserId:
        """By Basic username and password (and `otp` in the query), or by bearer token.

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
        code = call.query.get("otp", "")
        try:
            found = await self._logins.by_both(basic[0], basic[1], code, host_of(call))
        except TooMany as error:
            raise too_many(error) from error
        if found is None:
            raise _bad_password()
        return found.id


def _bad_password() -> ApiError:
    return errors_list(401, ["Bad password"])


def _listed(token: Token) -> ListedToken:
    return ListedToken(token.id, _stamp(token.expires_at_ms), token.client_id)


def _stamp(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else iso_ms(epoch_ms)
