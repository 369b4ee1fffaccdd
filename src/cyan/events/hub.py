"""Who gets which event: the streams of people and the subscriptions of connected devices."""

import asyncio

from cyan.accounts.model import TokensRevoked
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.ids import DeviceId, UserId, is_device_id
from cyan.devices.model import DeviceClaimed, DeviceReleased
from cyan.events.cursors import Cursors
from cyan.events.log import Batch, EventLog
from cyan.events.model import GAP_EVENT, GAP_TEXT, INTERNAL_ORIGIN, Event
from cyan.events.readers import Audience, Readers
from cyan.events.streams import Replay, Stream, StreamFilter
from cyan.events.subscriptions import DeviceSink, Owners, Subscriptions


class Hub:
    """Matches each committed event with its readers and hands it over, without waiting.

    Registers itself with the log: a batch goes out on the loop right after its commit.
    """

    def __init__(self, log: EventLog, owners: Owners, cursors: Cursors, clock: Clock) -> None:
        self._event_log = log
        self._clock = clock
        self._owners = owners
        self._subscriptions = Subscriptions(owners)
        self._readers = Readers(cursors, clock)
        self._replay_turn = asyncio.Lock()
        log.on_committed.append(self.deliver)

    def subscribe_device(
        self,
        device_id: DeviceId,
        prefix: str,
        sink: DeviceSink,
        only_from: DeviceId | None = None,
    ) -> bool:
        """Give a connected device the events of its owner whose name starts with `prefix`.

        The same subscription again replaces the sink. With `only_from`, events of that device only.
        Data over MAX_DATA_BYTES and system events never go this way. False: too many subscriptions.
        """
        return self._subscriptions.add(device_id, prefix, sink, only_from)

    def drop_device(self, device_id: DeviceId) -> None:
        """Forget all subscriptions of a device: it is gone, or starts anew."""
        self._subscriptions.drop(device_id)

    def ownership_changed(self, device_id: DeviceId) -> None:
        """A device was claimed, released or transferred: its subscriptions move along."""
        self._subscriptions.ownership_changed(device_id)

    def subscribe_stream(
        self,
        wanted: StreamFilter,
        *,
        token_id: str,
        expires_at_ms: int | None = None,
        with_ids: bool = False,
        resume_after: int | None = None,
    ) -> Stream:
        """Open a stream for a reader whose right to `wanted` was checked.

        It ends with its token. With `resume_after` it begins with what the log has after that
        position; `with_ids` puts a cursor on each frame. Raises TooManyStreamsError.
        """
        replay = None
        if resume_after is not None:
            replay = Replay(
                after=resume_after,
                read_on=lambda after: self._read_on(wanted, after),
                is_at_end=lambda after: after >= self._event_log.committed_position,
                turn=self._replay_turn,
            )
        return self._readers.open(
            wanted,
            token_id=token_id,
            expires_at_ms=expires_at_ms,
            with_ids=with_ids,
            replay=replay,
        )

    def close_streams(self, token_id: str) -> None:
        """A token was revoked: the streams that it opened end."""
        self._readers.close_of_token(token_id)

    def close(self) -> None:
        """End every stream: the server stops."""
        self._readers.close_all()

    @property
    def stream_count(self) -> int:
        return self._readers.count()

    def deliver(self, batch: Batch) -> None:
        """Hand a committed batch over: one write to each stream, however many events it gets."""
        touched: set[Audience] = set()
        to_streams, to_devices = self._readers.add, self._subscriptions.deliver
        for position, event in batch:
            to_streams(position, event, touched)
            to_devices(event)
        self._readers.give(touched)

    def _read_on(self, wanted: StreamFilter, after: int) -> tuple[list[bytes], int]:
        """What a resuming reader may see of the next stretch of the log.

        Theirs at the time of publishing (the log is asked for that), and still theirs now.
        """
        frames: list[bytes] = []
        trimmed = self._event_log.trimmed_position
        if after < trimmed:
            frames.append(self._readers.frame(trimmed, self._gap(wanted.owner_id), with_id=True))
        found, up_to = self._event_log.read_of_owner(wanted.owner_id, after)
        frames += [
            self._readers.frame(position, event, with_id=True)
            for position, event in found
            if event.name.startswith(wanted.prefix)
            and (wanted.device_id is None or event.origin == wanted.device_id)
            and self._is_still_theirs(wanted.owner_id, event)
        ]
        return frames, up_to

    def _gap(self, owner_id: UserId) -> Event:
        """For a reader of whom retention knew nothing. Whether any of what it deleted was theirs,
        nobody knows any more."""
        return Event(GAP_EVENT, GAP_TEXT, self._clock.now_ms(), INTERNAL_ORIGIN, owner_id, ttl_s=0)

    def _is_still_theirs(self, owner_id: UserId, event: Event) -> bool:
        if not is_device_id(event.origin):
            return True
        return self._owners.owner_of(DeviceId(event.origin)) == owner_id


def follow(bus: Bus, hub: Hub) -> None:
    """Let the hub follow devices that change hands, and end what revoked tokens opened."""

    def on_tokens_revoked(fact: TokensRevoked) -> None:
        for token_id in fact.token_ids:
            hub.close_streams(token_id)

    bus.subscribe(DeviceClaimed, lambda fact: hub.ownership_changed(fact.device_id))
    bus.subscribe(DeviceReleased, lambda fact: hub.ownership_changed(fact.device_id))
    bus.subscribe(TokensRevoked, on_tokens_revoked)
