"""A cloud secret as a value, and its rules (rest-api-core.md §18)."""

import re
from typing import Final

import msgspec

from cyan.core.errors import ConflictError, InvalidError, NotFoundError

MAX_NAME_CHARACTERS: Final = 128
"""As for environment variables (platform-semantics.md §16.3); none is published for secrets."""

MAX_VALUE_BYTES: Final = 8192
"""Ours: room for a key or a certificate in PEM."""

MAX_SECRETS: Final = 100
"""Of one account; ours."""

_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*\Z")


class InvalidSecretNameError(InvalidError):
    """A secret's name has capital letters, digits and underscores, at most 128, and does not begin
    with a digit, like API_KEY."""


class InvalidSecretValueError(InvalidError):
    """A secret's value is text of 1 to 8192 bytes."""


class TooManySecretsError(ConflictError):
    """An account keeps 100 secrets at most. Delete one that you do not need."""


class SecretExistsError(ConflictError):
    """There is a secret of this name already. PUT replaces its value."""


class UnknownSecretError(NotFoundError):
    """There is no secret of this name."""


class Secret(msgspec.Struct, frozen=True):
    """What may be told of a secret; never its value. Stamps are milliseconds since 1970."""

    name: str
    created_at_ms: int
    updated_at_ms: int
    created_by: str
    updated_by: str
    last_accessed_at_ms: int | None


def check_name(name: object) -> str:
    """Raises InvalidSecretNameError."""
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARACTERS or not _NAME.match(name):
        raise InvalidSecretNameError
    return name


def check_value(value: object) -> bytes:
    """The bytes to seal. Raises InvalidSecretValueError."""
    if not isinstance(value, str):
        raise InvalidSecretValueError
    encoded = value.encode()
    if not 1 <= len(encoded) <= MAX_VALUE_BYTES:
        raise InvalidSecretValueError
    return encoded
