"""A gateway on virtual time: real database, log, hub and DTLS; clock and network moved by hand."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import Connection, text

from cyan.accounts import store as accounts
from cyan.core.bus import Bus
from cyan.core.config import Config
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId
from cyan.core.metrics import REGISTRY
from cyan.core.secrets import open_vault
from cyan.devices.ownership import Ownership
from cyan.devices.presence import DeviceOffline, DeviceOnline, Presence
from cyan.devices.registry import register_device
from cyan.events.cursors import Cursors
from cyan.events.hub import Hub, follow
from cyan.events.log import COMMIT_INTERVAL_S, EventLog
from cyan.events.model import Event
from cyan.events.service import EventService
from cyan.events.store import cursor_key
from cyan.gateway.adoption import REMEMBER_MS
from cyan.gateway.calls import DeviceLinks
from cyan.gateway.entries import newest
from cyan.gateway.gateway import Gateway
from cyan.gateway.udp import make_address
from tests.clock import HandClock
from tests.gateway.memory_socket import MemorySocket

SERVER_KEY = ec.derive_private_key(0xC7A9, ec.SECP256R1())
STREAM_KEY = rsa.generate_private_key(65537, 2048)
ADA = UserId("aaaaaaaaaaaaaaaaaaaaaaaa")
CLEO = UserId("cccccccccccccccccccccccc")
STREAM_BUFFER_BYTES = 16 * 1024
"""What the kernel keeps of a connection that is not read, of each side."""
STEP_S = 0.5
"""Time moves in steps of this, so that timers fire about when they should."""


class Peer(Protocol):
    """Something at the other end of the network."""

    def on_datagram(self, datagram: bytes) -> None: ...

    def on_time(self, now_s: float) -> None: ...


def make_port(number: int) -> bytes:
    """The address of a device behind port `number`."""
    return make_address(socket.AF_INET, "192.0.2.7", number)


def bind_streams() -> socket.socket:
    """A port of the loopback for connections, with small buffers, so that they fill up soon."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_BUFFER_BYTES)
    bound.bind(("127.0.0.1", 0))
    return bound


