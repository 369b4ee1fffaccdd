"""`POST /oauth/token`: a login, or a renewal, becomes a token (RFC 6749; rest-api-core.md §5.1).

Small and our own: docs/decisions/0002-our-own-token-endpoint.md says why.
"""

from datetime import UTC, datetime

from starlette.responses import Response

from cyan.accounts.clients import Clients, KnownClient
from cyan.accounts.credentials import basic_of
from cyan.accounts.lockout import BusyAddressError, LockedOutError
from cyan.accounts.logins import Logins
from cyan.accounts.model import (
    DEFAULT_EXPIRES_IN_S,
    MAX_EXPIRES_IN_S,
    NewToken,
    TooManyTokensError,
    User,
)
from cyan.accounts.passwords import TooManyLoginsError
from cyan.accounts.people import People
from cyan.accounts.secondfactor import SecondFactors
from cyan.accounts.shapes import TokenReply
from cyan.accounts.tokens import Tokens, digest
from cyan.core.clock import Clock
from cyan.core.ids import UserId
from cyan.rest.body import URLENCODED, media_type
from cyan.rest.call import Call
from cyan.rest.errors import NO_STORE, ApiError, oauth_error
from cyan.rest.ratelimit import too_many_requests
from cyan.rest.responses import json_response

OTP_GRANT = "urn:custom:mfa-otp"
GRANTS = ("password", "refresh_token", "client_credentials", OTP_GRANT)

_SUCCESS_HEADERS = {**NO_STORE, "x-content-type-options": "nosniff"}


