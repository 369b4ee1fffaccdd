"""The boards that a simulated device can be (device-protocol.md §0.1, §2.7, §7.6)."""

from enum import Enum
from typing import Final

import msgspec

from cyan.sim.generations import GENERATIONS, NEWEST

CELLULAR_KEEP_ALIVE_S: Final = 23 * 60.0
"""Silence from the server after which firmware pings over a cellular network (§2.7)."""

SYSTEM_VERSION: Final = GENERATIONS[NEWEST].system_version
"""Device OS 6.2.0 as Hello and the system describe number it (§3.2)."""

MAX_MESSAGE_BYTES: Final = GENERATIONS[NEWEST].max_message_bytes
"""Largest CoAP message of Gen 3 and 4 boards (§1.4.4)."""

OTA_CHUNK_BYTES: Final = 512


class Transport(Enum):
    """What carries the CoAP messages."""

    UDP = "udp"
    TCP = "tcp"


class Platform(msgspec.Struct, frozen=True):
    """A kind of board, of hardware generation `gen` (0: a program on a host).

    `max_binary_bytes` is the largest update that it takes. Device OS of the generations `oldest` to
    `newest` was released for it, as far as the simulator knows them.
    """

    name: str
    id: int
    gen: int
    transport: Transport
    is_cellular: bool
    max_binary_bytes: int
    oldest: str
    newest: str = NEWEST

    @property
    def keep_alive_s(self) -> float:
        """Silence from the server after which the newest Device OS pings."""
        return CELLULAR_KEEP_ALIVE_S if self.is_cellular else GENERATIONS[NEWEST].wifi_keep_alive_s

    @property
    def tells_max_binary(self) -> bool:
        """Whether its old firmware publishes the size (Device OS v2.3.1, `Spark_Handshake`)."""
        return not (self.is_cellular and self.gen == _GEN_2)

    @property
    def generations(self) -> tuple[str, ...]:
        """The names of the generations that it can run, oldest first."""
        names = list(GENERATIONS)
        return tuple(names[names.index(self.oldest) : names.index(self.newest) + 1])


_GEN_2: Final = 2
_KIB: Final = 1024
_NRF_BYTES: Final = 1_536_000
_RTL_BYTES: Final = 1_572_864
_HOST_BYTES: Final = 10 * _KIB * _KIB
"""Sizes as Hello gives them (§3.2); those of Gen 1 and 2 as the events of old firmware do: Device
OS v0.7.0 and v1.5.2, `module_ota` of each board."""

PLATFORMS: Final = {
    platform.name: platform
    for platform in (
        Platform("core", 0, 1, Transport.TCP, False, 108 * _KIB, "0.7", "0.7"),
        Platform("gcc", 3, 0, Transport.TCP, False, _HOST_BYTES, NEWEST),
        Platform("photon", 6, 2, Transport.TCP, False, 256 * _KIB, "0.7", "2.3"),
        Platform("p1", 8, 2, Transport.TCP, False, 256 * _KIB, "0.7", "2.3"),
        Platform("electron", 10, 2, Transport.UDP, True, 128 * _KIB, "0.7", "2.3"),
        Platform("argon", 12, 3, Transport.UDP, False, _NRF_BYTES, "1.5"),
        Platform("boron", 13, 3, Transport.UDP, True, _NRF_BYTES, "1.5"),
        Platform("bsom", 23, 3, Transport.UDP, True, _NRF_BYTES, "1.5"),
        Platform("b5som", 25, 3, Transport.UDP, True, _NRF_BYTES, "2.3"),
        Platform("tracker", 26, 3, Transport.UDP, True, _NRF_BYTES, "2.3"),
        Platform("p2", 32, 4, Transport.UDP, False, _RTL_BYTES, "5.4"),
        Platform("msom", 35, 4, Transport.UDP, True, _RTL_BYTES, "5.4"),
    )
}
