"""Who is here: devices that come and go, and those that fall silent."""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import msgspec
import structlog

from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.core.ids import DeviceId
from cyan.devices.model import CELLULAR_PLATFORMS
from cyan.devices.presence import DeviceOffline, DeviceOnline, Presence, PresenceRow
from cyan.gateway.conversation.hello import STATUS_EVENT
from cyan.gateway.keeper import Keeper
from cyan.gateway.link import Link
from cyan.gateway.wheel import Wheel

COME_BACK_S: Final = 30.0
"""Time for a device to be heard after the server was away. Its pings and what it repeats come 25 s
apart at most (session-behaviour.md); the silence of the outage was not the device's."""

_log = structlog.get_logger(__name__)


class Emit(Protocol):
    """A cloud-made event of a device, for the streams of people."""

    def __call__(self, device_id: DeviceId, name: str, data: str, version: int) -> None: ...


class Attendance:
    """Keeps presence true, and tells of its changes."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        devices: Presence,
        keeper: Keeper,
        bus: Bus,
        at: Callable[[float, Callable[[float], None]], None],
        emit: Emit,
        find_link: Callable[[DeviceId], Link | None],
    ) -> None:
        self._config = config
        self._clock = clock
        self._presence = devices
        self._keeper = keeper
        self._bus = bus
        self._at = at
        self._emit = emit
        self._find_link = find_link
        # By id, so that a session that ended takes no memory until its turn, which can be 46 min.
        self._silences: Wheel[DeviceId] = Wheel(clock.monotonic(), self._on_silence)

    # -- coming and going ----------------------------------------------------------------------

    def row_of(self, link: Link, device_id: DeviceId, *, online: bool) -> PresenceRow:
        """What is to be written of a device now."""
        return PresenceRow(
            device_id=device_id,
            online=online,
            holder=self._config.node,
            adoption=link.adoption,
            last_heard_ms=link.last_heard_ms,
            last_handshake_ms=link.last_handshake_ms,
            ip_address=link.ip_address,
        )

    def came_online(self, link: Link, stored: PresenceRow | None = None) -> None:
        """The device is here; `stored` is its row if that is committed already."""
        device_id = link.session.device_id
        assert device_id is not None
        self._presence.came_online(device_id, link)
        if stored is None:
            self._note(self.row_of(link, device_id, online=True))
        else:
            self._presence.remember(stored)
            self._keeper.supersede_presence(stored)
        self._schedule_silence(link)
        self._bus.publish(DeviceOnline(device_id))
        _log.info("device.online", device_id=device_id, address=link.ip_address)

    def never_arrived(self, stored: PresenceRow) -> None:
        """A Hello was kept, with this row, but its link had ended by then: nobody is here."""
        device_id = stored.device_id
        if self._find_link(device_id) is None and not self._presence.was_online(device_id):
            self._note(msgspec.structs.replace(stored, online=False))

    def went_offline(self, link: Link, reason: str) -> None:
        """The device is gone, unless it has another link by now."""
        device_id = link.session.device_id
        assert device_id is not None
        if self._find_link(device_id) is link:
            row = self.row_of(link, device_id, online=False)
            self._go(row, reason, link.session.product_version)

    def goes_on(self, device_id: DeviceId, link: Link) -> None:
        """A session of before a restart, whose device was online."""
        link.is_online = True
        self._presence.came_online(device_id, link)
        self._schedule_silence(link, not_before_s=self._clock.monotonic() + COME_BACK_S)

    def await_the_absent(self) -> None:
        """After a start: whoever was online and has no session any more (over TCP it ended with the
        process) comes back soon, or is offline."""
        for device_id in self._presence.online_devices(self._config.node):
            if self._find_link(device_id) is None:
                when_s = self._clock.monotonic() + COME_BACK_S
                self._at(when_s, partial(self._on_not_back, device_id))

    def _on_not_back(self, device_id: DeviceId, _now_s: float) -> None:
        row = self._presence.row(device_id)
        if row is not None and row.online and self._find_link(device_id) is None:
            self._go(msgspec.structs.replace(row, online=False), "silence", 0)

    def _go(self, row: PresenceRow, reason: str, version: int) -> None:
        device_id = row.device_id
        self._presence.went_offline(device_id)
        self._note(row)
        self._emit(device_id, STATUS_EVENT, "offline", version)
        self._bus.publish(DeviceOffline(device_id, reason))
        _log.info("device.offline", device_id=device_id, reason=reason)

    def _note(self, row: PresenceRow) -> None:
        self._presence.remember(row)
        self._keeper.note_presence(row)

    # -- silence -------------------------------------------------------------------------------

    def silence_limit_s(self, link: Link) -> float:
        """Silence after which this device counts as offline."""
        hello = link.session.hello
        # M-SoM has both radios and counts as cellular: the longer limit holds for it. Over TCP
        # every device says something each 25 s (device-protocol.md §1.3.3).
        if (
            hello is not None
            and hello.platform_id in CELLULAR_PLATFORMS
            and not link.session.is_stream
        ):
            return self._config.offline_after_cellular_s
        return self._config.offline_after_wifi_s

    def _schedule_silence(self, link: Link, not_before_s: float = 0.0) -> None:
        device_id = link.session.device_id
        assert device_id is not None
        link.silence_due_s = max(link.heard_s + self.silence_limit_s(link), not_before_s)
        self._silences.at(link.silence_due_s, device_id)

    def turn(self, now_s: float) -> None:
        """Look who has been silent for too long."""
        self._silences.turn(now_s)

    def _on_silence(self, device_id: DeviceId, now_s: float) -> None:
        link = self._find_link(device_id)
        if link is None or not link.is_online or now_s < link.silence_due_s:
            return
        if now_s - link.heard_s >= self.silence_limit_s(link):
            link.on_silence()
        else:
            self._schedule_silence(link)
