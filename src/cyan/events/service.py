"""Publishing: by devices, by people, and by the cloud about a device."""

import asyncio

from prometheus_client import Counter

from cyan.core.clock import Clock
from cyan.core.errors import CyanError
from cyan.core.ids import API_ORIGIN, DeviceId, UserId
from cyan.core.metrics import REGISTRY
from cyan.events.log import Batch, Done, EventLog
from cyan.events.model import (
    DEFAULT_TTL_S,
    INTERNAL_ORIGIN,
    Event,
    check_publishable,
    is_from_device,
    is_reserved,
)

_events = Counter(
    "cyan_events",
    "Events committed to the log, by who published: device, api, cloud.",
    ("origin",),
    registry=REGISTRY,
)
_from_device = _events.labels("device")
_from_api = _events.labels("api")
_from_cloud = _events.labels("cloud")


class EventsUnavailableError(CyanError):
    """The event could not be stored. Please try again later."""


class EventService:
    """Takes events into the log; the hub and all other readers get them from there."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._event_log = log
        self._clock = clock
        log.on_committed.append(_count)

    def accept(self, event: Event, done: Done) -> None:
        """Take a device's event; `done` gets True after its commit (EventLog.append).

        The conversation has checked name and size, and set session and message id.
        """
        self._event_log.append(event, done)

    async def publish(
        self, user_id: UserId, name: str, data: bytes | None, ttl_s: int = DEFAULT_TTL_S
    ) -> None:
        """Publish as a person; returns after the commit.

        Reaches the person's streams, and their subscribed devices if the data is small enough for
        them. Raises EventNameError, ReservedNameError, EventDataError, EventTtlError,
        EventsUnavailableError.
        """
        check_publishable(name, data, ttl_s)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def done(committed: bool) -> None:
            if not future.done():
                future.set_result(committed)

        event = Event(name, data, self._clock.now_ms(), API_ORIGIN, user_id, ttl_s=ttl_s)
        self._event_log.append(event, done)
        if not await future:
            raise EventsUnavailableError

    def emit(
        self,
        name: str,
        data: bytes | None,
        device_id: DeviceId | None,
        owner_id: UserId | None,
        *,
        product_id: int | None = None,
        version: int = 0,
    ) -> None:
        """Publish a system event about a device (`spark/status`), without waiting for its commit.

        It goes into the log and to streams, never to devices: its name must be a reserved one.
        Without a device its origin is the cloud itself.
        """
        if not is_reserved(name):
            raise ValueError(f"{name!r} is not the name of a system event")
        origin = INTERNAL_ORIGIN if device_id is None else device_id
        self._event_log.append(
            Event(
                name,
                data,
                self._clock.now_ms(),
                origin,
                owner_id,
                product_id=product_id,
                version=version,
            )
        )


def _count(batch: Batch) -> None:
    devices = api = 0
    for _, event in batch:
        if is_from_device(event):
            devices += 1
        elif event.origin == API_ORIGIN:
            api += 1
    _from_device.inc(devices)
    _from_api.inc(api)
    _from_cloud.inc(len(batch) - devices - api)
