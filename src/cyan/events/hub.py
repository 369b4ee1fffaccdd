"""Who gets which event: the streams of people and the subscriptions of connected devices."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from cyan.core.clock import Clock
from cyan.core.errors import ConflictError
from cyan.core.ids import DeviceId, UserId, is_device_id
from cyan.events.cursors import Cursors
from cyan.events.log import Batch, EventLog
from cyan.events.model import MAX_DATA_BYTES, Event, is_reserved
from cyan.events.prefixes import PrefixIndex
from cyan.events.rendering import to_json
from cyan.events.streams import Replay, Stream, StreamFilter
from cyan.rest.sse import frame

MAX_STREAMS_OF_AN_OWNER = 1000
"""Open streams of one account; the documented limit of 100 is for each source address."""

MAX_SUBSCRIPTIONS_OF_A_DEVICE = 64
"""Device OS has six (device-protocol.md §3.7); re-sent ones replace themselves."""

DeviceSink = Callable[[Event], None]
"""Sends an event to a device without waiting."""

_log = structlog.get_logger(__name__)


class Owners(Protocol):
    """Who owns a device now; `devices.ownership` knows."""

    def owner_of(self, device_id: DeviceId) -> UserId | None: ...


class TooManyStreamsError(ConflictError):
    """This account has 1000 event streams open; close some first."""


_SubscriptionKey = tuple[DeviceId, DeviceId | None]


class _Audience:
    """All that may get events of one owner."""

    __slots__ = ("devices", "streams", "streams_of_device")

    def __init__(self) -> None:
        self.devices: PrefixIndex[_SubscriptionKey, DeviceSink] = PrefixIndex()
        self.streams: PrefixIndex[Stream, Stream] = PrefixIndex()
        self.streams_of_device: dict[DeviceId, PrefixIndex[Stream, Stream]] = {}

    def is_empty(self) -> bool:
        return not (self.devices or self.streams or self.streams_of_device)


class _Subscriptions:
    """What one connected device subscribed to, and the owner whose audience it is in."""

    __slots__ = ("owner_id", "sinks")

    def __init__(self, owner_id: UserId | None) -> None:
        self.owner_id = owner_id
        self.sinks: dict[tuple[str, DeviceId | None], DeviceSink] = {}


class Hub:
    """Matches each committed event with its readers and hands it over, without waiting."""

    def __init__(self, log: EventLog, owners: Owners, cursors: Cursors, clock: Clock) -> None:
        self._event_log = log
        self._owners = owners
        self._cursors = cursors
        self._clock = clock
        self._audiences: dict[str, _Audience] = {}
        self._subscriptions: dict[DeviceId, _Subscriptions] = {}
        self._streams_of_token: dict[str, dict[Stream, asyncio.TimerHandle | None]] = {}
        self._stream_counts: dict[str, int] = {}

    # Devices

    def subscribe_device(
        self,
        device_id: DeviceId,
        prefix: str,
        sink: DeviceSink,
        only_from: DeviceId | None = None,
    ) -> bool:
        """Give a connected device the events of its owner whose name starts with `prefix`.

        The same subscription again replaces the sink. False when the device has too many.
        """
        known = self._subscriptions.get(device_id)
        if known is None:
            known = _Subscriptions(self._owners.owner_of(device_id))
            self._subscriptions[device_id] = known
        key = (prefix, only_from)
        if key not in known.sinks and len(known.sinks) >= MAX_SUBSCRIPTIONS_OF_A_DEVICE:
            return False
        known.sinks[key] = sink
        self._index(device_id, known, prefix, only_from, sink)
        return True

    def drop_device(self, device_id: DeviceId) -> None:
        """Forget all subscriptions of a device: it is gone, or starts anew."""
        known = self._subscriptions.pop(device_id, None)
        if known is not None:
            self._unindex(device_id, known)

    def ownership_changed(self, device_id: DeviceId) -> None:
        """A device was claimed, released or transferred: its subscriptions move along."""
        known = self._subscriptions.get(device_id)
        if known is None:
            return
        self._unindex(device_id, known)
        known.owner_id = self._owners.owner_of(device_id)
        for (prefix, only_from), sink in known.sinks.items():
            self._index(device_id, known, prefix, only_from, sink)

    # People

    def subscribe_stream(
        self,
        wanted: StreamFilter,
        *,
        token_id: str,
        expires_at_ms: int | None = None,
        with_ids: bool = False,
        resume_after: int | None = None,
    ) -> Stream:
        """Open a stream for a reader whose right to `wanted` was checked. Raises TooManyStreamsError.

        It ends with its token. With `resume_after` it begins with what the log has after that
        position; `with_ids` puts a cursor on each frame.
        """
        count = self._stream_counts.get(wanted.owner_id, 0)
        if count >= MAX_STREAMS_OF_AN_OWNER:
            raise TooManyStreamsError
        replay = None
        if resume_after is not None:
            replay = Replay(
                after=resume_after,
                read_on=lambda after: self._read_on(wanted, after),
                is_at_end=lambda after: after >= self._event_log.committed_position,
            )
        stream = Stream(
            wanted, token_id, with_ids=with_ids, replay=replay, on_close=self._forget_stream
        )
        self._stream_counts[wanted.owner_id] = count + 1
        audience = self._audiences.setdefault(wanted.owner_id, _Audience())
        if wanted.device_id is None:
            index = audience.streams
        else:
            index = audience.streams_of_device.setdefault(wanted.device_id, PrefixIndex())
        index.add(wanted.prefix, stream, stream)
        expiry = None
        if expires_at_ms is not None:
            left_s = max(0, expires_at_ms - self._clock.now_ms()) / 1000
            expiry = asyncio.get_running_loop().call_later(left_s, stream.close)
        self._streams_of_token.setdefault(token_id, {})[stream] = expiry
        return stream

    def close_streams(self, token_id: str) -> None:
        """A token was revoked: what it opened ends."""
        for stream in list(self._streams_of_token.get(token_id, ())):
            stream.close()

    def close(self) -> None:
        """End every stream."""
        for token_id in list(self._streams_of_token):
            self.close_streams(token_id)

    @property
    def stream_count(self) -> int:
        return sum(self._stream_counts.values())

    # Delivery

    def deliver(self, batch: Batch) -> None:
        """Hand a committed batch over: one wake-up for each stream, however many events it gets."""
        touched: set[Stream] = set()
        for position, event in batch:
            if event.owner_id is None:
                continue
            audience = self._audiences.get(event.owner_id)
            if audience is None:
                continue
            if audience.streams:
                self._to_streams(audience.streams, position, event, touched)
            if audience.streams_of_device:
                index = audience.streams_of_device.get(DeviceId(event.origin))
                if index is not None:
                    self._to_streams(index, position, event, touched)
            if audience.devices:
                self._to_devices(audience.devices, event)
        for stream in touched:
            stream.wake()
            if stream.was_cut_off:
                _log.warning("events.slow_reader_cut_off", owner_id=stream.filter.owner_id)

    def _to_streams(
        self,
        index: PrefixIndex[Stream, Stream],
        position: int,
        event: Event,
        touched: set[Stream],
    ) -> None:
        plain = marked = None
        for streams in index.match(event.name):
            for stream in list(streams):
                if not stream.is_live:
                    continue
                if stream.with_ids:
                    marked = marked or self._frame(position, event, with_id=True)
                    stream.push(marked)
                else:
                    plain = plain or self._frame(position, event, with_id=False)
                    stream.push(plain)
                touched.add(stream)

    def _to_devices(self, index: PrefixIndex[_SubscriptionKey, DeviceSink], event: Event) -> None:
        matches = index.match(event.name)
        # A device's spark/device/reset would reboot the owner's other devices, whose filters all
        # match it; system events reach a device only when addressed to it (device-protocol.md §3.7).
        if not matches or is_reserved(event.name):
            return
        if event.data is not None and len(event.data) > MAX_DATA_BYTES:
            return
        sinks = {
            device_id: sink
            for subscriptions in matches
            for (device_id, only_from), sink in subscriptions.items()
            if only_from is None or only_from == event.origin
        }
        for device_id, sink in sinks.items():
            if self._owners.owner_of(device_id) != event.owner_id:
                continue
            try:
                sink(event)
            except Exception:
                _log.exception("events.device_sink_failed", device_id=device_id)

    def _read_on(self, wanted: StreamFilter, after: int) -> tuple[list[bytes], int]:
        """What a resuming reader may see of the next stretch of the log.

        Theirs at the time of publishing (the log is asked for that), and still theirs now.
        """
        found, up_to = self._event_log.read_of_owner(wanted.owner_id, after)
        frames = [
            self._frame(position, event, with_id=True)
            for position, event in found
            if event.name.startswith(wanted.prefix)
            and (wanted.device_id is None or event.origin == wanted.device_id)
            and self._may_still_read(wanted.owner_id, event)
        ]
        return frames, up_to

    def _may_still_read(self, owner_id: UserId, event: Event) -> bool:
        if not is_device_id(event.origin):
            return True
        return self._owners.owner_of(DeviceId(event.origin)) == owner_id

    def _frame(self, position: int, event: Event, *, with_id: bool) -> bytes:
        cursor = self._cursors.encode(position) if with_id else None
        return frame(event.name, to_json(event), cursor)

    # Book-keeping

    def _index(
        self,
        device_id: DeviceId,
        known: _Subscriptions,
        prefix: str,
        only_from: DeviceId | None,
        sink: DeviceSink,
    ) -> None:
        # Every device subscribes to spark and particle; nothing that fits goes this way.
        if known.owner_id is not None and not is_reserved(prefix):
            audience = self._audiences.setdefault(known.owner_id, _Audience())
            audience.devices.add(prefix, (device_id, only_from), sink)

    def _unindex(self, device_id: DeviceId, known: _Subscriptions) -> None:
        if known.owner_id is None:
            return
        audience = self._audiences.get(known.owner_id)
        if audience is not None:
            for prefix, only_from in known.sinks:
                audience.devices.discard(prefix, (device_id, only_from))
            self._drop_if_empty(known.owner_id, audience)

    def _forget_stream(self, stream: Stream) -> None:
        wanted = stream.filter
        audience = self._audiences[wanted.owner_id]
        if wanted.device_id is None:
            audience.streams.discard(wanted.prefix, stream)
        else:
            index = audience.streams_of_device[wanted.device_id]
            index.discard(wanted.prefix, stream)
            if not index:
                del audience.streams_of_device[wanted.device_id]
        self._drop_if_empty(wanted.owner_id, audience)
        self._stream_counts[wanted.owner_id] -= 1
        if not self._stream_counts[wanted.owner_id]:
            del self._stream_counts[wanted.owner_id]
        streams = self._streams_of_token[stream.token_id]
        expiry = streams.pop(stream)
        if expiry is not None:
            expiry.cancel()
        if not streams:
            del self._streams_of_token[stream.token_id]

    def _drop_if_empty(self, owner_id: str, audience: _Audience) -> None:
        if audience.is_empty():
            self._audiences.pop(owner_id, None)
