"""A device out in the field: a bad network around it, mishaps, and a clock that is not right.

Looks to its owner as the `Device` inside does: bytes and time in, bytes and facts out. What happens
when, and to which datagram, comes from the seed alone; the device never learns of it but by what it
suffers.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from cyan.sim.chance import Chance
from cyan.sim.device import Device
from cyan.sim.facts import EndReason, Fact, FaultHappened, Host, State, StreamHost
from cyan.sim.faults import Faults, Kind
from cyan.sim.mishaps import Mishaps, Occurrence
from cyan.sim.network import DatagramWay, StreamWay, Way
from cyan.sim.platforms import Transport
from cyan.sim.reliability import NEVER
from cyan.sim.session import StoredDevice
from cyan.sim.skew import SkewedClock
from cyan.sim.updatefaults import Struck, Trouble, Troubles

_RESET_BY_USER: Final = "user"
_RESET_BY_POWER: Final = "power_down"
"""As firmware words them in its event (device-protocol.md §3.11)."""


class Boot(msgspec.Struct, frozen=True):
    """What a device begins with: its random bytes come from `seed`, `stored` is what it kept,
    `last_reset` is why it begins anew, `wrong` which key is not the one that it should be,
    `troubles` are what goes wrong with its updates."""

    seed: str
    stored: StoredDevice | None = None
    last_reset: str | None = None
    wrong: Kind | None = None
    troubles: Troubles | None = None


MakeDevice = Callable[[Host, Boot], Device]


class FieldDevice:
    """A device that `make` makes, once for each boot. `name` tells it from others of the seed."""

    def __init__(
        self,
        make: MakeDevice,
        faults: Faults,
        host: Host,
        *,
        seed: str,
        name: str,
        stored: StoredDevice | None = None,
    ) -> None:
        self._make = make
        self._host = host
        self._seed = seed
        self._fast = Chance(seed, name, "clock").between(*faults.clock)
        self._clock = SkewedClock(self._fast, 0.0)
        self._mishaps = Mishaps(faults.mishaps, seed, name)
        self._started_at = NEVER
        self._now = 0.0
        self._boots = 0
        self._wakes_at = NEVER
        self._last_reset: str | None = None
        self._is_cut_off = False
        self._wrong: Kind | None = None
        self._right_again_at = NEVER
        self._enabled_again_at = NEVER
        self._retransmissions_before = 0
        self._busy: _Busy | None = None
        self._troubles: Troubles | None = None
        if faults.updates:
            self._troubles = Troubles(faults.updates, self._on_struck, seed, name)
        self.device = make(self, Boot(seed, stored, troubles=self._troubles))
        way = StreamWay if self._is_stream else DatagramWay
        self._up: Way = way(faults.up, Chance(seed, name, "up"))
        self._down: Way = way(faults.down, Chance(seed, name, "down"))

    # What its owner asks.

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.device.state

    @property
    def outstanding(self) -> int:
        """How many of its messages are unacknowledged."""
        return self.device.outstanding

    @property
    def retransmissions(self) -> int:
        """How many messages were sent again so far, over all boots."""
        return self._retransmissions_before + self.device.retransmissions

    @property
    def ways(self) -> tuple[Way, Way]:
        """The network towards the server and back."""
        return self._up, self._down

    def start(self, at: float) -> None:
        """Connects at that time, from which mishaps count."""
        self._started_at = at
        self._clock = SkewedClock(self._fast, at)
        self.device.start(at)

    def say_goodbye(self, now: float) -> None:
        """Publishes nothing more and, when online, tells the server that it goes."""
        self._now = now
        self.device.say_goodbye(self._clock.inside(now))

    def stop(self, now: float) -> None:
        """Ends the connection without another word; nothing happens any more."""
        self._now = now
        self._started_at = self._wakes_at = NEVER
        self._right_again_at = self._enabled_again_at = NEVER
        self._lose_what_is_under_way()
        self.device.stop(self._clock.inside(now))

    def deadline(self) -> float:
        """When `on_deadline` has to be called."""
        return min(
            self._trouble_at(),
            self._up.deadline(),
            self._down.deadline(),
            self._device_deadline(),
        )

    def on_deadline(self, now: float) -> None:
        """Does the one thing that has been due for longest; others are left to the next call."""
        self._now = now
        trouble_at = self._trouble_at()
        up_at, down_at = self._up.deadline(), self._down.deadline()
        device_at = self._device_deadline()
        first = min(trouble_at, up_at, down_at, device_at)
        if first > now:
            return
        if first == trouble_at:
            self._on_trouble(trouble_at)
        elif first == up_at:
            self._send_arrived(first)
        elif first == down_at:
            self._receive_arrived(first)
        elif self._busy is not None:
            self._go_on(self._busy)
        else:
            # Not earlier than the device asked for, whatever rounding makes of it.
            self.device.on_deadline(max(self._clock.inside(now), self.device.deadline()))

    def on_bytes(self, data: bytes, now: float) -> None:
        """Takes a datagram or a piece of a stream from the socket."""
        self._now = now
        if self._is_cut_off:
            return
        if self._down.is_perfect:
            self._hand(data)
            return
        self._down.put(data, now)
        self._receive_arrived(now)

    def on_closed(self, now: float) -> None:
        """Takes the end of the stream, which what is under way comes before."""
        self._now = now
        if self._is_cut_off:
            return
        self._receive_arrived(NEVER)
        busy, self._busy = self._busy, None
        if busy is None or not busy.is_closing:
            self.device.on_closed(self._clock.inside(now))

    # What the device asks of its host.

    def send(self, data: bytes) -> None:
        """Sends a datagram, or a piece of a stream, through the network."""
        if self._is_cut_off:
            return
        if self._busy is not None:
            self._busy.up.append(data)
            return
        if self._up.is_perfect:
            self._host.send(data)
            return
        self._up.put(data, self._now)
        self._send_arrived(self._now)

    def open_port(self) -> None:
        """Goes on from a new local port, without what is under way to or from the old one."""
        self._lose_what_is_under_way()
        self._host.open_port()

    def open_stream(self) -> None:
        """Begins to connect; nothing of an earlier stream comes any more."""
        self._lose_what_is_under_way()
        self._is_cut_off = False
        assert isinstance(self._host, StreamHost)
        self._host.open_stream()

    def close_stream(self) -> None:
        """Closes the stream, after what the device has said while it was busy."""
        if self._busy is not None:
            self._busy.is_closing = True
            return
        self._lose_what_is_under_way()
        assert isinstance(self._host, StreamHost)
        self._host.close_stream()

    def on_fact(self, fact: Fact) -> None:
        """Hands it on."""
        self._host.on_fact(fact)

    # What happens.

    @property
    def _is_stream(self) -> bool:
        return self.device.board.transport is Transport.TCP

    def _trouble_at(self) -> float:
        # A device that is down gets its right keys back when it is up again.
        then = self._wakes_at
        if then == NEVER:
            then = min(self._right_again_at, self._enabled_again_at)
        return min(self._started_at + self._mishaps.deadline_s(), then)

    def _on_trouble(self, at: float) -> None:
        if at == self._wakes_at:
            self._wake(at)
        elif self._wakes_at < NEVER:
            # It is down, so that this does not find it.
            self._mishaps.take()
        elif at == self._right_again_at:
            self._use_keys(None, NEVER, at)
        elif at == self._enabled_again_at:
            self._enabled_again_at = NEVER
            self.device.enable_updates(self._clock.inside(at), enabled=True)
        else:
            self._on_mishap(self._mishaps.take(), at)

    def _on_mishap(self, occurrence: Occurrence, at: float) -> None:
        mishap = occurrence.mishap
        self._host.on_fact(FaultHappened(mishap.kind.value, occurrence.at_s, occurrence.for_s))
        if mishap.kind is Kind.MOVE:
            self._move()
        elif mishap.kind is Kind.SLEEP:
            self._go_down(EndReason.SLEEP, at + occurrence.for_s)
        elif mishap.kind is Kind.REBOOT:
            self._last_reset = _RESET_BY_USER
            self._go_down(EndReason.REBOOT, at + occurrence.for_s)
        elif mishap.kind is Kind.POWER_CUT:
            self._lose_power(at + occurrence.for_s, keeps_session=mishap.keeps_session)
        elif mishap.kind is Kind.UPDATES_DISABLED:
            self._enabled_again_at = at + occurrence.for_s
            self.device.enable_updates(self._clock.inside(at), enabled=False)
        else:
            self._use_keys(mishap.kind, at + occurrence.for_s, at)

    def _on_struck(self, struck: Struck) -> None:
        """A fault befalls the device in the middle of an update."""
        fault, now = struck.fault, self._now
        since = now - self._started_at
        self._host.on_fact(FaultHappened(fault.trouble.value, since, struck.for_s))
        if fault.trouble is Trouble.SILENT:
            self._go_down(EndReason.SLEEP, now + struck.for_s)
        elif fault.trouble is Trouble.SLOW:
            self._busy = _Busy(now + struck.for_s)
        elif fault.trouble is Trouble.POWER_CUT:
            self._lose_power(now + struck.for_s, keeps_session=fault.keeps_session)

    def _lose_power(self, until: float, *, keeps_session: bool) -> None:
        self._last_reset = _RESET_BY_POWER
        self._go_down(EndReason.POWER_CUT if keeps_session else EndReason.MEMORY_LOST, until)

    def _move(self) -> None:
        if self._is_stream:
            # Its segments come from an address that no connection is known for: silence, until it
            # makes a new one.
            self._lose_what_is_under_way()
            self._is_cut_off = True
        else:
            self.open_port()

    def _go_down(self, reason: EndReason, wakes_at: float) -> None:
        self._busy = None
        self.device.pause(reason, self._clock.inside(self._now))
        self._lose_what_is_under_way()
        self._wakes_at = wakes_at

    def _wake(self, at: float) -> None:
        self._wakes_at = NEVER
        if self._last_reset is not None:
            self._boot(at)
        else:
            self.device.resume(self._clock.inside(at))

    def _use_keys(self, wrong: Kind | None, until: float, at: float) -> None:
        self._wrong = wrong
        self._right_again_at = until
        self._busy = None
        self.device.pause(EndReason.OTHER_KEYS, self._clock.inside(self._now))
        self._last_reset = _RESET_BY_USER
        self._boot(at)

    def _boot(self, at: float) -> None:
        self._boots += 1
        self._retransmissions_before += self.device.retransmissions
        boot = Boot(
            f"{self._seed}/boot {self._boots}",
            self.device.store(),
            self._last_reset,
            self._wrong,
            self._troubles,
        )
        self._last_reset = None
        self._enabled_again_at = NEVER
        self.device = self._make(self, boot)
        self.device.start(self._clock.inside(at))

    def _send_arrived(self, now: float) -> None:
        while (data := self._up.take(now)) is not None:
            self._host.send(data)

    def _receive_arrived(self, until: float) -> None:
        while (data := self._down.take(until)) is not None:
            self._hand(data)

    def _device_deadline(self) -> float:
        if self._busy is not None:
            return self._busy.until
        return self._clock.outside(self.device.deadline())

    def _hand(self, data: bytes) -> None:
        if self._busy is None:
            self.device.on_bytes(data, self._clock.inside(self._now))
        else:
            self._busy.down.append(data)

    def _go_on(self, busy: "_Busy") -> None:
        """The device looks up again: what it has said meanwhile leaves, what came is read."""
        self._busy = None
        for data in busy.up:
            self.send(data)
        if busy.is_closing:
            self.close_stream()
            return
        for data in busy.down:
            self._hand(data)

    def _lose_what_is_under_way(self) -> None:
        self._busy = None
        self._up.clear()
        self._down.clear()


class _Busy:
    """A device that does nothing but write its memory until then, and what waits meanwhile."""

    __slots__ = ("down", "is_closing", "until", "up")

    def __init__(self, until: float) -> None:
        self.until = until
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.is_closing = False
        """It has closed its stream meanwhile."""
