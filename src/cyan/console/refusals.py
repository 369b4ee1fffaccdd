"""What went wrong, as a page that says what happened and what helps, or as a toast for a part."""

from typing import Final

import structlog
from starlette.responses import Response

from cyan.accounts.lockout import BusyAddressError, LockedOutError
from cyan.accounts.passwords import TooManyLoginsError
from cyan.console.rendering import size
from cyan.console.visit import Visit
from cyan.core.errors import CyanError
from cyan.core.ports import DeviceOfflineError, DeviceRefusedError, DeviceTimeoutError
from cyan.devices.model import UnknownDeviceError
from cyan.firmware.compiling.model import CompilerBusyError
from cyan.rest.errors import ApiError, from_cyan_error

_log = structlog.get_logger(__name__)

_TITLES: Final = {
    400: "That cannot be used",
    403: "That is not allowed",
    404: "There is nothing here",
    409: "That does not fit now",
    413: "That is too large",
    429: "Too many requests",
    500: "Something broke",
    503: "The server is busy",
    504: "The device did not answer",
    507: "The server's disk is full",
}

_HELP: Final = {
    404: "It may have been renamed or released, or it never was yours. Look for it in the list.",
    429: "Wait for a moment, then load the page again.",
    500: "It is not your fault. The server's log has the reason under the number below; its"
    " operator can find it there.",
}

TOO_LARGE: Final = 413

TOO_MANY: Final = (LockedOutError, BusyAddressError, TooManyLoginsError)


class NotSignedInError(Exception):
    """Nobody is signed in."""


def answer(visit: Visit, error: Exception) -> Response:
    """The page, or for htmx a toast that leaves what is shown."""
    status, text = describe(error)
    if status == TOO_LARGE:
        text = f"That is too much: at most {size(visit.most_bytes)} can be sent here at once."
    if status == 500:
        _log.error("console.failed", exc_info=error)
    headers = dict(error.headers) if isinstance(error, ApiError) else {}
    headers.pop("content-type", None)
    if visit.is_htmx:
        response = visit.told(Response(status_code=status), text, "bad")
        response.headers["hx-reswap"] = "none"
    else:
        response = visit.page(
            "error.html",
            status,
            title=_TITLES.get(status, "That did not work"),
            text=text,
            help=_HELP.get(status, ""),
            shows_number=status == 500,
        )
    response.headers.update(headers)
    return response


def describe(error: Exception) -> tuple[int, str]:
    """The HTTP status and a sentence for a person."""
    if isinstance(error, ApiError):
        return error.status, _sentence(error)
    if isinstance(error, UnknownDeviceError):
        return 404, "There is no such device, or it is not yours."
    if isinstance(error, TOO_MANY):
        return 429, error.message
    if isinstance(error, CompilerBusyError):
        return 503, error.message
    if isinstance(error, DeviceTimeoutError):
        return 504, error.message
    if isinstance(error, DeviceOfflineError | DeviceRefusedError):
        return 409, error.message
    if isinstance(error, CyanError):
        refusal = from_cyan_error(error)
        if refusal is not None:
            return refusal.status, error.message
    return 500, "The server failed while it made this page."


def _sentence(error: ApiError) -> str:
    for key in ("error_description", "info", "error"):
        text = error.body.get(key)
        if isinstance(text, str):
            return text
    texts = error.body.get("errors")
    return str(texts[0]) if isinstance(texts, list) and texts else "That did not work."
