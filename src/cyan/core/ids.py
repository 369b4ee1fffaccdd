"""Ids as types of their own, and how they are made and read."""

import re
import secrets
import sys
from typing import NewType

from cyan.core.errors import InvalidError

DeviceId = NewType("DeviceId", str)
"""24 lower-case hex digits, fixed at the factory."""

UserId = NewType("UserId", str)
"""24 lower-case hex digits, ours."""

API_ORIGIN = "api"
"""Stands where a device id would in an event that a person published (rest-api-core.md §10.1)."""

_DEVICE_ID = re.compile(r"[0-9a-f]{24}\Z")
_ANY_CASE = re.compile(r"[0-9a-fA-F]{24}\Z")


class MalformedDeviceIdError(InvalidError):
    """A device id is 24 hexadecimal digits, like 0123456789abcdef01234567."""


def parse_device_id(text: str) -> DeviceId:
    """The id in its stored form, lower case. Raises MalformedDeviceIdError."""
    lowered = text.strip().lower()
    if not _DEVICE_ID.match(lowered):
        raise MalformedDeviceIdError
    return DeviceId(lowered)


def share_device_id(text: str) -> DeviceId:
    """An id in its stored form as the one object for it: many parts keep one for each device."""
    return DeviceId(sys.intern(text))


def is_device_id(text: str) -> bool:
    """Whether a path segment names a device by id rather than by name (any case)."""
    return _ANY_CASE.match(text) is not None


def new_object_id() -> str:
    """A fresh id for a user, an integration, a transfer: 24 hex digits as clients expect them."""
    return secrets.token_hex(12)


def new_token() -> str:
    """A bearer secret: 40 hex digits (rest-api-core.md §1.1), 160 random bits."""
    return secrets.token_hex(20)
