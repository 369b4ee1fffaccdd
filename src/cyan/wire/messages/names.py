"""Names that travel in Uri-Path options: of events, prefixes, functions and variables."""

import re
from typing import Final

from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError

MAX_NAME: Final = 64
"""Bytes of UTF-8 (platform-semantics.md section 6.1)."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def decode_name(raw: bytes) -> str:
    """A name of 0 to 64 bytes of UTF-8 without control characters.

    Control characters are refused because names become lines of event streams and text columns.
    """
    if len(raw) > MAX_NAME:
        raise MalformedError(f"name of {len(raw)} bytes")
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise MalformedError("name that is not UTF-8") from None
    # isprintable() alone would also refuse characters younger than this Python.
    if not name.isprintable() and _CONTROL.search(name):
        raise MalformedError("name with control characters")
    return name


def encode_name(name: str) -> bytes:
    """The bytes of a name, for one Uri-Path option."""
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        raise MisuseError("name with lone surrogates") from None
    if not 1 <= len(raw) <= MAX_NAME or _CONTROL.search(name):
        raise MisuseError(f"name of {len(raw)} bytes or with control characters")
    return raw


def join_path(message: coap.Message) -> bytes:
    """The path after its first segment: newer firmware sends a name in several segments."""
    return b"/".join([value for number, value in message.options[1:] if number == coap.URI_PATH])
