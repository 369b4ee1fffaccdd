"""What the firmware of a device takes, by its age (platform-semantics.md §6.1).

Firmware cuts what is longer without a word and goes on, so the server refuses it instead.
"""

from typing import Final

import msgspec

GEN_2_PLATFORMS: Final = frozenset({6, 8, 10})
"""photon, p1, electron (device-protocol.md §7.6)."""

VERSION_0_8: Final = 300
VERSION_3_0: Final = 3000
"""The first system module numbers of these releases (Device OS system-versions.md)."""

_EVENT_OVERHEAD: Final = 4 + 2 + (2 + 64) + 3 + 5 + 1
_CALL_OVERHEAD: Final = 4 + 1 + 2 + (2 + 64) + 3
"""Bytes of a CoAP message around an event's data (header, two paths, content format, lifetime, mark
of the payload) and around an argument (header, token, two paths, head of the query), with the
longest name."""


class Limits(msgspec.Struct, frozen=True):
    """Bytes of UTF-8."""

    event_data_bytes: int
    """Of an event to the device."""
    argument_bytes: int
    """Of a function."""
    name_bytes: int
    """Of a function's or variable's name."""


_BEFORE_0_8: Final = Limits(event_data_bytes=255, argument_bytes=63, name_bytes=12)
_BEFORE_3_0: Final = Limits(event_data_bytes=622, argument_bytes=622, name_bytes=64)
_GEN_2: Final = Limits(event_data_bytes=864, argument_bytes=864, name_bytes=64)
_LARGEST: Final = Limits(event_data_bytes=1024, argument_bytes=1024, name_bytes=64)


def limits_of(
    platform_id: int | None, system_version: int | None, max_message_bytes: int | None
) -> Limits:
    """The limits of a device that said this of itself, as far as it did.

    `system_version` is the number of its system module: Hello tells it since 3.0, the describe of
    older firmware too. `max_message_bytes` is the largest CoAP message it takes (Hello, since 3.0).
    """
    if platform_id is None:
        return _LARGEST  # never seen yet
    if system_version is None:
        limits = _BEFORE_3_0  # it said no version in Hello, and has not described itself yet
    elif system_version < VERSION_0_8:
        limits = _BEFORE_0_8
    elif system_version < VERSION_3_0:
        limits = _BEFORE_3_0
    else:
        limits = _GEN_2 if platform_id in GEN_2_PLATFORMS else _LARGEST
    if max_message_bytes is None:
        return limits
    return Limits(
        event_data_bytes=_within(limits.event_data_bytes, max_message_bytes - _EVENT_OVERHEAD),
        argument_bytes=_within(limits.argument_bytes, max_message_bytes - _CALL_OVERHEAD),
        name_bytes=limits.name_bytes,
    )


def _within(limit: int, room: int) -> int:
    return max(0, min(limit, room))
