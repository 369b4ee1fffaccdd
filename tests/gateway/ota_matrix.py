"""One device with one fault in one phase of an update, and a caller that tries again as long as it
makes sense: how that ends."""

import asyncio
import hashlib
import socket
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cyan.core.ids import DeviceId
from cyan.core.ports import (
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
    UpdateInterruptedError,
    UpdateStage,
)
from cyan.sim.device import Device
from cyan.sim.facts import Fact, Host, State, UpdateBegan
from cyan.sim.faults import Faults, Quality
from cyan.sim.field import Boot, FieldDevice
from cyan.sim.flash import MemoryFlash
from cyan.sim.identity import Identity
from cyan.sim.platforms import PLATFORMS, Transport
from cyan.sim.updatefaults import Phase, Trouble, UpdateFault
from tests.gateway.firmware import QUIET
from tests.gateway.ota import Sending, installed, make_file
from tests.gateway.stream_firmware import PIECE_BYTES
from tests.gateway.world import SERVER_KEY, STREAM_KEY, World, make_port

SILENT_S = 100.0
"""Longer than a server waits for a chunk, and than a Wi-Fi device may be silent."""

ATTEMPTS = 12
DEADLINE_S = 3600.0
"""For all attempts together."""

STAGES = {
    Phase.START: UpdateStage.ASKING,
    Phase.CHUNKS: UpdateStage.SENDING,
    Phase.FINISH: UpdateStage.CHECKING,
}

_PLATFORM_IDS = {"argon": 12, "electron": 10, "photon": 6}


@dataclass
class Outcome:
    """`error` is the last attempt's; `refusals` are the codes of all attempts that were refused."""

    error: BaseException | None = None
    attempts: int = 0
    took_s: float = 0.0
    refusals: list[int | None] = field(default_factory=list)


class FarBoard:
    """A simulated device with faults of its own, over UDP at the end of a network that has a
    quality both ways."""

    transport = Transport.UDP
    server_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey = SERVER_KEY.public_key()

    def __init__(self, world: World, platform: str, faults: Faults, seed: str) -> None:
        self.world = world
        self.facts: list[Fact] = []
        self.platform_id = _PLATFORM_IDS[platform]
        identity = Identity(seed, 0, self.transport)
        self.device_id = DeviceId(identity.device_id)
        flash = MemoryFlash()
        self._port = 30_000

        def make(host: Host, boot: Boot) -> Device:
            return Device(
                identity,
                PLATFORMS[platform],
                QUIET,
                self.server_key,
                host,
                seed=boot.seed,
                stored=boot.stored,
                last_reset=boot.last_reset,
                flash=flash,
                troubles=boot.troubles,
            )

        self._field = FieldDevice(make, faults, self, seed=seed, name=identity.device_id)
        self._field.start(self._now_s)
        world.peers[make_port(self._port)] = self

    @property
    def is_online(self) -> bool:
        """Whether both sides take it for that."""
        link = self.world.gateway.online_link(self.device_id)
        return self._field.state is State.ONLINE and link is not None

    @property
    def begun(self) -> list[UpdateBegan]:
        return [fact for fact in self.facts if isinstance(fact, UpdateBegan)]

    # What the device asks of its host.

    def send(self, data: bytes, /) -> None:
        self.world.arrive(data, make_port(self._port))

    def open_port(self) -> None:
        self.world.peers.pop(make_port(self._port), None)
        self._port += 1
        self.world.peers[make_port(self._port)] = self

    def on_fact(self, fact: Fact) -> None:
        self.facts.append(fact)

    # What the world asks of a peer.

    def on_datagram(self, datagram: bytes) -> None:
        self._field.on_bytes(datagram, self._now_s)

    def on_time(self, now_s: float) -> None:
        while self._field.deadline() <= now_s:
            self._field.on_deadline(now_s)

    @property
    def _now_s(self) -> float:
        return self.world.clock.monotonic()


