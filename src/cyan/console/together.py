"""Several streams as one.

A page opens one stream, whatever it shows: a browser has six connections to a server over HTTP/1.1,
for all of its tabs.
"""

import asyncio
from collections.abc import Sequence

from cyan.rest.sse import EventStream, Outlet


class Together:
    """What any of the streams has, as it comes; the end of one is the end. Implements
    `EventStream`."""

    def __init__(self, streams: Sequence[EventStream]) -> None:
        self._streams = streams
        # Kept from call to call: what one of them had ready is not lost when the wait is cancelled.
        self._waiting: dict[int, asyncio.Task[bytes | None]] = {}

    @property
    def was_cut_off(self) -> bool:
        return any(stream.was_cut_off for stream in self._streams)

    async def next_chunk(self) -> bytes | None:
        for number, stream in enumerate(self._streams):
            if number not in self._waiting:
                self._waiting[number] = asyncio.create_task(_next(stream))
        await asyncio.wait(self._waiting.values(), return_when=asyncio.FIRST_COMPLETED)
        chunks = [
            self._waiting.pop(number).result()
            for number, task in sorted(self._waiting.items())
            if task.done()
        ]
        known = [chunk for chunk in chunks if chunk is not None]
        return b"".join(known) if len(known) == len(chunks) else None

    def attach(self, _outlet: Outlet) -> bool:
        return False

    def close(self) -> None:
        """Whoever waits for one of them then finds it ended."""
        for stream in self._streams:
            stream.close()


async def _next(stream: EventStream) -> bytes | None:
    return await stream.next_chunk()
