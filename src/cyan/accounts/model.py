"""What an account and a token are: values, limits, errors, facts."""

from dataclasses import dataclass
from enum import Enum

import msgspec

from cyan.core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
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


MAX_PROFILE_CHARACTERS = 100
"""Of a first name, a last name, a company's name."""

INVITATION_LIFE_S = 7 * 24 * 3600
"""How long an invitation can be taken, when the command does not say."""

RESET_LIFE_S = 3600
"""How long the code of a password reset can be used."""

RESET_INTERVAL_S = 60
"""Least time between two reset mails to one person, whoever asks for them."""

CHALLENGE_LIFE_S = 600
"""How long a login waits for its one-time code: the stock CLI lets its user try three times with
the same `mfa_token` (rest-api-core.md §5.1)."""

ENROLMENT_LIFE_S = 3600
"""How long a new second factor waits for its first code."""

MAX_CLIENTS_PER_USER = 100
"""OAuth clients of one person."""

MAX_CLIENT_NAME_CHARACTERS = 64
MAX_REDIRECT_URI_CHARACTERS = 2048
MAX_SCOPE_CHARACTERS = 200


_NOT_IN_USERNAMES = frozenset('@,;<>()[]\\"')
"""What would make another or several addresses of it in a mail (RFC 5322 §3.4)."""


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


class ProfileError(InvalidError):
    """A name in account_info has at most 100 characters."""


class SignUpClosedError(ForbiddenError):
    """Sign-up is closed on this server. Ask its operator for an account."""


class InvitationError(ForbiddenError):
    """An account here needs an invitation: send its code in the field invitation, with the username
    that it was made for. The operator of this server makes invitations."""


class WrongPasswordError(ForbiddenError):
    """The current password is not right."""


class WrongCodeError(ForbiddenError):
    """The one-time code is not right, or was used before. Wait for the next one."""


class EnrolmentError(InvalidError):
    """This mfa_token is not one of yours, or has ended. Ask for a new one."""


class AlreadyEnabledError(ConflictError):
    """This account has a second factor already. Disable it before you enable another."""


class ResetError(InvalidError):
    """The code of this password reset is not known, was used, or has ended. Ask for a new one."""


class AccountInUseError(ConflictError):
    """The account still owns something that must be released first."""


class AccountDeletedError(ForbiddenError):
    """This account was deleted."""


class OperatorAccountError(ForbiddenError):
    """An operator's account is deleted by the command `cyan user delete` only."""


class TooManyClientsError(ConflictError):
    """This account has 100 OAuth clients; delete some before making another."""


class UnknownClientError(NotFoundError):
    """There is no such OAuth client, or it is not yours."""


class ClientFieldError(InvalidError):
    """A field of the OAuth client cannot be used."""


class Profile(msgspec.Struct, frozen=True):
    """What a person says of themselves; clients call it account_info."""

    first_name: str = ""
    last_name: str = ""
    business_account: bool = False
    company_name: str = ""


class ClientType(Enum):
    """What kind of program an OAuth client is (rest-api-core.md §6)."""

    INSTALLED = "installed"
    WEB = "web"


class Client(msgspec.Struct, frozen=True):
    """An OAuth client of somebody's. Its secret is stored hashed and was shown once."""

    id: str
    """The name as a slug, and four digits: `lamp-app-1013`."""
    owner_id: UserId
    name: str
    type: ClientType
    redirect_uri: str | None
    scope: str | None
    """Scopes with spaces between them; None for all that its owner may do."""


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
        or any(character in _NOT_IN_USERNAMES for character in local)
    ):
        raise MalformedUsernameError
    return name


def check_new_password(password: str) -> None:
    """Raises PasswordLengthError."""
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise PasswordLengthError