class NearBoard(FarBoard):
    """The same over TCP, on a real connection."""

    transport = Transport.TCP
    server_key = STREAM_KEY.public_key()
    _socket: socket.socket | None = None

    def send(self, data: bytes, /) -> None:
        assert self._socket is not None
        self.world.pieces += 1
        try:
            self._socket.sendall(data)
        except ConnectionError:
            self._tell_of_the_end()

    def open_stream(self) -> None:
        self.close_stream()
        try:
            made = socket.create_connection(("127.0.0.1", self.world.stream_port), timeout=5)
        except ConnectionError:
            self._tell_of_the_end()
            return
        made.setblocking(False)
        self._socket = made
        asyncio.get_running_loop().add_reader(made.fileno(), self._on_readable)

    def close_stream(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _tell_of_the_end(self) -> None:
        asyncio.get_running_loop().call_soon(lambda: self._field.on_closed(self._now_s))

    def _on_readable(self) -> None:
        assert self._socket is not None
        self.world.pieces += 1
        try:
            data = self._socket.recv(PIECE_BYTES)
        except ConnectionError:
            data = b""
        if data:
            self._field.on_bytes(data, self._now_s)
        else:
            self.close_stream()
            self._field.on_closed(self._now_s)


def faults_of(loss: float, trouble: Trouble | None, phase: Phase) -> Faults:
    """A network that loses so much both ways, and a trouble in the middle of a first update."""
    quality = Quality(loss=loss)
    updates: tuple[UpdateFault, ...] = ()
    if trouble is not None:
        for_s = {Trouble.SILENT: (SILENT_S, SILENT_S), Trouble.POWER_CUT: (2.0, 2.0)}
        updates = (UpdateFault(trouble, phase, done=(0.4, 0.4), for_s=for_s.get(trouble, (0, 0))),)
    return Faults(up=quality, down=quality, updates=updates)


async def wait_for(board: FarBoard, within_s: float = 900.0) -> bool:
    """Until it is online."""
    until_s = board.world.clock.monotonic() + within_s
    while not board.is_online and board.world.clock.monotonic() < until_s:
        await board.world.advance(1)
    return board.is_online


async def deliver(board: FarBoard, data: bytes, on_stage: UpdateStage | None, how: str) -> Outcome:
    """Send the file until it is in use, or the device refuses it, or nothing helps. When the first
    attempt has come to `on_stage`, what `how` tells happens once: `kill` or `move`."""
    world = board.world
    outcome = Outcome()
    begun_s = world.clock.monotonic()
    wanted = hashlib.sha256(data).digest()
    while outcome.attempts < ATTEMPTS and world.clock.monotonic() < begun_s + DEADLINE_S:
        if not await wait_for(board):
            break
        if wanted in installed(board.facts):
            outcome.error = None
            break
        outcome.attempts += 1
        sending = Sending(world, board.device_id, data)
        if on_stage is not None:
            happened = await _until(sending, on_stage)
            if happened and how == "kill":
                sending.task.cancel()
                await world.restart(outage_s=3)
                on_stage = None
                continue
            if happened:
                board.open_port()
                on_stage = None
        outcome.error = await sending.end()
        if isinstance(outcome.error, DeviceRefusedError):
            outcome.refusals.append(outcome.error.code)
            break
        if outcome.error is not None:
            assert isinstance(
                outcome.error, UpdateInterruptedError | DeviceTimeoutError | DeviceOfflineError
            ), outcome.error
        # The device restarts, or is given the time to come back.
        await world.advance(5)
    outcome.took_s = world.clock.monotonic() - begun_s
    return outcome


async def _until(sending: Sending, stage: UpdateStage) -> bool:
    """Whether the transfer came to this stage; in the midst of the chunks a few seconds more."""
    for _ in range(1200):
        if sending.task.done():
            return False
        if sending.stage is stage:
            if stage is UpdateStage.SENDING:
                await sending.world.advance(2)
            return not sending.task.done()
        await sending.world._pass(0.5)
        await sending.world.spin()
    return False


def file_for(board: FarBoard, size: int = 60_000) -> bytes:
    return make_file(size, platform_id=board.platform_id)
