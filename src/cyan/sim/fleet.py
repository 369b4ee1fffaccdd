"""A fleet of devices in one event loop: a socket each, one heap of deadlines, no task each."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from cyan.sim.behaviour import Behaviour
from cyan.sim.device import Device
from cyan.sim.facts import EventSent, EventSettled, Fact, Outcome, State, StateChanged
from cyan.sim.identity import Identity
from cyan.sim.journal import Journal
from cyan.sim.platforms import Platform
from cyan.sim.reliability import NEVER
from cyan.sim.reporter import Reporter
from cyan.sim.statefolder import StateFolder
from cyan.sim.statistics import Statistics
from cyan.sim.timers import Deadlines

MAX_DATAGRAM_BYTES: Final = 2048
DATAGRAMS_AT_ONCE: Final = 64
"""From one socket, before others have their turn."""

SLACK_S: Final = 0.001
"""Deadlines this near are served together: the loop's clock has about this resolution."""

DEVICES_AT_ONCE: Final = 256
"""Whose deadlines have passed, before sockets have their turn."""

FAREWELL_STEP_S: Final = 0.02
FAREWELL_S: Final = 2.0
"""How long a graceful stop waits for the last acknowledgements."""


class Fleet:
    """Devices that run until `stop`. `ready` is set once all have been online at the same time."""

    def __init__(
        self,
        identities: list[Identity],
        address: tuple[str, int],
        server_public_key: ec.EllipticCurvePublicKey,
        platform: Platform,
        behaviour: Behaviour,
        reporter: Reporter,
        *,
        seed: str,
        journal: Journal | None = None,
        folder: StateFolder | None = None,
    ) -> None:
        """`address` is a numeric address and a port. Needs a running event loop."""
        self.statistics = Statistics()
        self.ready = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.reporter = reporter
        self.journal = journal
        self._family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.address = address
        self._folder = folder
        self._deadlines = Deadlines(len(identities))
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._online = 0
        self._members = [_Member(self, index) for index in range(len(identities))]
        for member, identity in zip(self._members, identities, strict=True):
            member.device = Device(
                identity,
                platform,
                behaviour,
                server_public_key,
                member,
                seed=seed,
                stored=None if folder is None else folder.load(identity.device_id),
            )

    def start(self, connect_rate: float) -> None:
        """Begins to connect, `connect_rate` devices a second."""
        now = self.loop.time()
        for index, member in enumerate(self._members):
            member.device.start(now + index / connect_rate)
            self._deadlines.plan(index, member.device.deadline())
        self._arm()

    async def stop(self, *, farewell: bool = True) -> None:
        """Closes everything, after Goodbyes and a short wait for what is unacknowledged."""
        if farewell:
            await self._say_goodbye()
        if self._timer is not None:
            self._timer.cancel()
        for member in self._members:
            self.statistics.retransmissions += member.device.retransmissions
            member.device.stop(self.loop.time())
            member.close_port()
            if self._folder is not None:
                self._folder.keep_exactly(member.device)
        if self.journal is not None:
            self.journal.flush()

    async def _say_goodbye(self) -> None:
        for member in self._members:
            member.device.say_goodbye(self.loop.time())
        end = self.loop.time() + FAREWELL_S
        # Asked now and then: an event would have to be looked after with every message.
        while self._has_outstanding() and self.loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(FAREWELL_STEP_S)

    def open_socket(self, on_readable: Callable[[], None]) -> socket.socket:
        """A socket with a port of its own.

        Not connected: a connected one reports the closed port of a dead server as an error of the
        socket, and libuv stops to watch a socket with an error.
        """
        sock = socket.socket(self._family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        self.loop.add_reader(sock.fileno(), on_readable)
        return sock

    def after(self, index: int) -> None:
        """Takes care of what follows from a member's input: its deadline, its state."""
        device = self._members[index].device
        self._deadlines.plan(index, device.deadline())
        if self._folder is not None:
            self._folder.keep(device)

    def flush(self) -> None:
        """Ends a round of inputs."""
        if self.journal is not None:
            self.journal.flush()
        self._arm()

    def on_fact(self, device: Device, fact: Fact) -> None:
        """Counts, records and prints what a device tells."""
        self.statistics.count(fact)
        match fact:
            case EventSent():
                if self.journal is not None:
                    self.journal.record_sent(device.identity.device_id, fact.name, fact.data)
            case EventSettled():
                if self.journal is not None and fact.outcome is Outcome.ACKNOWLEDGED:
                    self.journal.record_acknowledged(
                        device.identity.device_id, fact.name, fact.data
                    )
            case StateChanged():
                self.reporter.on_fact(device.identity.device_id, fact)
                self._count_online(fact)
            case _:
                self.reporter.on_fact(device.identity.device_id, fact)

    def _count_online(self, fact: StateChanged) -> None:
        if fact.state is State.ONLINE:
            self._online += 1
            if self._online == len(self._members):
                self.ready.set()
        elif fact.was_online:
            self._online -= 1

    def _arm(self) -> None:
        at = self._deadlines.next()
        if at >= self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at == NEVER else self.loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        for _ in range(DEVICES_AT_ONCE):
            now = self.loop.time()
            index = self._deadlines.pop(now + SLACK_S)
            if index is None:
                break
            device = self._members[index].device
            if device.deadline() <= now + SLACK_S:
                device.on_deadline(now + SLACK_S)
            self.after(index)
        self.flush()

    def _has_outstanding(self) -> bool:
        return any(
            member.device.outstanding
            for member in self._members
            if member.device.state is State.ONLINE
        )


class _Member:
    """One device's place in the fleet: the `Host` of its socket."""

    __slots__ = ("_fleet", "_index", "_socket", "device")

    device: Device

    def __init__(self, fleet: Fleet, index: int) -> None:
        self._fleet = fleet
        self._index = index
        self._socket: socket.socket | None = None

    def send(self, datagram: bytes) -> None:
        # What a full buffer or a missing route loses is silence to the device.
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(datagram, self._fleet.address)

    def open_port(self) -> None:
        self.close_port()
        with contextlib.suppress(OSError):
            self._socket = self._fleet.open_socket(self._on_readable)

    def close_port(self) -> None:
        if self._socket is not None:
            self._fleet.loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def on_fact(self, fact: Fact) -> None:
        self._fleet.on_fact(self.device, fact)

    def _on_readable(self) -> None:
        now = self._fleet.loop.time()
        sock = self._socket
        for _ in range(DATAGRAMS_AT_ONCE):
            if sock is None or sock is not self._socket:
                break
            try:
                datagram, sender = sock.recvfrom(MAX_DATAGRAM_BYTES)
            except OSError:
                break
            if sender[:2] == self._fleet.address:
                self.device.on_datagram(datagram, now)
        self._fleet.after(self._index)
        self._fleet.flush()