class TokenEndpoint:
    """Answers /oauth/token."""

    def __init__(
        self,
        people: People,
        tokens: Tokens,
        clients: Clients,
        logins: Logins,
        second_factors: SecondFactors,
    ) -> None:
        self._people = people
        self._tokens = tokens
        self._clients = clients
        self._logins = logins
        self._second_factors = second_factors

    async def __call__(self, call: Call) -> Response:
        if media_type(call.request) != URLENCODED:
            raise _invalid_request(f"Send the fields as {URLENCODED}, not in another form.")
        fields = _texts(await call.body())
        client = self._client_of(call, fields)
        grant = fields.get("grant_type", "")
        try:
            if grant == "password":
                new = await self._by_password(call, fields, client)
            elif grant == OTP_GRANT:
                new = await self._by_code(call, fields, client)
            elif grant == "refresh_token":
                new = await self._by_refresh_token(call, fields, client)
            elif grant == "client_credentials":
                new = await self._by_client(call, fields, client)
            elif not grant:
                raise _invalid_request("The field grant_type is missing, such as password.")
            else:
                raise oauth_error(
                    400,
                    "unsupported_grant_type",
                    f"This server takes the grant types {', '.join(GRANTS)}.",
                )
        except (LockedOutError, BusyAddressError, TooManyLoginsError) as error:
            raise too_many_requests(error.message, error.wait_s, is_login=True) from error
        except TooManyTokensError as error:
            raise _invalid_request(error.message) from error
        answer = TokenReply("bearer", new.access_token, new.expires_in_s, new.refresh_token)
        return json_response(answer, headers=_SUCCESS_HEADERS)

    async def _by_password(
        self, call: Call, fields: dict[str, str], client: KnownClient
    ) -> NewToken:
        _refuse_limited(client)
        expires_in_s = _life_asked_for(fields, call.clock)
        username, password = fields.get("username", ""), fields.get("password", "")
        if not username or not password:
            raise _invalid_request("The fields username and password are needed.")
        found = await self._logins.by_password(username, password, host_of(call))
        if found is None:
            raise _bad_credentials()
        user, checked_hash = found
        if self._second_factors.is_on(user.id):
            token = self._second_factors.challenge(user.id, checked_hash, client.id, expires_in_s)
            raise _code_needed(token)
        new = await self._tokens.issue(user.id, client.id, expires_in_s, checked_hash)
        if new is None:
            raise _bad_credentials()
        return new

    async def _by_code(self, call: Call, fields: dict[str, str], client: KnownClient) -> NewToken:
        """The stock clients send no expires_in here: the first step's holds."""
        mfa_token, code = fields.get("mfa_token", ""), fields.get("otp", "")
        if not mfa_token or not code:
            raise _invalid_request("The fields mfa_token and otp are needed.")
        challenge = self._second_factors.read_challenge(mfa_token, client.id)
        user = None if challenge is None else self._people.find(UserId(challenge.user_id))
        if challenge is None or user is None:
            raise oauth_error(400, "invalid_grant", "The login has ended. Log in again.")
        if not await self._logins.by_code(user, code, host_of(call)):
            raise oauth_error(400, "invalid_grant", "The one-time code is not right")
        checked_hash = self._unchanged_hash(user, challenge.checked_hash)
        new = await self._tokens.issue(user.id, client.id, challenge.expires_in_s, checked_hash)
        if new is None:
            raise _bad_credentials()
        return new

    async def _by_refresh_token(
        self, call: Call, fields: dict[str, str], client: KnownClient
    ) -> NewToken:
        refresh_token = fields.get("refresh_token", "")
        if not refresh_token:
            raise _invalid_request("The field refresh_token is needed.")
        _refuse_limited(client)
        expires_in_s = _life_asked_for(fields, call.clock)
        new = await self._tokens.renew(refresh_token, client.id, expires_in_s)
        if new is None:
            raise oauth_error(400, "invalid_grant", "The refresh token is invalid or has expired")
        return new

    async def _by_client(self, call: Call, fields: dict[str, str], client: KnownClient) -> NewToken:
        """A token of the client's owner."""
        if fields.get("scope"):
            raise oauth_error(
                400, "invalid_scope", "Customers of products are not built yet; send no scope."
            )
        if client.owner_id is None:
            raise oauth_error(
                400, "unauthorized_client", "This client has no owner; make one of your own."
            )
        _refuse_limited(client)
        expires_in_s = _life_asked_for(fields, call.clock)
        new = await self._tokens.issue_to_client(client.owner_id, client.id, expires_in_s)
        if new is None:
            raise _bad_client()
        return new

    def _client_of(self, call: Call, fields: dict[str, str]) -> KnownClient:
        """By Basic or by fields. 400, not 401: the stock CLI logs its user out at any 401."""
        basic = basic_of(call.request.headers.get("authorization"))
        client_id, secret = basic or (fields.get("client_id", ""), fields.get("client_secret", ""))
        if not client_id:
            raise oauth_error(
                400,
                "invalid_client",
                "Client credentials are missing: send client_id and client_secret, or HTTP Basic",
            )
        client = self._clients.find(client_id, secret)
        if client is None:
            raise _bad_client()
        return client

    def _unchanged_hash(self, user: User, checked: bytes) -> str:
        """The password's hash, if it is the one that the login was begun with."""
        hashed = self._people.password_hash(user.id)
        if hashed is None or digest(hashed) != checked:
            raise _bad_credentials()
        return hashed


def host_of(call: Call) -> str:
    """The address that asks; "" when the server does not know."""
    return "" if call.request.client is None else call.request.client.host


def _refuse_limited(client: KnownClient) -> None:
    """A client of limited scope lies in apps where anyone can find its secret."""
    if client.is_limited:
        raise oauth_error(
            400, "unauthorized_client", f"The scope of this client allows {client.scope} only."
        )


def _code_needed(mfa_token: str) -> ApiError:
    refusal = oauth_error(
        403, "mfa_required", "A one-time code is needed: send it as otp, with this mfa_token."
    )
    return ApiError(403, {**refusal.body, "mfa_token": mfa_token}, refusal.headers)


def _texts(body: dict[str, object]) -> dict[str, str]:
    for name, value in body.items():
        if not isinstance(value, str):
            raise _invalid_request(f"The field {name[:40]} is given more than once.")
    return {name: value for name, value in body.items() if isinstance(value, str)}


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


def _bad_client() -> ApiError:
    return oauth_error(400, "invalid_client", "Client credentials are invalid")
