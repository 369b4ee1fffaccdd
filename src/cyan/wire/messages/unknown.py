"""A request that we do not know, kept for the log and for a coded answer."""

from typing import Final

import msgspec

from cyan.wire import coap

_MAX_PATH: Final = 64
"""Characters of a path that go into a log."""


class Unknown(msgspec.Struct, frozen=True):
    """A well-formed message without a meaning here; `path` is cut and stripped for the log."""

    code: int
    path: str


def as_unknown(message: coap.Message) -> Unknown:
    """Describes `message` by its code and path."""
    segments = [value for number, value in message.options if number == coap.URI_PATH]
    # Four bytes a character at most: what is decoded stays bounded.
    text = b"/".join(segments)[: 4 * _MAX_PATH].decode(errors="replace")[:_MAX_PATH]
    return Unknown(message.code, "".join(c if c.isprintable() else "?" for c in text))