def metric(name: str, **labels: str) -> float:
    """The present value of a metric, 0 before its first count."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


@dataclass
class World:
    """One data folder, the gateway that works on it now, and the network before it."""

    db: Database
    clock: HandClock
    config: Config
    peers: dict[bytes, Peer] = field(default_factory=dict)
    sent: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Every datagram of every gateway: (content, address)."""
    facts: list[object] = field(default_factory=list)
    """What the bus told of devices that came and went, over all restarts."""
    datagrams: int = 0
    pieces: int = 0
    """Of streams, that boards sent or got, and ends of streams."""
    lines: list[asyncio.Transport] = field(default_factory=list)
    """Every connection of a board over TCP, from its side."""

    async def start(self) -> None:
        """A process begins: everything in memory is made anew from the database."""
        self.bus = Bus()
        self.bus.subscribe(DeviceOnline, self.facts.append)
        self.bus.subscribe(DeviceOffline, self.facts.append)
        self.presence = Presence(self.db)
        self.ownership = Ownership(self.db)
        self.log = EventLog(self.db, self.clock)
        cursors = Cursors(cursor_key(self.db))
        self.hub = Hub(self.log, self.ownership, cursors, self.clock)
        self.events = EventService(self.log, self.clock)
        self.gateway = Gateway(
            config=self.config,
            clock=self.clock,
            database=self.db,
            vault=open_vault(self.config.data),
            server_key=SERVER_KEY,
            stream_key=STREAM_KEY,
            events=self.events,
            hub=self.hub,
            ownership=self.ownership,
            devices=self.presence,
            bus=self.bus,
        )
        self.gateway.stretch = lambda: 0.0
        follow(self.bus, self.hub)
        self.links = DeviceLinks(self.gateway)
        self.socket = MemorySocket(self._carry)
        recent: dict[bytes, list[int]] = {}
        for session, message_id in self.log.recent_messages(self.clock.now_ms() - REMEMBER_MS):
            recent.setdefault(session, []).append(message_id)
        streams = bind_streams()
        self.stream_port: int = streams.getsockname()[1]
        await self.gateway.start(self.socket, recent, streams)

    async def stop(self) -> None:
        """The process ends in good order."""
        if self.socket.is_open:
            self.gateway.stop_listening()
            await self.log.drain()
            await self.gateway.stop()
            await self.spin()

    async def end(self) -> None:
        """The test is over: the boards hang up, and the process ends."""
        for line in self.lines:
            line.abort()
        await self.spin()
        await self.stop()

    async def crash(self) -> None:
        """The process ends between two instructions: what is only in memory is gone."""
        ticker = self.gateway._ticker
        assert ticker is not None
        ticker.cancel()
        self.gateway.stop_listening()
        self.socket.close()
        self._cut_streams()
        await self.db.write(lambda connection: None)

    def _cut_streams(self) -> None:
        """The kernel closes the connections of a dead process, which notices nothing any more."""
        listener = self.gateway._listener
        for connection in listener._all:
            connection.reader = None
            connection.abort()
        listener._thread.shutdown(cancel_futures=True)

    async def restart(self, *, outage_s: float = 0.0, crash: bool = True) -> None:
        """The server is away for a while; devices live on meanwhile."""
        await (self.crash() if crash else self.stop())
        await self._pass(outage_s)
        await self.start()
        await self.settle()

    def arrive(self, datagram: bytes, address: bytes) -> None:
        """A datagram reaches the server."""
        self.datagrams += 1
        self.socket.arrive(datagram, address)

    async def settle(self) -> None:
        """Returns when nothing is on its way any more, in no direction."""
        quiet = 0
        for _ in range(400):
            before = self.datagrams + self.pieces
            await self.db.write(lambda connection: None)
            await self.log.drain()
            await self.spin()
            rests = (
                self.socket.is_idle
                and not self.gateway._admission.tasks
                and not self.gateway._listener._is_busy
            )
            quiet = quiet + 1 if rests and self.datagrams + self.pieces == before else 0
            # What one commit set going may wait for a second one.
            if quiet == 2:
                return
        raise AssertionError("the network does not come to rest")

    async def spin(self) -> None:
        """A few turns of the loop, without waiting for the disk."""
        for _ in range(8):
            await asyncio.sleep(0)

    async def linger(self) -> None:
        """Long enough for everything to happen that does not need the disk."""
        await self.spin()
        await asyncio.sleep(5 * COMMIT_INTERVAL_S)
        await self.spin()

    async def advance(self, seconds: float) -> None:
        """Let time pass, for the gateway and for the devices."""
        await self.settle()
        await self._pass(seconds)
        await self.settle()

    async def _pass(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 1e-9:
            self.clock.advance(min(STEP_S, left))
            before = self.datagrams + self.pieces
            if self.socket.is_open:
                self.gateway.turn()
            for peer in list(self.peers.values()):
                peer.on_time(self.clock.monotonic())
            await asyncio.sleep(0)
            if self.datagrams + self.pieces != before and self.socket.is_open:
                await self.settle()
            elif self.gateway._keeper.is_flushing:
                # Real disks are faster than half a second, which takes no time here.
                await self.db.write(lambda connection: None)
                await self.spin()

    def register(self, device_id: DeviceId, owner: UserId | None = None) -> None:
        """The device is known, without a key."""
        register_device(self.db, self.clock, device_id, owner=owner)
        self.ownership.refresh(device_id)

    def logged(self, name: str | None = None) -> list[Event]:
        """What the log has, oldest first; of one name if given."""
        found = [event for _, event in self.log.read(0, 10_000)]
        return [event for event in found if name is None or event.name == name]

    def statuses(self) -> list[str]:
        """The data of all `spark/status` events."""
        return [(event.data or b"").decode() for event in self.logged("spark/status")]

    def sessions(self) -> list[dict[str, object]]:
        """The stored sessions, as the journal has them."""
        found = self.db.rows(text("SELECT * FROM gateway_session ORDER BY established_at_ms"))
        batches = self.db.rows(text("SELECT entries FROM gateway_journal ORDER BY number"))
        entries = newest(row.entries for row in batches)
        sessions = [dict(row._mapping) for row in found]
        for session in sessions:
            entry = entries.get((session["connection_id"], session["adoption"]))
            if entry is not None:
                session |= msgspec.structs.asdict(entry)
        return sessions

    @contextmanager
    def slow_disk(self) -> Iterator[None]:
        """While inside, nothing is committed."""
        is_stuck, may_go = threading.Event(), threading.Event()

        def hold(connection: object) -> None:
            is_stuck.set()
            may_go.wait(30)

        self.db.submit(hold, lambda result, error: None)
        is_stuck.wait(30)
        try:
            yield
        finally:
            may_go.set()

    @contextmanager
    def broken_table(self, name: str) -> Iterator[None]:
        """While inside, nothing can be written to this table."""
        self._execute(f"ALTER TABLE {name} RENAME TO {name}_away")
        try:
            yield
        finally:
            self._execute(f"ALTER TABLE {name}_away RENAME TO {name}")

    def _execute(self, statement: str) -> None:
        self.db.write_blocking(lambda connection: connection.execute(text(statement)))

    def _carry(self, content: bytes, address: bytes) -> None:
        self.datagrams += 1
        self.sent.append((content, address))
        peer = self.peers.get(address)
        if peer is not None:
            peer.on_datagram(content)


def make_world(db: Database, clock: HandClock, data: Path, **settings: object) -> World:
    """A world before its first `start`, with the accounts of Ada and Cleo; enrolment is open unless
    told otherwise."""
    db.write_blocking(_add_accounts)
    config = Config(**{"data": data, "enrolment": "open", **settings})  # type: ignore[arg-type]
    return World(db, clock, config)


def _add_accounts(connection: Connection) -> None:
    for user_id, name in ((ADA, "ada@example.com"), (CLEO, "cleo@example.com")):
        if accounts.user_in(connection, user_id) is None:
            accounts.add_user(connection, user_id, name, "none", False, 0)


Build = Callable[[int], bytes]
