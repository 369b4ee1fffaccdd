"""Who does not read what waits for them is cut off: it takes memory for as long as they stay."""

import asyncio
from typing import Final

SEND_TIMEOUT_S: Final = 60.0
"""How long a reader may take nothing of what waits for it (nginx: send_timeout, 60 s)."""


class SlowReader:
    """Whoever is at the other end of a connection."""

    __slots__ = ("_look", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._look: asyncio.TimerHandle | None = None

    def falls_behind(self) -> None:
        """More waits for it than is good."""
        if self._look is None:
            left = self._transport.get_write_buffer_size()
            self._look = self._loop.call_later(SEND_TIMEOUT_S, self._look_again, left)

    def catches_up(self) -> None:
        """It has read, or is gone."""
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_again(self, before: int) -> None:
        self._look = None
        if self._transport.get_write_buffer_size() >= before:
            self._transport.abort()
        else:
            self.falls_behind()
