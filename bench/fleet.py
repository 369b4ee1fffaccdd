"""Sessions as a server really has them: simulated devices that connect and introduce themselves."""

import contextlib
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.machine import BenchError
from bench.world import SEED, World
from cyan.sim.application import Workload
from cyan.sim.device import Device
from cyan.sim.facts import Fact, State, StateChanged
from cyan.sim.platforms import PLATFORMS
from cyan.sim.session import restore_session
from cyan.wire.dtls.record import DeviceRecords

AT_ONCE = 32
"""Devices that connect at the same time."""

WITHIN_S = 120.0
_MAX_DATAGRAM_BYTES = 2048


@dataclass(slots=True)
class Member:
    """A device that is online: its side of the session, and its next message id."""

    device_id: str
    records: DeviceRecords
    message_id: int

    def next_message_id(self) -> int:
        message_id = self.message_id
        self.message_id = (message_id + 1) & 0xFFFF
        return message_id


def connect(
    world: World, address: tuple[str, int], subscriptions: Callable[[int], tuple[str, ...]]
) -> list[Member]:
    """Bring all devices of a world online: handshake, Hello, describes, subscriptions.

    `subscriptions(index)` are the prefixes of one device's application. Returns when the server has
    acknowledged everything, the members in the order of the world's identities. Raises BenchError
    when that takes too long.
    """
    with selectors.DefaultSelector() as selector:
        waiting = [
            _Connecting(world, index, address, subscriptions(index), selector)
            for index in range(len(world.identities))
        ]
        members: dict[int, Member] = {}
        under_way: list[_Connecting] = []
        deadline = time.monotonic() + WITHIN_S
        waiting.reverse()
        while waiting or under_way:
            while waiting and len(under_way) < AT_ONCE:
                beginner = waiting.pop()
                beginner.device.start(0.0)
                under_way.append(beginner)
            now = time.monotonic()
            if now > deadline:
                raise BenchError(f"Only {len(members)} of the devices came online.")
            for connecting in under_way:
                if connecting.device.deadline() <= now:
                    connecting.device.on_deadline(now)
            for key, _ in selector.select(0.1):
                key.data.on_readable(time.monotonic())
            for connecting in under_way:
                if connecting.is_online:
                    members[connecting.index] = connecting.finish()
            under_way = [connecting for connecting in under_way if not connecting.is_finished]
    return [members[index] for index in range(len(members))]


class _Connecting:
    """One device's way to being online: the host of a simulated device."""

    def __init__(
        self,
        world: World,
        index: int,
        address: tuple[str, int],
        subscriptions: tuple[str, ...],
        selector: selectors.BaseSelector,
    ) -> None:
        self.index = index
        self._address = address
        self._selector = selector
        self._socket: socket.socket | None = None
        self.is_online = False
        self.is_finished = False
        self.device = Device(
            world.identities[index],
            PLATFORMS["boron"],  # cellular: silence for minutes does not take it offline
            Workload(event_interval_s=None, subscriptions=subscriptions),
            world.server_key,
            self,
            seed=SEED,
        )

    def on_readable(self, now: float) -> None:
        while self._socket is not None:
            try:
                datagram = self._socket.recv(_MAX_DATAGRAM_BYTES)
            except OSError:
                return
            self.device.on_datagram(datagram, now)

    def finish(self) -> Member:
        """The session, to be gone on with by the generator."""
        stored = self.device.store()
        assert stored.session is not None
        self.close_port()
        self.is_finished = True
        self.is_online = False
        records = restore_session(stored.session).records
        return Member(self.device.identity.device_id, records, stored.message_id)

    def send(self, datagram: bytes) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(datagram)

    def open_port(self) -> None:
        self.close_port()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(self._address)
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def close_port(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def on_fact(self, fact: Fact) -> None:
        if isinstance(fact, StateChanged):
            self.is_online = fact.state is State.ONLINE
