"""A device over TCP that behaves as firmware does: the simulator's own, on a real connection."""

import asyncio
import socket

from cyan.core.ids import DeviceId
from cyan.sim.behaviour import Behaviour
from cyan.sim.device import Device
from cyan.sim.facts import Fact
from cyan.sim.generations import GENERATIONS
from cyan.sim.identity import Identity
from cyan.sim.platforms import PLATFORMS, Transport
from tests.gateway.firmware import QUIET
from tests.gateway.world import STREAM_KEY, World

PIECE_BYTES = 4096


class StreamFirmware:
    """The simulated device number `index`; time moves it when the world moves."""

    def __init__(
        self,
        world: World,
        index: int = 0,
        *,
        behaviour: Behaviour = QUIET,
        platform: str = "photon",
        generation: str | None = None,
    ) -> None:
        self.world = world
        self.facts: list[Fact] = []
        self.identity = Identity("tests", index, Transport.TCP)
        self.device_id = DeviceId(self.identity.device_id)
        self._socket: socket.socket | None = None
        self.device = Device(
            self.identity,
            PLATFORMS[platform],
            behaviour,
            STREAM_KEY.public_key(),
            self,
            seed="tests",
            generation=None if generation is None else GENERATIONS[generation],
        )
        self.device.start(world.clock.monotonic())
        world.peers[f"stream {index}".encode()] = self

    # What the device asks of its host.

    def send(self, data: bytes) -> None:
        assert self._socket is not None
        self.world.pieces += 1
        try:
            self._socket.sendall(data)
        except ConnectionError:
            self._tell_of_the_end()

    def open_port(self) -> None:
        raise AssertionError("a device over TCP opens streams")

    def open_stream(self) -> None:
        self.close_stream()
        try:
            made = socket.create_connection(("127.0.0.1", self.world.stream_port), timeout=5)
        except ConnectionError:
            self._tell_of_the_end()
            return
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = made
        asyncio.get_running_loop().add_reader(made.fileno(), self._on_readable)

    def close_stream(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def on_fact(self, fact: Fact) -> None:
        self.facts.append(fact)

    def _tell_of_the_end(self) -> None:
        asyncio.get_running_loop().call_soon(
            lambda: self.device.on_closed(self.world.clock.monotonic())
        )

    def _on_readable(self) -> None:
        assert self._socket is not None
        self.world.pieces += 1
        try:
            data = self._socket.recv(PIECE_BYTES)
        except ConnectionError:
            data = b""
        now_s = self.world.clock.monotonic()
        if data:
            self.device.on_bytes(data, now_s)
        else:
            self.close_stream()
            self.device.on_closed(now_s)

    # What the world asks of a peer.

    def on_datagram(self, datagram: bytes) -> None:
        raise AssertionError("a datagram for a device over TCP")

    def on_time(self, now_s: float) -> None:
        while self.device.deadline() <= now_s:
            self.device.on_deadline(now_s)
