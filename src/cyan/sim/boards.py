"""A board with its Device OS: what a simulated device is."""

from typing import Final

import msgspec

from cyan.sim.generations import GENERATIONS, Generation
from cyan.sim.platforms import (
    CELLULAR_KEEP_ALIVE_S,
    OTA_CHUNK_BYTES,
    PLATFORMS,
    Platform,
    Transport,
)
from cyan.wire.messages import COMPRESSED_OTA, NO_VERSION, OTA_V3, Hello

UDP_PING_TIMEOUT_S: Final = 30.0
TCP_PING_TIMEOUT_S: Final = 10.0
"""From a keep-alive ping to giving up when nothing at all arrives (device-protocol.md §2.7)."""

_GEN_3: Final = 3


class UnknownBoardError(ValueError):
    """There is no such board, or no such Device OS for it; the text says what there is."""


class Board(msgspec.Struct, frozen=True):
    """A platform and the generation of Device OS that it runs."""

    platform: Platform
    generation: Generation

    @property
    def transport(self) -> Transport:
        """What it connects by."""
        return self.platform.transport

    @property
    def keep_alive_s(self) -> float:
        """Silence from the server after which it pings."""
        if self.transport is Transport.TCP:
            return self.generation.tcp_keep_alive_s
        if self.platform.is_cellular:
            return CELLULAR_KEEP_ALIVE_S
        return self.generation.wifi_keep_alive_s

    @property
    def ping_timeout_s(self) -> float:
        """Silence after a ping that ends the connection."""
        return TCP_PING_TIMEOUT_S if self.transport is Transport.TCP else UDP_PING_TIMEOUT_S

    @property
    def hello_flags(self) -> int:
        """What Hello says that it can do."""
        is_newer = self.platform.gen >= _GEN_3
        return self.generation.hello_flags | (self.generation.gen3_flags if is_newer else 0)

    @property
    def has_current_updates(self) -> bool:
        """Whether it takes updates by the current protocol, not by the legacy one (§5)."""
        return bool(self.hello_flags & OTA_V3)

    @property
    def takes_compressed(self) -> bool:
        """Whether updates may be compressed (§5.3)."""
        return bool(self.hello_flags & COMPRESSED_OTA)

    def hello(self, device_id: str) -> Hello:
        """Its Hello, with no product compiled in (device-protocol.md §3.2).

        The device id, 24 hex digits, is in it on UDP only; on TCP the handshake tells it.
        """
        generation = self.generation
        hello = Hello(
            product_id=self.platform.id,
            product_version=NO_VERSION,
            flags=self.hello_flags,
            platform_id=self.platform.id,
            device_id=bytes.fromhex(device_id) if self.transport is Transport.UDP else b"",
        )
        if not generation.hello_tells_sizes:
            return hello
        return msgspec.structs.replace(
            hello,
            system_version=generation.system_version,
            max_message_size=generation.max_message_bytes,
            max_binary_size=self.platform.max_binary_bytes,
            ota_chunk_size=OTA_CHUNK_BYTES,
        )


def find_board(platform_name: str, generation_name: str | None = None) -> Board:
    """The board of that name; without a generation it runs the newest that there is for it.

    Raises:
        UnknownBoardError: There is none.
    """
    platform = PLATFORMS.get(platform_name)
    if platform is None:
        raise UnknownBoardError(f"no board {platform_name!r}; there are {', '.join(PLATFORMS)}")
    name = platform.newest if generation_name is None else generation_name
    if name not in platform.generations:
        raise UnknownBoardError(
            f"{platform_name} runs no Device OS {name!r}, but {', '.join(platform.generations)}"
        )
    return Board(platform, GENERATIONS[name])


DEFAULT_BOARD: Final = find_board("argon")


class Share(msgspec.Struct, frozen=True):
    """So many devices of a fleet are this board."""

    board: Board
    count: int


def parse_share(text: str) -> Share:
    """Reads `platform:generation:count`, or `platform:count` for the newest Device OS.

    Raises:
        UnknownBoardError: There is no such board, or the text has another form.
    """
    platform_name, *rest = text.split(":")
    generation_name = rest[0] if len(rest) > 1 else None
    if not 1 <= len(rest) <= 2 or not (rest[-1].isascii() and rest[-1].isdigit()):
        raise UnknownBoardError(f"{text!r} is not platform:count or platform:firmware:count")
    return Share(find_board(platform_name, generation_name), int(rest[-1]))
