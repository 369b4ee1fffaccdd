"""What an event is, and which ones are allowed."""

import msgspec

from cyan.core.errors import InvalidError
from cyan.core.ids import DeviceId, UserId

MAX_NAME_BYTES = 64
"""Bytes of UTF-8 in an event name or prefix (platform-semantics.md §6.1)."""

MAX_DATA_BYTES = 1024
"""Data of an event from or to a device, firmware 3.0 to 6.2 (platform-semantics.md §6.1)."""

MAX_API_DATA_BYTES = 100 * 1024
"""Data of an event from the API; beyond MAX_DATA_BYTES only streams and integrations get it
(rest-api-core.md §10.1)."""

MAX_TTL_S = 16_777_215
"""24 bits (platform-semantics.md §6.1). Carried, without effect."""

DEFAULT_TTL_S = 60
"""What a missing time to live means (device-protocol.md §3.6)."""

RESERVED_PREFIXES = ("spark", "particle")
"""Names that only the system may use, in any case (platform-semantics.md §6.1)."""

INTERNAL_ORIGIN = "particle-internal"
"""Stands where a device id would in an event of the cloud itself (rest-api-core.md §10.5)."""

GAP_EVENT = "particle/events/gap"
"""Ours: tells a resuming reader that the log does not go back to where it was. Under a reserved
prefix, so that nobody else can say it; whatever the reader's own prefix."""

GAP_TEXT = b"Events after your cursor may have been deleted by retention."

TEXT = 0
"""Content format of plain text, which is also what a missing one means."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One published event, as it is logged and delivered.

    `data` is None when the publisher gave none. `origin` is the publishing device's id, "api" or
    "particle-internal". `owner_id` is who owned the device (or published) at that moment: it
    decides who may read the event, now and later. `content_format` is the CoAP number
    (device-protocol.md §2.4). `version` is the product firmware that the device ran. `session` and
    `message_id` identify the message that brought it, to recognise a retransmission.
    """

    name: str
    data: bytes | None
    published_at_ms: int
    origin: str
    owner_id: str | None
    content_format: int = TEXT
    ttl_s: int = DEFAULT_TTL_S
    product_id: int | None = None
    version: int = 0
    session: bytes | None = None
    message_id: int | None = None


END_OF_TIME_MS = 2**53
"""A stamp after every other one."""


class Wanted(msgspec.Struct, frozen=True):
    """What is looked for in the log: events of an owner, of one device if given, whose name starts
    so, published in a time (both ends included)."""

    owner_id: UserId
    device_id: DeviceId | None = None
    prefix: str = ""
    from_ms: int = 0
    to_ms: int = END_OF_TIME_MS
    newest_first: bool = True


class EventNameError(InvalidError):
    """An event name has 1 to 64 bytes of printable characters."""


class ReservedNameError(InvalidError):
    """Event names that begin with spark or particle are reserved."""


class EventDataError(InvalidError):
    """The event data is larger than 102400 bytes."""


class EventTtlError(InvalidError):
    """The ttl is a whole number of seconds from 0 to 16777215."""


def is_reserved(name: str) -> bool:
    """Whether a name (or every name with this prefix) belongs to the system."""
    # The longest reserved prefix has 8 characters: no need to lower the whole name, nor any of it
    # where the first letter differs.
    return name[:1] in "spSP" and name[:8].lower().startswith(RESERVED_PREFIXES)


def is_acceptable_name(name: str) -> bool:
    """Whether a device or a person may use it at all: 1 to 64 bytes, nothing that breaks a line."""
    return (
        name != "" and name.isprintable() and len(name.encode(errors="replace")) <= MAX_NAME_BYTES
    )


def is_from_device(event: Event) -> bool:
    """Whether a device itself sent it, rather than a person or the cloud about the device."""
    return event.message_id is not None or event.session is not None


def check_publishable(name: str, data: bytes | None, ttl_s: int) -> None:
    """Refuse what a person may not publish.

    Raises EventNameError, ReservedNameError, EventDataError or EventTtlError.
    """
    if not is_acceptable_name(name):
        raise EventNameError
    if is_reserved(name):
        raise ReservedNameError
    if data is not None and len(data) > MAX_API_DATA_BYTES:
        raise EventDataError
    if not 0 <= ttl_s <= MAX_TTL_S:
        raise EventTtlError
