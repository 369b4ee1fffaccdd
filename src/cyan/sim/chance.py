"""Chances that come from the seed alone.

The n-th draw for a purpose is a hash of the seed, the purpose and n: it does not depend on when it
is drawn, nor on what was drawn for other purposes. So what the network or the server does changes
no later decision, and the same seed makes the same run.
"""

from hashlib import blake2b
from typing import Final

MAX_DRAWS: Final = 8
"""In one go: a BLAKE2b digest has 64 bytes (RFC 7693 §2.1)."""

_DRAW_BYTES: Final = 8
_COUNT_BYTES: Final = 8
_KEY_BYTES: Final = 32
_MANTISSA_BITS: Final = 53


class Chance:
    """Draws for one purpose, which is told by a few words, as `seed, device id, what`."""

    __slots__ = ("_count", "_key")

    def __init__(self, *purpose: str) -> None:
        self._key = blake2b("\0".join(purpose).encode(), digest_size=_KEY_BYTES).digest()
        self._count = 0

    def draw(self) -> float:
        """The next number, at least 0 and below 1."""
        return self.draws(1)[0]

    def draws(self, count: int) -> tuple[float, ...]:
        """The next `count` numbers, at most MAX_DRAWS, that belong to one decision."""
        digest = blake2b(
            self._count.to_bytes(_COUNT_BYTES, "big"),
            key=self._key,
            digest_size=count * _DRAW_BYTES,
        ).digest()
        self._count += 1
        return tuple(
            (int.from_bytes(digest[at : at + _DRAW_BYTES], "big") >> 64 - _MANTISSA_BITS)
            / (1 << _MANTISSA_BITS)
            for at in range(0, len(digest), _DRAW_BYTES)
        )

    def between(self, low: float, high: float) -> float:
        """The next number, at least `low` and below `high`."""
        # Two ends that are the same may be infinite.
        return low if low == high else low + (high - low) * self.draw()
