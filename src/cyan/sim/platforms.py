"""What differs between the boards that a simulated device can be (device-protocol.md §2.7)."""

from typing import Final

import msgspec

WIFI_KEEP_ALIVE_S: Final = 25.0
CELLULAR_KEEP_ALIVE_S: Final = 23 * 60.0
"""Silence from the server after which firmware pings (device-protocol.md §2.7)."""

SYSTEM_VERSION: Final = 6200
"""Device OS 6.2.0 as Hello and the system describe number it (device-protocol.md §3.2)."""

MAX_MESSAGE_BYTES: Final = 1152
"""Largest CoAP message of Gen 3 and 4 boards (device-protocol.md §1.4.4)."""

OTA_CHUNK_BYTES: Final = 512


class Platform(msgspec.Struct, frozen=True):
    """A kind of board. `max_binary_bytes` is the largest update that it takes."""

    name: str
    id: int
    keep_alive_s: float
    max_binary_bytes: int


PLATFORMS: Final = {
    platform.name: platform
    for platform in (
        Platform("argon", 12, WIFI_KEEP_ALIVE_S, 1_536_000),
        Platform("boron", 13, CELLULAR_KEEP_ALIVE_S, 1_536_000),
        Platform("p2", 32, WIFI_KEEP_ALIVE_S, 1_572_864),
    )
}
