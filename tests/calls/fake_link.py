"""A small device link: devices that live in this process and answer as firmware would."""

import asyncio
from dataclasses import dataclass, field

from cyan.core.clock import Clock
from cyan.core.ids import DeviceId
from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
    LinkState,
)
from cyan.devices.presence import Presence


@dataclass
class FakeDevice:
    """What a connected device does when it is asked; also its live link, as presence sees it."""

    last_heard_ms: int
    last_handshake_ms: int
    ip_address: str = "192.0.2.7"
    results: dict[str, int] = field(default_factory=dict)
    """Function name to result."""
    payloads: dict[str, bytes] = field(default_factory=dict)
    """Variable name to the bytes of its value."""
    is_silent: bool = False
    """Takes requests and never answers."""
    is_busy: bool = False
    """As many calls wait for it as may."""
    has_vitals: bool = True
    """Its Hello says that it has some."""
    signaling: bool = False
    received: list[tuple[str, str]] = field(default_factory=list)
    """What reached the device: kind and what was said."""


class FakeLink:
    """The port `cyan.core.ports.DeviceLink` over fake devices; waits pass at once."""

    def __init__(self, clock: Clock, presence: Presence) -> None:
        self._clock = clock
        self._presence = presence
        self._devices: dict[DeviceId, FakeDevice] = {}

    def connect(self, device_id: DeviceId) -> FakeDevice:
        """The device comes online, now."""
        now_ms = self._clock.now_ms()
        device = FakeDevice(last_heard_ms=now_ms, last_handshake_ms=now_ms)
        self._devices[device_id] = device
        self._presence.came_online(device_id, device)
        return device

    def disconnect(self, device_id: DeviceId) -> None:
        del self._devices[device_id]
        self._presence.went_offline(device_id)

    def state(self, device_id: DeviceId) -> LinkState | None:
        if device_id not in self._devices:
            return None
        now = self._clock.now()
        return LinkState(last_heard_at=now, last_handshake_at=now, ip_address="192.0.2.7")

    async def call_function(self, device_id: DeviceId, name: str, argument: str) -> int:
        device = await self._reach(device_id, "function", f"{name}({argument})")
        if name not in device.results:
            # Firmware acknowledges and then says nothing (device-protocol.md §3.4).
            raise DeviceTimeoutError
        return device.results[name]

    async def read_variable(self, device_id: DeviceId, name: str) -> bytes:
        device = await self._reach(device_id, "variable", name)
        if name not in device.payloads:
            raise DeviceRefusedError
        return device.payloads[name]

    async def ping(self, device_id: DeviceId) -> None:
        await self._reach(device_id, "ping", "")

    async def signal(self, device_id: DeviceId, on: bool) -> None:
        device = await self._reach(device_id, "signal", "on" if on else "off")
        device.signaling = on

    def send_event(self, device_id: DeviceId, name: str, data: bytes | None) -> bool:
        device = self._devices.get(device_id)
        if device is None:
            return False
        said = name if data is None else f"{name}={data.decode()}"
        device.received.append(("event", said))
        return True

    def request_vitals(self, device_id: DeviceId) -> None:
        device = self._devices.get(device_id)
        if device is None:
            raise DeviceOfflineError
        if device.is_busy:
            raise DeviceBusyError
        if not device.has_vitals:
            raise DeviceRefusedError("The firmware of the device has no vitals.")
        device.received.append(("vitals", ""))

    async def _reach(self, device_id: DeviceId, kind: str, said: str) -> FakeDevice:
        device = self._devices.get(device_id)
        if device is None:
            raise DeviceOfflineError
        device.received.append((kind, said))
        await asyncio.sleep(0)
        if device.is_busy:
            raise DeviceBusyError
        if device.is_silent:
            raise DeviceTimeoutError
        return device
