"""Refusals as clients read them: an HTTP status and a JSON body (rest-api-core.md §2)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec

from cyan.core.errors import (
    ConflictError,
    CyanError,
    DiskFullError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)

NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
"""Headers of /oauth/token and of every authentication failure (rest-api-core.md §1.1)."""


class ApiError(Exception):
    """An answer other than success: what an endpoint raises to refuse."""

    def __init__(
        self, status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {dict(body)}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def oauth_error(status: int, code: str, description: str) -> ApiError:
    """`{"error": code, "error_description": …}`: all that concerns tokens; never cached."""
    return ApiError(status, {"error": code, "error_description": description}, NO_STORE)


def ok_false(status: int, text: str) -> ApiError:
    """`{"ok": false, "error": text}`: functions, variables, products, integrations."""
    return ApiError(status, {"ok": False, "error": text})


def errors_list(status: int, texts: Sequence[str]) -> ApiError:
    """`{"ok": false, "errors": […]}`: claim, sign-up, token list, compile."""
    return ApiError(status, {"ok": False, "errors": list(texts)})


def described(status: int, code: str, description: str) -> ApiError:
    """`{"ok": false, "error": code, "error_description": …}`: a word for programs, a sentence for
    people. The sentence never says "access token": the stock CLI would log the user out for it
    (rest-api-core.md §1.4)."""
    return ApiError(status, {"ok": False, "error": code, "error_description": description})


def bad_request(description: str) -> ApiError:
    """What was sent cannot be used; `description` says what is wrong and what would be right."""
    return described(400, "bad_request", description)


def not_implemented(description: str) -> ApiError:
    """The endpoint is known, but this server does not do it; `description` says what."""
    return described(501, "not_implemented", description)


def permission_denied() -> ApiError:
    """The device does not exist or is not the caller's; both look alike (rest-api-core.md §2.2)."""
    return ApiError(
        403,
        {
            "error": "Permission Denied",
            "info": "I didn't recognize that device name or ID, try opening /v1/devices",
        },
    )


def token_missing() -> ApiError:
    return oauth_error(400, "invalid_request", "The access token was not found")


def token_refused(reason: CyanError) -> ApiError:
    """401 for an unknown or expired token; the only use of 401 with a bearer token."""
    return oauth_error(401, "invalid_token", reason.message)


def last_answer(refusal: ApiError) -> bytes:
    """A refusal as it goes over the wire, for a connection on which no request could be read."""
    content = msgspec.json.encode(refusal.body)
    return (
        b"HTTP/1.1 %d %b\r\ncontent-type: application/json; charset=utf-8\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%b"
        % (refusal.status, HTTPStatus(refusal.status).phrase.encode(), len(content), content)
    )


_STATUS_OF: tuple[tuple[type[CyanError], int], ...] = (
    (InvalidError, 400),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (DiskFullError, 507),
)


def from_cyan_error(error: CyanError) -> ApiError | None:
    """The plain answer for a use case's error that no endpoint gave a shape of its own."""
    for kind, status in _STATUS_OF:
        if isinstance(error, kind):
            return ok_false(status, error.message)
    return None
