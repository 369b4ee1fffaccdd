"""Errors of Device OS, and how devices tell them (device-protocol.md §2.6, §5.6)."""

from typing import Final

from cyan.wire import coap
from cyan.wire.messages.updates import Diagnostic, encode_diagnostic

TOO_LARGE: Final = -190
INVALID_STATE: Final = -210
FLASH_IO: Final = -219
PROTOCOL: Final = -240
MODULE_NOT_FOUND: Final = -1300
UNSUPPORTED_MODULE: Final = -1310
VALIDATION_FAILED: Final = -1320
INTEGRITY_CHECK_FAILED: Final = -1330
RESUMED_UPDATE_FAILED: Final = -1331
DEPENDENCY_CHECK_FAILED: Final = -1340
INVALID_ADDRESS: Final = -1350
INVALID_SIZE: Final = -1351
INVALID_PLATFORM: Final = -1360
INVALID_FORMAT: Final = -1370
UPDATES_DISABLED: Final = -1380

LOWEST: Final = -9999
"""Device OS numbers its errors above this."""

_TEXT: Final = "Unknown error"
"""All that the host build says (§2.6)."""

_CODES: Final = {TOO_LARGE: coap.BAD_REQUEST}


class DeviceOsError(Exception):
    """Firmware refuses or fails with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Device OS error {code}")
        self.code = code


def coap_code(code: int) -> int:
    """The code of the response."""
    return _CODES.get(code, coap.SERVICE_UNAVAILABLE)


def diagnostic(code: int) -> bytes:
    """The payload of the response."""
    return encode_diagnostic(Diagnostic(code, _TEXT))
