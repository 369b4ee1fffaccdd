"""Describes that a device sends by itself (device-protocol.md §2.5, §3.3.1)."""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from cyan.sim.generations import Describing, Generation
from cyan.wire import coap
from cyan.wire.blockwise import SZX_1024, split
from cyan.wire.messages import SYSTEM, DescribePost, encode_describe_post

_JSON_START: Final = b"{"


def content_format(flags: int, payload: bytes) -> int:
    """Only a system describe in protobuf says its format (§3.3.1)."""
    is_protobuf = flags == SYSTEM and not payload.startswith(_JSON_START)
    return coap.OCTET_STREAM if is_protobuf else coap.TEXT


class Part(msgspec.Struct, frozen=True):
    """A message of a describe; one that `is_block` and not the last is followed by another."""

    post: DescribePost
    is_block: bool
    is_last: bool


class Posting:
    """The describes of one conversation. `say` sends a message of one under the next id."""

    def __init__(
        self,
        generation: Generation,
        next_token: Callable[[], bytes],
        say: Callable[[Part, Callable[[int], bytes], float], None],
    ) -> None:
        self._has_blocks = generation.describing is Describing.IN_BLOCKS
        self._next_token = next_token
        self._say = say
        self._waiting: deque[Part] = deque()
        self._is_under_way = False

    @property
    def is_done(self) -> bool:
        """Nothing waits for its turn."""
        return not self._waiting

    def post(self, flags: int, payload: bytes, now: float) -> None:
        """Sends a describe; behind one in blocks that is still under way it waits its turn."""
        self._waiting.extend(self._cut(flags, payload))
        if not self._is_under_way:
            self._post_next(now)

    def on_acknowledged(self, part: Part, now: float) -> None:
        """The next block goes upon any acknowledgement of the one before, whatever its code."""
        if not part.is_block:
            return
        self._is_under_way = not part.is_last
        if self._waiting:
            self._post_next(now)

    def _cut(self, flags: int, payload: bytes) -> list[Part]:
        form = content_format(flags, payload)
        cut = split(payload, SZX_1024)
        if not self._has_blocks or len(cut) == 1:
            return [Part(DescribePost(flags, payload, form), is_block=False, is_last=True)]
        return [
            Part(DescribePost(flags, part, form, block), is_block=True, is_last=not block.more)
            for block, part in cut
        ]

    def _post_next(self, now: float) -> None:
        part = self._waiting.popleft()
        self._is_under_way = part.is_block
        # Each block has a token of its own; before 3.3 describes had none.
        token = self._next_token() if self._has_blocks else b""
        self._say(part, lambda id_: encode_describe_post(id_, token, part.post), now)
