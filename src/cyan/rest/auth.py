"""Who calls: the token's place in a request, and the port that turns it into a caller."""

from enum import Enum
from typing import Protocol

import msgspec

from cyan.core.errors import CyanError
from cyan.core.ids import UserId


class InvalidTokenError(CyanError):
    """The access token provided is invalid."""


class ExpiredTokenError(CyanError):
    """The access token provided has expired."""


class Caller(msgspec.Struct, frozen=True):
    """The person behind a request, as their token proves it."""

    user_id: UserId
    username: str
    token_id: str
    client_id: str
    expires_at_ms: int | None
    """When the token ends, milliseconds since 1970; None for never."""
    is_operator: bool = False


class Authenticator(Protocol):
    """Knows the tokens; `accounts` supplies it."""

    def authenticate(self, token: str) -> Caller:
        """The token's owner. Raises InvalidTokenError or ExpiredTokenError. Never waits."""
        ...


class Auth(Enum):
    """What an endpoint asks of the request before it is called."""

    TOKEN = "token"  # noqa: S105
    """A valid token in the header, the query or a form field (rest-api-core.md §1.2)."""

    OPTIONAL = "optional"
    """A token is not needed, but one that is sent must be valid."""

    NONE = "none"
    """Anyone; a token is not looked at."""

    OWN = "own"
    """The endpoint looks for itself: Basic, client credentials, or possession of a token."""


def bearer_of(authorization: str) -> str | None:
    """The token of an `Authorization: Bearer …` header (scheme in any case), else None."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if token and scheme.lower() == "bearer" else None
