"""Sessions as a server really has them: simulated devices that connect and introduce themselves.

Each has an IP address of its own. Once a device is online the fleet goes on with its session, which
takes a tenth of a simulated device's memory: it pings, and acknowledges what the server says.
"""

import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.hosts import Hosts
from bench.machine import BenchError
from bench.pings import Pings
from bench.world import SEED, World
from cyan.sim.behaviour import built_in
from cyan.sim.boards import find_board
from cyan.sim.device import Device
from cyan.sim.facts import Fact, State, StateChanged
from cyan.sim.platforms import PLATFORMS
from cyan.sim.session import restore_session
from cyan.sim.vitals import Vitals, encode_vitals
from cyan.wire import coap
from cyan.wire.dtls.record import DeviceRecords

AT_ONCE = 192
"""Devices that connect at the same time."""

PING_S = 25.0
"""A Wi-Fi device pings after so much silence (device-protocol.md §2.7)."""

SILENCE_S = 30.0
"""Nobody came online for this long: nobody will."""

_STEP_S = 0.05
"""How often timers of devices that connect are looked at."""

_SHORT_S = 0.01
"""How late a ping can be."""

SETTLE_S = 5.0
"""What the server has to say to a new session, and to write down of it, comes within this time."""

_VITALS = encode_vitals(find_board("argon"), Vitals())


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

    def seal(self, content: bytes) -> bytes:
        """A message as a datagram."""
        return self.records.seal_data(content)


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
        self.pings = Pings(self.members, self.hosts.send)

    def grow(self, size: int) -> None:
        """Bring devices online until there are `size`: handshake, Hello, describes, subscriptions.

        Returns when the server has acknowledged everything. Raises BenchError when that takes too
        long.
        """
        beginners = iter(range(len(self.members), size))
        under_way: dict[int, _Connecting] = {}
        early: dict[int, Member] = {}  # online before one with a lower number
        look_at_s = progress_s = time.monotonic()
        # All members were heard lately; from now on each pings in its turn.
        self.pings.start(look_at_s, PING_S, interval_s=PING_S)
        while len(self.members) < size:
            for index in _next_of(beginners, AT_ONCE - len(under_way)):
                under_way[index] = self._connecting(index)
                under_way[index].device.start(0.0)
                under_way[index].device.on_deadline(time.monotonic())
            now = time.monotonic()
            if now >= look_at_s:
                look_at_s = now + _STEP_S
                if self._is_kept_alive:
                    self.pings.turn(now)
                for connecting in under_way.values():
                    if connecting.device.deadline() <= now:
                        connecting.device.on_deadline(now)
            self.hosts.flush()
            for index, datagram in self._receive(_STEP_S):
                if (beginner := under_way.get(index)) is not None:
                    beginner.device.on_datagram(datagram, time.monotonic())
                else:
                    self._take(index, early.get(index) or self.members[index], datagram, now)
            for index in [index for index, device in under_way.items() if device.is_online]:
                early[index] = under_way.pop(index).member()
                progress_s = now
            while (arrived := early.pop(len(self.members), None)) is not None:
                self.members.append(arrived)
                self.pings.add(len(self.members) - 1, now + PING_S)
            if now - progress_s > SILENCE_S:
                raise BenchError(f"Only {len(self.members)} of {size} devices came online.")

    def rest(self, seconds: float) -> None:
        """Send nothing but acknowledgements of what the server says."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._exchange()

    def idle(self, seconds: float) -> None:
        """Ping as devices do that have nothing to say; `pings` counts."""
        now = time.monotonic()
        end_s = now + seconds
        self.pings.start(now, PING_S, interval_s=PING_S)
        while (now := time.monotonic()) < end_s:
            self.pings.turn(now)
            self._exchange()

    def ping_once(self, within_s: float, give_up_s: float) -> None:
        """Each device sends one ping; returns when all are answered, or after `give_up_s`."""
        now = first_s = time.monotonic()
        self.pings.start(now, within_s)
        while self.pings.answered < len(self.members) and now < first_s + give_up_s:
            now = time.monotonic()
            self.pings.turn(now)
            self._exchange()

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

    def _exchange(self) -> None:
        """Send what is queued, take what comes."""
        self.hosts.flush()
        now = time.monotonic()
        for index, datagram in self._receive(_SHORT_S):
            self._take(index, self.members[index], datagram, now)
        self.hosts.flush()

    def _take(self, index: int, member: Member, datagram: bytes, now: float) -> None:
        opened = member.records.open(datagram)
        if opened is None:
            return
        message = coap.decode(opened[1])
        if message.type == coap.CON:
            answer = coap.encode_empty_ack(message.message_id)
            if message.code == coap.GET:
                # What the server asks a device that is online already: its vital signs.
                answer = coap.encode_ack(message.message_id, coap.CONTENT, message.token, _VITALS)
            self.hosts.send(index, member.seal(answer))
        elif message.type == coap.ACK:
            self.pings.on_answer(index, message.message_id, now)


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


def _next_of(numbers: Iterator[int], count: int) -> Iterator[int]:
    for _ in range(count):
        number = next(numbers, None)
        if number is None:
            return
        yield number
