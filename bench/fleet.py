"""Sessions as a server really has them: simulated devices that connect and introduce themselves.

Each has an IP address of its own. Once a device is online the fleet goes on with its session, which
takes a tenth of a simulated device's memory: it pings, and acknowledges what the server says.
"""

import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from bench.hosts import Hosts
from bench.machine import BenchError
from bench.world import SEED, World
from cyan.sim.behaviour import built_in
from cyan.sim.device import Device
from cyan.sim.facts import Fact, State, StateChanged
from cyan.sim.platforms import PLATFORMS
from cyan.sim.session import restore_session
from cyan.wire import coap
from cyan.wire.dtls.record import DeviceRecords

AT_ONCE = 192
"""Devices that connect at the same time."""

PING_S = 25.0
"""A Wi-Fi device pings after so much silence (device-protocol.md §2.7)."""

SILENCE_S = 30.0
"""Nobody came online for this long: nobody will."""

_STEP_S = 0.05
"""How often timers are looked at."""

SETTLE_S = 5.0
"""What the server has to say to a new session, and to write down of it, comes within this time."""


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

    def ping(self) -> bytes:
        """A datagram with the next keep-alive."""
        return self.records.seal_data(coap.encode_ping(self.next_message_id()))


class Fleet:
    """Devices of a world, online in the order of its identities; member `i` is host `i`.

    `subscriptions(index)` are the prefixes of one device's application.
    """

    def __init__(
        self,
        world: World,
        address: tuple[str, int],
        subscriptions: Callable[[int], tuple[str, ...]],
        platform: str = "boron",  # cellular: silence for minutes does not take it offline
        *,
        is_kept_alive: bool = False,
    ) -> None:
        self.hosts = Hosts(address)
        self.members: list[Member] = []
        self._world = world
        self._subscriptions = subscriptions
        self._platform = platform
        self._is_kept_alive = is_kept_alive
        self._poll = select.poll()
        self._poll.register(self.hosts.udp, select.POLLIN)
        self._pings = 0
        # (when, index), in order of time: the interval is the same for all.
        self._pings_due: deque[tuple[float, int]] = deque()

    def grow(self, size: int) -> None:
        """Bring devices online until there are `size`: handshake, Hello, describes, subscriptions.

        Returns when the server has acknowledged everything. Raises BenchError when that takes too
        long.
        """
        beginners = iter(range(len(self.members), size))
        under_way: dict[int, _Connecting] = {}
        early: dict[int, Member] = {}  # online before one with a lower number
        look_at_s = progress_s = time.monotonic()
        self._spread_pings(look_at_s)
        while len(self.members) < size:
            for index in _take(beginners, AT_ONCE - len(under_way)):
                under_way[index] = self._connecting(index)
                under_way[index].device.start(0.0)
                under_way[index].device.on_deadline(time.monotonic())
            now = time.monotonic()
            if now >= look_at_s:
                look_at_s = now + _STEP_S
                self._keep_alive(now)
                for connecting in under_way.values():
                    if connecting.device.deadline() <= now:
                        connecting.device.on_deadline(now)
            self.hosts.flush()
            for index, datagram in self._receive(_STEP_S):
                if (beginner := under_way.get(index)) is not None:
                    beginner.device.on_datagram(datagram, time.monotonic())
                else:
                    member = early.get(index) or self.members[index]
                    _take_in(member, partial(self.hosts.send, index), datagram)
            for index in [index for index, device in under_way.items() if device.is_online]:
                early[index] = under_way.pop(index).member()
                progress_s = now
            while (arrived := early.pop(len(self.members), None)) is not None:
                self._pings_due.append((now + PING_S, len(self.members)))
                self.members.append(arrived)
            if now - progress_s > SILENCE_S:
                raise BenchError(f"Only {len(self.members)} of {size} devices came online.")

    def rest(self, seconds: float) -> None:
        """Send nothing but acknowledgements of what the server says."""
        self._wait(seconds, is_pinging=False)

    def idle(self, seconds: float) -> tuple[int, int]:
        """Ping as devices do that have nothing to say: how many pings, how many answers."""
        pings = self._pings
        self._spread_pings(time.monotonic())
        answers = self._wait(seconds, is_pinging=True)
        return self._pings - pings, answers

    def take(self, index: int, datagram: bytes) -> coap.Message | None:
        """The message in a datagram for a member, acknowledged if it asks for that."""
        return _take_in(self.members[index], partial(self.hosts.send, index), datagram)

    def close(self) -> None:
        self.hosts.close()

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connecting(self, index: int) -> "_Connecting":
        return _Connecting(
            self._world, index, self.hosts, self._subscriptions(index), self._platform
        )

    def _receive(self, timeout_s: float) -> list[tuple[int, bytes]]:
        return self.hosts.receive() if self._poll.poll(timeout_s * 1000) else []

    def _wait(self, seconds: float, *, is_pinging: bool) -> int:
        end_s = time.monotonic() + seconds
        count = 0
        while (now := time.monotonic()) < end_s:
            if is_pinging:
                self._keep_alive(now)
            self.hosts.flush()
            for index, datagram in self._receive(_STEP_S):
                self.take(index, datagram)
                count += 1
        self.hosts.flush()
        return count

    def _spread_pings(self, now: float) -> None:
        """All members were heard lately; from now on each pings in its turn."""
        step = PING_S / max(len(self.members), 1)
        self._pings_due = deque((now + i * step, i) for i in range(len(self.members)))

    def _keep_alive(self, now: float) -> None:
        due = self._pings_due
        while self._is_kept_alive and due and due[0][0] <= now:
            _, index = due.popleft()
            due.append((now + PING_S, index))
            self.hosts.send(index, self.members[index].ping())
            self._pings += 1


class _Connecting:
    """One device's way to being online: the host of a simulated device."""

    def __init__(
        self,
        world: World,
        index: int,
        hosts: Hosts,
        subscriptions: tuple[str, ...],
        platform: str,
    ) -> None:
        self._index = index
        self._hosts = hosts
        self.is_online = False
        self.device = Device(
            world.identities[index],
            PLATFORMS[platform],
            built_in(event_interval_s=None, subscriptions=subscriptions),
            world.server_key,
            self,
            seed=SEED,
        )

    def member(self) -> Member:
        """The session, to be gone on with by the fleet."""
        stored = self.device.store()
        assert stored.session is not None
        records = restore_session(stored.session).records
        return Member(self.device.identity.device_id, records, stored.message_id)

    def send(self, datagram: bytes) -> None:
        self._hosts.send(self._index, datagram)

    def open_port(self) -> None:
        """Each device keeps its address."""

    def on_fact(self, fact: Fact) -> None:
        if isinstance(fact, StateChanged):
            self.is_online = fact.state is State.ONLINE


def _take_in(member: Member, send: Callable[[bytes], None], datagram: bytes) -> coap.Message | None:
    opened = member.records.open(datagram)
    if opened is None:
        return None
    message = coap.decode(opened[1])
    if message.type == coap.CON:
        send(member.records.seal_data(coap.encode_empty_ack(message.message_id)))
    return message


def _take(numbers: Iterator[int], count: int) -> Iterator[int]:
    for _ in range(count):
        number = next(numbers, None)
        if number is None:
            return
        yield number
