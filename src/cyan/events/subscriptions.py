"""What connected devices subscribed to, and handing them the events of their owner."""

from collections.abc import Callable
from typing import Protocol

import structlog

from cyan.core.ids import DeviceId, UserId
from cyan.events.model import MAX_DATA_BYTES, Event, is_reserved
from cyan.events.prefixes import PrefixIndex

MAX_SUBSCRIPTIONS_OF_A_DEVICE = 64
"""Device OS has six (device-protocol.md §3.7); re-sent ones replace themselves."""

DeviceSink = Callable[[Event], None]
"""Sends an event to a device without waiting."""

_log = structlog.get_logger(__name__)

_Key = tuple[DeviceId, DeviceId | None]


class Owners(Protocol):
    """Who owns a device now; `devices.ownership` knows."""

    def owner_of(self, device_id: DeviceId) -> UserId | None: ...


class _Device:
    """One connected device's subscriptions, and the owner under whom they are indexed."""

    __slots__ = ("filters", "owner_id", "sink")

    def __init__(self, owner_id: UserId | None, sink: DeviceSink) -> None:
        self.owner_id = owner_id
        self.sink = sink
        self.filters: tuple[tuple[str, DeviceId | None], ...] = ()


class Subscriptions:
    """Subscriptions of all connected devices, by owner and prefix."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._devices: dict[DeviceId, _Device] = {}
        self._by_owner: dict[str, PrefixIndex[_Key, DeviceSink]] = {}

    def add(
        self, device_id: DeviceId, prefix: str, sink: DeviceSink, only_from: DeviceId | None
    ) -> bool:
        """Add or replace one subscription; False when the device has too many."""
        if is_reserved(prefix):
            # Every device subscribes to spark and particle; nothing that fits goes this way.
            return True
        device = self._devices.get(device_id)
        if device is None:
            owner_id = self._owners.owner_of(device_id)
            device = self._devices[device_id] = _Device(owner_id, sink)
        wanted = (prefix, only_from)
        if wanted not in device.filters:
            if len(device.filters) >= MAX_SUBSCRIPTIONS_OF_A_DEVICE:
                return False
            device.filters += (wanted,)
        device.sink = sink
        self._index(device_id, device, prefix, only_from)
        return True

    def drop(self, device_id: DeviceId) -> None:
        """Forget all subscriptions of a device."""
        device = self._devices.pop(device_id, None)
        if device is not None:
            self._unindex(device_id, device)

    def ownership_changed(self, device_id: DeviceId) -> None:
        """Move a device's subscriptions to where its present owner's events are."""
        device = self._devices.get(device_id)
        if device is None:
            return
        self._unindex(device_id, device)
        device.owner_id = self._owners.owner_of(device_id)
        for prefix, only_from in device.filters:
            self._index(device_id, device, prefix, only_from)

    def deliver(self, event: Event) -> None:
        """Hand an event to its owner's devices that want it, to each at most once."""
        index = self._by_owner.get(event.owner_id) if event.owner_id is not None else None
        if index is None:
            return
        matches = index.match(event.name)
        # A device's spark/device/reset would reboot the owner's other devices, as their filters all
        # match it. System events go down only when addressed to one (device-protocol.md §3.7).
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

    def _index(
        self,
        device_id: DeviceId,
        device: _Device,
        prefix: str,
        only_from: DeviceId | None,
    ) -> None:
        if device.owner_id is not None:
            index = self._by_owner.get(device.owner_id)
            if index is None:
                index = self._by_owner[device.owner_id] = PrefixIndex()
            index.add(prefix, (device_id, only_from), device.sink)

    def _unindex(self, device_id: DeviceId, device: _Device) -> None:
        index = self._by_owner.get(device.owner_id) if device.owner_id is not None else None
        if index is None:
            return
        for prefix, only_from in device.filters:
            index.discard(prefix, (device_id, only_from))
        if not index:
            self._by_owner.pop(str(device.owner_id), None)
