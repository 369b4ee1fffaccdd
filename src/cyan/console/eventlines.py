"""Events as the pages show them, one line for each: from the log, and as they come."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from cyan.console.live import frame_of
from cyan.core.ids import DeviceId, is_device_id
from cyan.devices.access import DeviceAccess
from cyan.devices.model import UnknownDeviceError
from cyan.events.cursors import Cursors
from cyan.events.model import Event, is_reserved
from cyan.events.rendering import to_json
from cyan.events.streams import Stream
from cyan.rest.auth import Caller
from cyan.rest.sse import Outlet

MAX_AT_ONCE: Final = 100
"""Lines that are sent together. More than that in PAUSE_S nobody reads, and a browser would be busy
with nothing else; how many were left out is told."""

PAUSE_S: Final = 0.2
"""Events that come within it are sent together."""

SUMMARY_CHARACTERS: Final = 160
"""Of the data, in the line that is always seen."""

MAX_NAMES: Final = 1000
"""Devices whose names a stream remembers."""

_FRAME = re.compile(
    rb"(?:id: (?P<id>[^\n]*)\n)?event: (?P<name>[^\n]*)\ndata: (?P<json>[^\n]*)\n\n"
)


class EventLine(msgspec.Struct, frozen=True):
    """One event. `id` is its cursor. `source` is the device's name, or who else it came from;
    `device_id` is None where it was no device of the reader's. `text` is all of the data: as it is,
    or as JSON in lines when it is that."""

    id: str
    name: str
    source: str
    device_id: DeviceId | None
    published_at: str
    summary: str
    text: str
    is_system: bool
    version: int


class _Told(msgspec.Struct):
    """What is read of an event in the JSON of streams."""

    data: object
    published_at: str
    coreid: str
    version: int = 0


class DeviceNames:
    """What the reader calls the devices that events come from."""

    def __init__(self, access: DeviceAccess, caller: Caller) -> None:
        self._access = access
        self._caller = caller
        self._known: dict[str, str | None] = {}

    def find(self, origin: str) -> str | None:
        """The name of a device of theirs; None for anything else."""
        if not is_device_id(origin):
            return None
        if origin not in self._known:
            if len(self._known) >= MAX_NAMES:
                self._known.clear()
            self._known[origin] = self._look_up(origin)
        return self._known[origin]

    def _look_up(self, origin: str) -> str | None:
        try:
            return self._access.get(self._caller, origin).name or origin
        except UnknownDeviceError:
            return None


def line_of_event(position: int, event: Event, cursors: Cursors, names: DeviceNames) -> EventLine:
    """One of the log."""
    return _line(cursors.encode(position), event.name, to_json(event), names)


def lines_of_frames(chunk: bytes, names: DeviceNames) -> tuple[list[EventLine], int]:
    """The newest events of a piece of a stream, oldest first, and how many came before them."""
    found = list(_FRAME.finditer(chunk))
    shown = found[-MAX_AT_ONCE:]
    lines = [
        _line((match["id"] or b"").decode(), match["name"].decode(), match["json"], names)
        for match in shown
    ]
    return lines, len(found) - len(shown)


class EventTail:
    """The live log of a page: a stream of the hub, as HTML.

    Each message has the cursor of its last event, with which a browser that lost its connection
    comes back, and misses nothing.
    """

    def __init__(
        self,
        stream: Stream,
        names: DeviceNames,
        render: Callable[[Sequence[EventLine], int], str],
    ) -> None:
        self._stream = stream
        self._names = names
        self._render = render

    @property
    def was_cut_off(self) -> bool:
        return self._stream.was_cut_off

    async def next_chunk(self) -> bytes | None:
        while True:
            # The frames wait in the stream meanwhile, so that a cancelled pause loses none.
            await asyncio.sleep(PAUSE_S)
            chunk = await self._stream.next_chunk()
            if chunk is None:
                return None
            lines, left_out = lines_of_frames(chunk, self._names)
            if lines:
                mark = f"id: {lines[-1].id}\n".encode()
                return mark + frame_of("events", self._render(lines, left_out))

    def attach(self, _outlet: Outlet) -> bool:
        return False

    def close(self) -> None:
        self._stream.close()


def _line(cursor: str, name: str, json: bytes, names: DeviceNames) -> EventLine:
    told = msgspec.json.decode(json, type=_Told)
    device_name = names.find(told.coreid)
    text = _text(told.data)
    summary = " ".join(text[: 4 * SUMMARY_CHARACTERS].split())
    return EventLine(
        id=cursor,
        name=name,
        source=device_name or _SOURCES.get(told.coreid, told.coreid),
        device_id=None if device_name is None else DeviceId(told.coreid),
        published_at=told.published_at,
        summary=summary[:SUMMARY_CHARACTERS],
        text=text,
        is_system=is_reserved(name),
        version=told.version,
    )


_SOURCES: Final = {"api": "you, by API or console", "particle-internal": "the cloud"}


def _text(data: object) -> str:
    """Data as people read it: JSON spread over lines, any other text as it is."""
    if data is None:
        return ""
    if not isinstance(data, str):
        return _spread(msgspec.json.encode(data))
    if data[:1] in ("{", "["):
        try:
            return _spread(data.encode())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return data
    return data


def _spread(json: bytes) -> str:
    return msgspec.json.format(json, indent=2).decode()
