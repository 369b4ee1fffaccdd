"""Full handshakes, up to the answer to Hello."""

import os
import select
import socket
from pathlib import Path

from bench.child import Child, Meter
from bench.figures import Comparison, Findings, rate_of
from bench.machine import BenchError
from bench.settings import Settings
from bench.volley import connected_socket
from bench.world import World, make_world
from cyan.sim.identity import Identity
from cyan.sim.platforms import MAX_MESSAGE_BYTES, PLATFORMS, SYSTEM_VERSION
from cyan.wire import coap
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import DeviceRecords
from cyan.wire.messages import DEVICE_INITIATED_DESCRIBE, NO_VERSION, Hello, encode_hello

HOST = "127.0.0.1"
HANDSHAKES_IN_A_RUN = 3000
AT_ONCE = 256
"""Handshakes under way, each from a port of its own: a server tells them apart by address. A fleet
that comes back at once is many more, but then the server only has a longer queue."""

GOAL = 0.3
SILENCE_MS = 3000
HELLO_ID = 1
_PLATFORM = PLATFORMS["boron"]
_ENTROPY_BYTES = 64
_MAX_DATAGRAM_BYTES = 2048


def measure(settings: Settings, folder: Path) -> Findings:
    """(3) Known devices that connect for the first time since the server started."""
    count = int(HANDSHAKES_IN_A_RUN * settings.scale)
    core = str(settings.server_core)
    world = make_world(folder / "data", count * settings.runs)
    floors: list[Meter] = []
    meters: list[Meter] = []
    with Child("bench.server", str(world.data), core, "real", log=folder / "server.log") as server:
        address = (HOST, int(server.ready["udp_port"]))
        for run in range(settings.runs):
            floors.append(_floor(core, count, folder))
            devices = [
                _Handshaking(world, identity)
                for identity in world.identities[run * count : (run + 1) * count]
            ]
            with settings.sampled(server.pid, folder, "handshakes"), Meter(server.pid) as meter:
                _shake_hands(devices, address)
            meters.append(meter)
    what = f"full handshakes to Hello answered, {AT_ONCE} at a time"
    rate, floor = rate_of(meters, count), rate_of(floors, count)
    return Findings(comparisons=[Comparison("handshakes", what, rate, floor, GOAL)])


def _floor(core: str, count: int, folder: Path) -> Meter:
    with Child("bench.primitives", core, str(count), "udp", log=folder / "floor.log") as floor:
        meter = Meter(floor.pid)
        meter.wall_s, meter.server_s = floor.ready["wall_s"], floor.ready["cpu_s"]
    return meter


class _Handshaking:
    """One device; what it can know beforehand is made beforehand."""

    __slots__ = ("handshake", "hello", "records")

    def __init__(self, world: World, identity: Identity) -> None:
        self.handshake = ClientHandshake(
            device_key=identity.key,
            server_public_key=world.server_key,
            entropy=os.urandom(_ENTROPY_BYTES),
        )
        self.hello = encode_hello(
            HELLO_ID,
            Hello(
                product_id=_PLATFORM.id,
                product_version=NO_VERSION,
                flags=DEVICE_INITIATED_DESCRIBE,
                platform_id=_PLATFORM.id,
                device_id=bytes.fromhex(identity.device_id),
                system_version=SYSTEM_VERSION,
                max_message_size=MAX_MESSAGE_BYTES,
                max_binary_size=_PLATFORM.max_binary_bytes,
            ),
        )
        self.records: DeviceRecords | None = None

    def feed(self, datagram: bytes) -> list[bytes] | None:
        """What to send now; None when Hello is answered. Raises BenchError when it fails."""
        if self.records is not None:
            opened = self.records.open(datagram)
            if opened is None or coap.decode(opened[1]).message_id != HELLO_ID:
                raise BenchError("Hello got another answer than its acknowledgement.")
            return None
        answers = self.handshake.feed(datagram)
        if self.handshake.failed is not None:
            raise BenchError(f"A handshake failed: {self.handshake.failed}.")
        if self.handshake.established is not None:
            self.records = self.handshake.established
            answers.append(self.records.seal_data(self.hello))
        return answers


def _shake_hands(devices: list[_Handshaking], address: tuple[str, int]) -> None:
    """Let all devices connect, AT_ONCE at a time; returns when the last Hello is answered."""
    waiting = iter(devices)
    poll = select.poll()
    sockets: dict[int, socket.socket] = {}
    current: dict[int, _Handshaking] = {}
    for device in (next(waiting, None) for _ in range(AT_ONCE)):
        if device is not None:
            udp = connected_socket(address)
            sockets[udp.fileno()] = udp
            current[udp.fileno()] = device
            poll.register(udp, select.POLLIN)
            udp.send(device.handshake.start())
    while current:
        ready = poll.poll(SILENCE_MS)
        if not ready:
            raise BenchError(f"The server leaves {len(current)} handshakes without an answer.")
        for number, _ in ready:
            udp = sockets[number]
            answers = current[number].feed(udp.recv(_MAX_DATAGRAM_BYTES))
            if answers is None:
                following = next(waiting, None)
                if following is None:
                    del current[number]
                    continue
                current[number] = following
                answers = [following.handshake.start()]
            for answer in answers:
                udp.send(answer)
    for udp in sockets.values():
        udp.close()
