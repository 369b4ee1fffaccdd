"""What an account and a token are: values, limits, errors, facts."""

from dataclasses import dataclass

import msgspec

from cyan.core.errors import ConflictError, InvalidError, NotFoundError
from cyan.core.ids import UserId

DEFAULT_EXPIRES_IN_S = 7_776_000
"""90 days, when a login does not say (rest-api-core.md §5.1)."""

MAX_EXPIRES_IN_S = 100 * 365 * 24 * 3600
"""The longest life that can be asked for; 0 means without end."""

REFRESH_LIFE_S = 14 * 24 * 3600
"""How long a refresh token can be used (rest-api-core.md §5.1)."""

KEEP_EXPIRED_S = 30 * 24 * 3600
"""How long an ended token is remembered, so that its user reads "expired" and not "invalid"."""

MAX_TOKENS_PER_USER = 1000
"""Living tokens of one person; each login makes one."""

MAX_USERNAME_CHARACTERS = 254
"""The longest e-mail address (RFC 5321 §4.5.3.1.3, less its brackets)."""

MIN_PASSWORD_CHARACTERS = 8
MAX_PASSWORD_CHARACTERS = 1024
"""What is hashed costs time; nobody types more."""


class MalformedUsernameError(InvalidError):
    """A username is an e-mail address, like ada@example.com."""


class PasswordLengthError(InvalidError):
    """A password has from 8 to 1024 characters."""


class UsernameTakenError(ConflictError):
    """There is already an account with this username."""


class UnknownUserError(NotFoundError):
    """There is no account with this username."""


class TooManyTokensError(ConflictError):
    """This account has 1000 living tokens; delete some before making another."""


class User(msgspec.Struct, frozen=True):
    """A person's account."""

    id: UserId
    username: str
    """An e-mail address in its stored form, lower case."""
    is_operator: bool
    """The server's own administrator (platform-semantics.md §21 row 18)."""
    has_password: bool
    created_at_ms: int


class Token(msgspec.Struct, frozen=True):
    """What is known of an access token once its secret has been shown."""

    id: str
    """A handle of 24 hex digits. It names the token, but opens nothing."""
    user_id: UserId
    client_id: str
    created_at_ms: int
    expires_at_ms: int | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made, with the secrets that are shown this once. They stay out of its repr."""

    token: Token
    access_token: str
    refresh_token: str
    expires_in_s: int
    """Its life as the client is told it; 0 for no end."""

    def __repr__(self) -> str:
        return f"NewToken({self.token!r})"


@dataclass(frozen=True, slots=True)
class TokensRevoked:
    """These tokens have stopped working: what was opened with them must close now."""

    token_ids: tuple[str, ...]


def parse_username(text: str) -> str:
    """The stored form: trimmed, lower case. Raises MalformedUsernameError."""
    name = text.strip().lower()
    local, at, domain = name.rpartition("@")
    if (
        not (local and at and domain)
        or len(name) > MAX_USERNAME_CHARACTERS
        or not name.isprintable()
        or any(character.isspace() for character in name)
        or ":" in name  # HTTP Basic ends the name there (RFC 7617 §2)
    ):
        raise MalformedUsernameError
    return name


def check_new_password(password: str) -> None:
    """Raises PasswordLengthError."""
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise PasswordLengthError
