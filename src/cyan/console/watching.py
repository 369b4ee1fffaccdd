"""Devices on open pages: what changes of them by itself.

A page names the devices that it shows. Whenever something happens to one of them it is looked at
again, and what it looks like now is sent: a fact that was lost or came twice does no harm, and what
waits for a slow browser is never more than the devices of its page.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeVar

from cyan.console.live import frame_of
from cyan.core.bus import Bus
from cyan.core.errors import ConflictError
from cyan.core.ids import DeviceId, UserId
from cyan.devices.model import DeviceClaimed, DeviceDescribed, DeviceReleased
from cyan.devices.presence import DeviceOffline, DeviceOnline
from cyan.firmware.model import ENDED, UpdateProgressed
from cyan.rest.sse import Outlet

MAX_WATCHED: Final = 200
"""Devices that one page shows."""

MAX_PAGES_OF_AN_ACCOUNT: Final = 200
"""Open pages of one account, in all of its browsers."""

AGAIN_S: Final = 3.0
"""After one description of a device the other one may follow, of which no fact tells."""

_Fact = (
    DeviceOnline
    | DeviceOffline
    | DeviceClaimed
    | DeviceReleased
    | DeviceDescribed
    | UpdateProgressed
)
_FACTS: Final[tuple[type[_Fact], ...]] = (
    DeviceOnline,
    DeviceOffline,
    DeviceClaimed,
    DeviceReleased,
    DeviceDescribed,
    UpdateProgressed,
)
"""What may change how a device looks."""

Key = TypeVar("Key")

Look = Callable[[Collection[DeviceId]], Iterable[tuple[str, str]]]
"""What these devices look like now: names of parts of the page and their HTML."""


class TooManyPagesError(ConflictError):
    """Too many pages of your account are open. Close some and load this one again."""


class WatchingStream:
    """The stream of one open page. Implements `EventStream`."""

    was_cut_off = False

    def __init__(
        self,
        watched: Collection[DeviceId],
        look: Look,
        on_close: Callable[["WatchingStream"], None],
    ) -> None:
        self.watched = frozenset(watched)
        self._look = look
        self._on_close = on_close
        # All at first: something may have changed between the page and its stream.
        self._changed = dict.fromkeys(watched)
        self._is_closed = False
        self._awake = asyncio.Event()
        self._awake.set()

    def on_changed(self, device_id: DeviceId) -> None:
        self._changed[device_id] = None
        self._awake.set()

    async def next_chunk(self) -> bytes | None:
        """What the devices look like to which something happened."""
        while True:
            await self._awake.wait()
            if self._is_closed:
                return None
            self._awake.clear()
            changed, self._changed = self._changed, {}
            frames = [frame_of(name, html) for name, html in self._look(tuple(changed))]
            if frames:
                return b"".join(frames)

    def attach(self, _outlet: Outlet) -> bool:
        return False

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._awake.set()
            self._on_close(self)


class Watching:
    """All open pages that show devices."""

    def __init__(self, bus: Bus) -> None:
        self._of_device: dict[DeviceId, set[WatchingStream]] = {}
        self._of_user: dict[UserId, set[WatchingStream]] = {}
        # Bytes that have arrived are told more often than they are stored.
        self._progress: dict[DeviceId, UpdateProgressed] = {}
        for kind in _FACTS:
            bus.subscribe(kind, self._on_fact)

    def open(self, user_id: UserId, watched: Collection[DeviceId], look: Look) -> WatchingStream:
        """A stream about these devices. `look` is asked on the loop, and decides what its person
        may still see. Raises TooManyPagesError."""
        if len(self._of_user.get(user_id, ())) >= MAX_PAGES_OF_AN_ACCOUNT:
            raise TooManyPagesError

        def forget(stream: WatchingStream) -> None:
            _discard(self._of_user, user_id, stream)
            for device_id in stream.watched:
                _discard(self._of_device, device_id, stream)

        stream = WatchingStream(watched, look, forget)
        self._of_user.setdefault(user_id, set()).add(stream)
        for device_id in stream.watched:
            self._of_device.setdefault(device_id, set()).add(stream)
        return stream

    def on_changed(self, device_id: DeviceId) -> None:
        """Something happened to a device: pages that show it look again."""
        for stream in self._of_device.get(device_id, ()):
            stream.on_changed(device_id)

    def progress(self, device_id: DeviceId) -> UpdateProgressed | None:
        """What was told last of an update of the device that has not ended."""
        return self._progress.get(device_id)

    def close(self) -> None:
        """End all streams: the server stops."""
        for streams in list(self._of_user.values()):
            for stream in list(streams):
                stream.close()

    def _on_fact(self, fact: _Fact) -> None:
        if isinstance(fact, UpdateProgressed):
            if fact.state in ENDED:
                self._progress.pop(fact.device_id, None)
            else:
                self._progress[fact.device_id] = fact
        self.on_changed(fact.device_id)
        if isinstance(fact, DeviceDescribed) and fact.device_id in self._of_device:
            asyncio.get_running_loop().call_later(AGAIN_S, self.on_changed, fact.device_id)


def _discard(book: dict[Key, set[WatchingStream]], key: Key, stream: WatchingStream) -> None:
    streams = book[key]
    streams.discard(stream)
    if not streams:
        del book[key]
