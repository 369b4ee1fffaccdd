"""Block-wise transfer (RFC 7959) as firmware uses it for describes (device-protocol.md 2.5).

A device sends a long describe as POSTs with Block1, and answers a server's GET with Block2. Both
go one block after the other, each with a token of its own.
"""

from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError

SZX_512: Final = 5
SZX_1024: Final = 6
"""Size exponents: a block has 1 << (szx + 4) bytes."""

MAX_BLOCKS: Final = 128
MAX_DESCRIBE_BYTES: Final = 65536
"""100 functions and 100 variables with names of 64 bytes take 14 KiB; a system describe with the
500 assets that fit a 2 MiB store of 4 KiB blocks (device-protocol.md 5.5) stays under this."""

_RESERVED_SZX: Final = 7


class Block(msgspec.Struct, frozen=True, gc=False):
    """A Block1 or Block2 value: the block's number, whether more follow, the size exponent."""

    number: int
    more: bool
    szx: int

    @property
    def size_bytes(self) -> int:
        """Bytes of every block but the last."""
        return 1 << self.szx + 4


def decode_block(value: bytes) -> Block:
    """Reads a Block option value (RFC 7959 section 2.2)."""
    number = coap.decode_uint(value)
    block = Block(number >> 4, bool(number & 8), number & 7)
    if block.szx == _RESERVED_SZX:
        raise MalformedError("block with reserved size")
    if block.number >= MAX_BLOCKS:
        raise MalformedError(f"block number {block.number}")
    return block


def encode_block(block: Block) -> bytes:
    """Writes a Block option value."""
    if not (0 <= block.number < MAX_BLOCKS and 0 <= block.szx < _RESERVED_SZX):
        raise MisuseError(f"{block} out of range")
    return coap.encode_uint(block.number << 4 | block.more << 3 | block.szx)


def find_block(message: coap.Message, option: int) -> Block | None:
    """The Block1 or Block2 value of a message, None without one."""
    value = coap.find_option(message, option)
    return None if value is None else decode_block(value)


def split(payload: bytes, szx: int) -> list[tuple[Block, bytes]]:
    """Cuts a payload into numbered blocks; a payload that fits one block is one block."""
    size = Block(0, False, szx).size_bytes
    count = max(1, -(-len(payload) // size))
    return [
        (Block(number, number < count - 1, szx), payload[number * size : (number + 1) * size])
        for number in range(count)
    ]


class Reassembly:
    """Puts the blocks of one sender's describes together again.

    Block 0 starts anew, whatever was there: a device that gave up begins again. The block that was
    taken last may come twice. Anything else out of order ends the transfer, because the device
    takes every acknowledgement for success and will not send the missing part.
    """

    __slots__ = ("_blocks", "_flags", "_szx")

    def __init__(self) -> None:
        self._clear()

    @property
    def is_open(self) -> bool:
        """Whether a transfer has begun and not ended."""
        return bool(self._blocks)

    def feed(self, flags: int, block: Block, payload: bytes) -> bytes | None:
        """Takes one block of the describe `flags`; returns the whole with its last block.

        Raises:
            MalformedError: The block does not continue the transfer, which is then dropped.
        """
        if block.number == 0:
            self._clear()
            self._flags = flags
            self._szx = block.szx
        elif (flags, block.szx) != (self._flags, self._szx):
            self._fail(f"block {block.number} of another transfer")
        elif block.number == len(self._blocks) - 1 and payload == self._blocks[-1]:
            return None
        if block.number != len(self._blocks):
            self._fail(f"block {block.number} where {len(self._blocks)} was due")
        if block.more and len(payload) != block.size_bytes:
            self._fail(f"block {block.number} of {len(payload)} bytes")
        if len(payload) > block.size_bytes or not payload:
            self._fail(f"last block of {len(payload)} bytes")
        received = block.number * block.size_bytes + len(payload)
        if received > MAX_DESCRIBE_BYTES or block.number >= MAX_BLOCKS:
            self._fail(f"describe of over {MAX_DESCRIBE_BYTES} bytes")
        self._blocks.append(payload)
        if block.more:
            return None
        whole = b"".join(self._blocks)
        self._clear()
        return whole

    def _fail(self, why: str) -> None:
        self._clear()
        raise MalformedError(why)

    def _clear(self) -> None:
        self._flags = -1
        self._szx = -1
        self._blocks: list[bytes] = []
