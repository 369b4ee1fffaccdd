"""All open streams: found by owner, device and prefix, and by the token that opened them."""

import asyncio
from collections.abc import Iterable

import structlog
from prometheus_client import Counter, Gauge

from cyan.core.clock import Clock
from cyan.core.errors import ConflictError
from cyan.core.ids import UserId
from cyan.core.metrics import REGISTRY
from cyan.events import streams
from cyan.events.cursors import Cursors
from cyan.events.model import Event
from cyan.events.prefixes import PrefixIndex
from cyan.events.rendering import to_json
from cyan.events.streams import Replay, Stream, StreamFilter
from cyan.rest.sse import as_piece, frame

MAX_STREAMS_OF_AN_OWNER = 1000
"""Open streams of one account; the documented limit of 100 is for each source address."""

_open_streams = Gauge("cyan_streams", "Event streams that are open.", registry=REGISTRY)
_deliveries = Counter(
    "cyan_stream_deliveries",
    "Events handed to the readers of streams, once for each reader.",
    registry=REGISTRY,
)
_cut_off = Counter(
    "cyan_streams_cut_off", "Streams ended because their reader was too slow.", registry=REGISTRY
)

_log = structlog.get_logger(__name__)


class TooManyStreamsError(ConflictError):
    """This account has 1000 event streams open; close some first."""


class Audience:
    """Live streams that want the same in the same form: it is made once, and given to all."""

    __slots__ = ("frames", "owner_id", "streams")

    def __init__(self, owner_id: UserId) -> None:
        self.owner_id = owner_id
        self.frames: list[bytes] = []
        """Of the tick that is being delivered."""
        self.streams: dict[Stream, None] = {}

    def give(self, bound_bytes: int) -> None:
        """All frames of the tick, as one chunk, to each stream that is not further behind."""
        frames = b"".join(self.frames)
        piece = as_piece(frames)
        _deliveries.inc(len(self.frames) * len(self.streams))
        self.frames = []
        for stream in tuple(self.streams):  # who is too slow leaves in the middle
            stream.give(frames, piece, bound_bytes)


class Readers:
    """Open streams, and pushing each event to those that want it."""

    def __init__(self, cursors: Cursors, clock: Clock) -> None:
        self._cursors = cursors
        self._clock = clock
        self._by_owner: dict[str, dict[str | None, PrefixIndex[bool, Audience]]] = {}
        self._of_token: dict[str, dict[Stream, asyncio.TimerHandle | None]] = {}
        self._counts: dict[str, int] = {}

    def open(
        self,
        wanted: StreamFilter,
        *,
        token_id: str,
        expires_at_ms: int | None,
        with_ids: bool,
        replay: Replay | None,
    ) -> Stream:
        """A stream that ends when its token does. Raises TooManyStreamsError."""
        count = self._counts.get(wanted.owner_id, 0)
        if count >= MAX_STREAMS_OF_AN_OWNER:
            raise TooManyStreamsError
        stream = Stream(
            wanted,
            token_id,
            with_ids=with_ids,
            replay=replay,
            on_live=self._join,
            on_close=self._forget,
        )
        self._counts[wanted.owner_id] = count + 1
        _open_streams.inc()
        expiry = None
        if expires_at_ms is not None:
            left_s = max(0, expires_at_ms - self._clock.now_ms()) / 1000
            expiry = asyncio.get_running_loop().call_later(left_s, stream.close)
        self._of_token.setdefault(token_id, {})[stream] = expiry
        return stream

    def close_of_token(self, token_id: str) -> None:
        for stream in list(self._of_token.get(token_id, ())):
            stream.close()

    def close_all(self) -> None:
        for token_id in list(self._of_token):
            self.close_of_token(token_id)

    def count(self) -> int:
        return sum(self._counts.values())

    def add(self, position: int, event: Event, touched: set[Audience]) -> None:
        """Add the event to the tick of each audience that wants it, and these to `touched`."""
        of_owner = self._by_owner.get(event.owner_id) if event.owner_id is not None else None
        if of_owner is None:
            return
        plain = marked = None
        for index in (of_owner.get(None), of_owner.get(event.origin)):
            if index is None:
                continue
            for matches in index.match(event.name):
                for with_ids, audience in matches.items():
                    touched.add(audience)
                    if with_ids:
                        marked = marked or self.frame(position, event, with_id=True)
                        audience.frames.append(marked)
                    else:
                        plain = plain or self.frame(position, event, with_id=False)
                        audience.frames.append(plain)

    def give(self, audiences: Iterable[Audience]) -> None:
        """The end of a tick: all that was added leaves."""
        for audience in audiences:
            # A stream that is cut off may have been the owner's last.
            share = streams.MAX_BACKLOG_OF_OWNER_BYTES // self._counts.get(audience.owner_id, 1)
            audience.give(min(streams.MAX_BACKLOG_BYTES, share))

    def frame(self, position: int, event: Event, *, with_id: bool) -> bytes:
        """The event as bytes of a stream, with its cursor for those who asked for cursors."""
        cursor = self._cursors.encode(position) if with_id else None
        return frame(event.name, to_json(event), cursor)

    def _join(self, stream: Stream) -> None:
        """A stream has all of the past that it wanted: from now on it gets what comes."""
        wanted = stream.filter
        of_owner = self._by_owner.setdefault(wanted.owner_id, {})
        index = of_owner.get(wanted.device_id)
        if index is None:
            index = of_owner[wanted.device_id] = PrefixIndex()
        audience = index.find(wanted.prefix, stream.with_ids)
        if audience is None:
            audience = Audience(wanted.owner_id)
            index.add(wanted.prefix, stream.with_ids, audience)
        audience.streams[stream] = None

    def _leave(self, stream: Stream) -> None:
        wanted = stream.filter
        of_owner = self._by_owner.get(wanted.owner_id, {})
        index = of_owner.get(wanted.device_id)
        audience = index.find(wanted.prefix, stream.with_ids) if index is not None else None
        if index is None or audience is None or stream not in audience.streams:
            return  # it was still busy with the past
        del audience.streams[stream]
        if not audience.streams:
            index.discard(wanted.prefix, stream.with_ids)
        if not index:
            del of_owner[wanted.device_id]
        if not of_owner:
            del self._by_owner[wanted.owner_id]

    def _forget(self, stream: Stream) -> None:
        self._leave(stream)
        owner_id = stream.filter.owner_id
        self._counts[owner_id] -= 1
        if not self._counts[owner_id]:
            del self._counts[owner_id]
        _open_streams.dec()
        of_token = self._of_token[stream.token_id]
        expiry = of_token.pop(stream)
        if expiry is not None:
            expiry.cancel()
        if not of_token:
            del self._of_token[stream.token_id]
        if stream.was_cut_off:
            _cut_off.inc()
            _log.warning("events.slow_reader_cut_off", owner_id=owner_id)
