"""`POST /oauth/token`: a login, or a renewal, becomes a token (RFC 6749; rest-api-core.md §5.1).

Small and our own: docs/decisions/0002-our-own-token-endpoint.md says why.
"""

from datetime import UTC, datetime

from starlette.responses import Response

from cyan.accounts.clients import Client, find_client
from cyan.accounts.credentials import basic_of
from cyan.accounts.model import (
    DEFAULT_EXPIRES_IN_S,
    MAX_EXPIRES_IN_S,
    MAX_PASSWORD_CHARACTERS,
    NewToken,
    TooManyTokensError,
)
from cyan.accounts.passwords import TooManyLoginsError
from cyan.accounts.people import People
from cyan.accounts.tokens import Tokens
from cyan.core.clock import Clock
from cyan.rest.body import URLENCODED, media_type
from cyan.rest.call import Call
from cyan.rest.errors import NO_STORE, ApiError, oauth_error
from cyan.rest.responses import json_response

_SUCCESS_HEADERS = {**NO_STORE, "x-content-type-options": "nosniff"}


class TokenEndpoint:
    """Answers /oauth/token."""

    def __init__(self, people: People, tokens: Tokens) -> None:
        self._people = people
        self._tokens = tokens

    async def __call__(self, call: Call) -> Response:
        if media_type(call.request) != URLENCODED:
            raise _invalid_request(f"Send the fields as {URLENCODED}, not in another form.")
        fields = _texts(await call.body())
        client = _client_of(call, fields)
        expires_in_s = _life_asked_for(fields, call.clock)
        grant = fields.get("grant_type", "")
        if grant == "password":
            new = await self._by_password(fields, client, expires_in_s)
        elif grant == "refresh_token":
            new = await self._by_refresh_token(fields, client, expires_in_s)
        elif not grant:
            raise _invalid_request("The field grant_type is missing, such as password.")
        else:
            raise oauth_error(
                400,
                "unsupported_grant_type",
                "This server takes the grant types password and refresh_token.",
            )
        return json_response(
            {
                "token_type": "bearer",
                "access_token": new.access_token,
                "expires_in": new.expires_in_s,
                "refresh_token": new.refresh_token,
            },
            headers=_SUCCESS_HEADERS,
        )

    async def _by_password(
        self, fields: dict[str, str], client: Client, expires_in_s: int
    ) -> NewToken:
        username, password = fields.get("username", ""), fields.get("password", "")
        if not username or not password:
            raise _invalid_request("The fields username and password are needed.")
        if len(password) > MAX_PASSWORD_CHARACTERS:
            raise _bad_credentials()
        try:
            found = await self._people.by_password(username, password)
            if found is None:
                raise _bad_credentials()
            user, checked_hash = found
            new = await self._tokens.issue(user.id, client.id, expires_in_s, checked_hash)
        except TooManyLoginsError as error:
            raise oauth_error(429, "too_many_requests", error.message) from error
        except TooManyTokensError as error:
            raise _invalid_request(error.message) from error
        if new is None:
            raise _bad_credentials()
        return new

    async def _by_refresh_token(
        self, fields: dict[str, str], client: Client, expires_in_s: int
    ) -> NewToken:
        refresh_token = fields.get("refresh_token", "")
        if not refresh_token:
            raise _invalid_request("The field refresh_token is needed.")
        new = await self._tokens.renew(refresh_token, client.id, expires_in_s)
        if new is None:
            raise oauth_error(400, "invalid_grant", "The refresh token is invalid or has expired")
        return new


def _texts(body: dict[str, object]) -> dict[str, str]:
    for name, value in body.items():
        if not isinstance(value, str):
            raise _invalid_request(f"The field {name[:40]} is given more than once.")
    return {name: value for name, value in body.items() if isinstance(value, str)}


def _client_of(call: Call, fields: dict[str, str]) -> Client:
    """By Basic or by fields. 400, not 401: the stock CLI logs its user out at any 401."""
    basic = basic_of(call.request.headers.get("authorization"))
    client_id, secret = basic or (fields.get("client_id", ""), fields.get("client_secret", ""))
    if not client_id:
        raise oauth_error(
            400,
            "invalid_client",
            "Client credentials are missing: send client_id and client_secret, or HTTP Basic",
        )
    client = find_client(client_id, secret)
    if client is None:
        raise oauth_error(400, "invalid_client", "Client credentials are invalid")
    return client


def _life_asked_for(fields: dict[str, str], clock: Clock) -> int:
    """Seconds, 0 for no end: from `expires_at` (ISO) or `expires_in`, or the default."""
    if fields.get("expires_at"):
        return _seconds_until(fields["expires_at"], clock)
    text = fields.get("expires_in", "")
    if not text:
        return DEFAULT_EXPIRES_IN_S
    if not (text.isascii() and text.isdigit() and len(text) < 12) or int(text) > MAX_EXPIRES_IN_S:
        raise _invalid_request(
            f"expires_in is a number of seconds up to {MAX_EXPIRES_IN_S}, or 0 for no end."
        )
    return int(text)


def _seconds_until(text: str, clock: Clock) -> int:
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid_request(
            "expires_at is a date like 2030-12-31 or 2030-12-31T23:59:59Z."
        ) from error
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    seconds = int((stamp - clock.now()).total_seconds())
    if not 0 < seconds <= MAX_EXPIRES_IN_S:
        raise _invalid_request("expires_at is in the past or too far in the future.")
    return seconds


def _invalid_request(description: str) -> ApiError:
    return oauth_error(400, "invalid_request", description)


def _bad_credentials() -> ApiError:
    return oauth_error(400, "invalid_grant", "User credentials are invalid")
