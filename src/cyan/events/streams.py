"""The stream of one reader: what it wants, what waits for it, and where it went on from."""

import asyncio
from collections.abc import Callable

import msgspec

from cyan.core.ids import DeviceId, UserId
from cyan.rest.sse import Outlet, as_piece

MAX_BACKLOG_BYTES = 4 * 1024 * 1024
"""What may wait for one reader when more comes for it. Who is further behind is cut off, and may
come back by cursor. The largest event is 0.6 MB (100 KB of control characters, escaped)."""

MAX_BACKLOG_OF_OWNER_BYTES = 512 * 1024 * 1024
"""What may wait for all readers of an account, each having an equal part of it: 1,000 readers half
a megabyte. Without TLS they share one copy; with it, each has its own."""


class StreamFilter(msgspec.Struct, frozen=True):
    """What a reader wants: events of an owner, of one device if given, whose name starts so."""

    owner_id: UserId
    device_id: DeviceId | None = None
    prefix: str = ""


class Replay(msgspec.Struct):
    """How a reader that fell behind goes on: frames of the log after a position, piece by piece."""

    after: int
    read_on: Callable[[int], tuple[list[bytes], int]]
    """Frames after a position and how far that looked."""
    is_at_end: Callable[[int], bool]
    """Whether all that was delivered so far has been looked at."""
    turn: asyncio.Lock
    """Shared by all that replay: one looks into the log, then the loop serves everybody else."""


class Stream:
    """Frames for one reader: waiting here until fetched or, once it is attached, sent as they come.

    While it replays the log, live frames are not for it: the log has them, and the change over
    happens between two deliveries, so that nothing is lost or doubled.
    """

    __slots__ = (
        "_closed",
        "_frames",
        "_frames_bytes",
        "_on_close",
        "_on_live",
        "_outlet",
        "_replay",
        "_waiter",
        "filter",
        "token_id",
        "was_cut_off",
        "with_ids",
    )

    def __init__(
        self,
        wanted: StreamFilter,
        token_id: str,
        *,
        with_ids: bool,
        replay: Replay | None,
        on_live: Callable[["Stream"], None],
        on_close: Callable[["Stream"], None],
    ) -> None:
        self.filter = wanted
        self.token_id = token_id
        self.with_ids = with_ids
        self.was_cut_off = False
        self._replay = replay
        self._on_live = on_live
        self._on_close = on_close
        self._frames: list[bytes] = []
        self._frames_bytes = 0
        self._outlet: Outlet | None = None
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        if replay is None:
            on_live(self)

    @property
    def backlog_bytes(self) -> int:
        """What has been given and not been taken yet."""
        return self._frames_bytes if self._outlet is None else self._outlet.waiting_bytes

    def give(self, frames: bytes, piece: bytes, bound_bytes: int) -> None:
        """Live frames of one tick, and the same as a piece of a body; or the end, if more than the
        bound waits."""
        if self.backlog_bytes > bound_bytes:
            self.was_cut_off = True
            self.close()
        elif self._outlet is not None:
            self._outlet.write(piece)
        else:
            self._frames.append(frames)
            self._frames_bytes += len(frames)
            self._wake()

    def attach(self, outlet: Outlet) -> bool:
        """Send what comes to the outlet from now on, and at once what waits; False while it still
        replays. `next_chunk` then gives nothing more, and returns at the end."""
        if self._replay is not None:
            return False
        if self._frames:
            outlet.write(as_piece(self._take()))
        self._outlet = outlet
        return True

    async def next_chunk(self) -> bytes | None:
        """Whole frames as soon as there are any; None at the end. Loses nothing when cancelled."""
        while not self._closed:
            if self._replay is not None:
                async with self._replay.turn:
                    await asyncio.sleep(0)
                    # What waited may have been closed by now.
                    chunk = self._next_of_replay(self._replay) if self._replay else b""
                if chunk:
                    return chunk
            elif self._frames:
                return self._take()
            else:
                self._waiter = asyncio.get_running_loop().create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
        return None

    def close(self) -> None:
        """End it and free what waits; any number of times."""
        if self._closed:
            return
        self._closed = True
        self._frames = []
        self._replay = None
        self._on_close(self)
        self._wake()

    def _take(self) -> bytes:
        chunk = b"".join(self._frames)
        self._frames = []
        self._frames_bytes = 0
        return chunk

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _next_of_replay(self, replay: Replay) -> bytes:
        frames, replay.after = replay.read_on(replay.after)
        if replay.is_at_end(replay.after):
            self._replay = None
            self._on_live(self)
        return b"".join(frames)
