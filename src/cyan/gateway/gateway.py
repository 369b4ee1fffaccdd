"""The gateway: all live links of this process, and what they need of it."""

import asyncio
import os
import random
import resource
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import Connection

from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, share_device_id
from cyan.core.secrets import Vault
from cyan.devices import presence, refusals
from cyan.devices.claimcodes import ClaimCodes
from cyan.devices.ownership import Ownership
from cyan.devices.presence import Presence
from cyan.events.hub import Hub
from cyan.events.model import Event
from cyan.events.service import EventService
from cyan.gateway import metrics, store
from cyan.gateway.about import LinkAbout
from cyan.gateway.admission import Admission
from cyan.gateway.adoption import restore_links
from cyan.gateway.attendance import Attendance
from cyan.gateway.claims import Claims
from cyan.gateway.commits import Commits
from cyan.gateway.conversation import describe
from cyan.gateway.conversation.ledgers import LedgerConversation
from cyan.gateway.datagrams import DatagramLink
from cyan.gateway.deviceids import DeviceIds
from cyan.gateway.handshakes import Handshakes
from cyan.gateway.keeper import Keeper
from cyan.gateway.ledgers import LedgerNotices
from cyan.gateway.link import Link
from cyan.gateway.moves import Moves
from cyan.gateway.receiver import Receiver, Sender
from cyan.gateway.saving import Saving
from cyan.gateway.session import Session
from cyan.gateway.streams import StreamLink
from cyan.gateway.tcp import Connection as StreamConnection
from cyan.gateway.tcp import Listener
from cyan.gateway.udp import DatagramSocket
from cyan.gateway.updates import Updates
from cyan.gateway.wheel import TICK_S, Wheel
from cyan.ledgers.sync import DeviceLedgers
from cyan.wire.dtls.record import CONNECTION_ID_BYTES, ServerRecords
from cyan.wire.dtls.server import Established
from cyan.wire.exchange import Exchange
from cyan.wire.lightssl.frames import Channel
from cyan.wire.lightssl.handshake import Claim
from cyan.wire.messages import Hello, Subscribe

UNFINISHED_MS: Final = 120_000
"""A session whose device says no Hello for this long is forgotten (it gives up after 90 s)."""

MAX_UNFINISHED: Final = 4096
"""Sessions that have not said Hello. Anyone with a key of their own can begin one; a device says
Hello at once, so the oldest gives way."""

SPARE_FILES: Final = 512
"""Open files that connections of devices leave for everything else, the API first."""

FORGET_ENDED_S: Final = 120.0
"""How long an ended session still answers with close_notify, which may have been lost."""

MAX_ENDED: Final = 4096
"""Of these. A session costs a stranger one handshake with any key, and takes 8 kB here. A device
whose session had to give way notices by itself that nothing answers."""

_log = structlog.get_logger(__name__)


class Gateway:
    """Holds the links and implements `link.Host` for them. Used on the loop only."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        database: Database,
        vault: Vault,
        server_key: ec.EllipticCurvePrivateKey,
        stream_key: rsa.RSAPrivateKey,
        events: EventService,
        hub: Hub,
        ownership: Ownership,
        devices: Presence,
        bus: Bus,
    ) -> None:
        self._config = config
        self._clock = clock
        self._database = database
        self._vault = vault
        self._events = events
        self._hub = hub
        self._presence = devices
        self.ownership = ownership
        self._accept = events.accept
        self.now_ms = clock.now_ms
        self.now_s = clock.monotonic
        self.stretch = random.random
        self._links: dict[bytes, DatagramLink] = {}
        self._by_device: dict[DeviceId, Link] = {}
        # Only sessions whose records carry no connection id (firmware 3.0 and before).
        self._by_address: dict[bytes, DatagramLink] = {}
        # By age, as dictionaries keep the order of insertion; the ended with their time to go.
        self._unfinished: dict[bytes, DatagramLink] = {}
        self._ended: dict[DatagramLink, float] = {}
        self._ended_devices: dict[DeviceId | None, DatagramLink] = {}
        self._commits = Commits(database)
        self._saving = Saving(vault, self._commits, config.node)
        self.save = self._saving.save
        self._admission = Admission(config, clock, database, self._commits)
        codes = ClaimCodes(database, clock, bus, ownership)
        self.claim = Claims(self._commits, codes, clock.now_ms).claim
        self.about = partial(LinkAbout, database)
        ledgers = DeviceLedgers(database)
        self.ledgers = LedgerConversation(ledgers, clock.now_ms)
        self._keeper = Keeper(self._commits, config.node, self._links)
        self._moves = Moves(self._keeper.write_now)
        self._wheel: Wheel[Callable[[float], None]] = Wheel(
            clock.monotonic(), lambda callback, now_s: callback(now_s)
        )
        self.at = self._wheel.at
        self.announce = bus.publish
        self.updates = Updates(self, config.update_kib_per_s * 1024)
        self._ledger_notices = LedgerNotices(self, ledgers, bus)
        self._attendance = Attendance(
            config, clock, devices, self._keeper, bus, self.at, self.emit, self._by_device.get
        )
        self.presence_row = self._attendance.row_of
        self.came_online = self._attendance.came_online
        self.never_arrived = self._attendance.never_arrived
        self.went_offline = self._attendance.went_offline
        self._sender = Sender()
        self._handshakes = Handshakes(
            server_key,
            self._sender.send,
            self._on_established,
            lambda: len(self._links) < config.max_sessions,
        )
        self._receiver = Receiver(
            self._links, self._by_address, self._by_device, self._ended_devices,
            self._handshakes, self._sender, clock.monotonic,
        )  # fmt: skip
        open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._max_connections = max(1, min(config.max_connections, open_files - SPARE_FILES))
        self.messages_per_s = config.device_messages_per_s
        self._listener = Listener(stream_key, self, messages_per_s=self.messages_per_s)
        self.send = self._sender.send
        self.send_all = self._sender.send_all
        self.mark_dirty = self._keeper.mark_dirty
        self.mark_urgent = self._keeper.mark_urgent
        self._ticker: asyncio.TimerHandle | None = None

    # -- life ----------------------------------------------------------------------------------

    async def start(
        self,
        datagrams: DatagramSocket,
        recent: dict[bytes, list[int]],
        streams: socket.socket | None = None,
    ) -> None:
        """Take over the stored sessions, then listen. `recent`: message ids in the log by session,
        of the last 95 s at least. `streams` is a bound TCP socket, or none."""
        now_ms = self.now_ms()
        holder = self._config.node

        def take_over(connection: Connection) -> int:
            alive_ms = presence.last_alive_ms(connection, holder)
            presence.renew_lease(connection, holder, now_ms)
            store.remove_unfinished(connection, now_ms - UNFINISHED_MS)
            store.adopt_all(connection, holder)
            return now_ms - alive_ms

        outage_ms = await self._database.write(take_over)
        self._sender.open(datagrams)
        for link in restore_links(
            store.list_of(self._database, holder),
            recent,
            vault=self._vault,
            host=self,
            now_s=self.now_s(),
            now_ms=now_ms,
            outage_s=outage_ms / 1000,
        ):
            self._adopt(link)
        if self._links:
            online = self._presence.online_count()
            _log.info("gateway.adopted", sessions=len(self._links), online=online)
        self._attendance.await_the_absent()
        self._receiver.listen(datagrams)
        if streams is not None:
            await self._listener.start(streams)
        self._tick()

    def stop_listening(self) -> None:
        """Take nothing more in. What was taken is still answered, until `stop`."""
        self._receiver.stop_listening()
        self._listener.stop_listening()

    async def stop(self) -> None:
        """Write everything down. Devices are not told: they go on later."""
        if self._ticker is not None:
            self._ticker.cancel()
        while self._admission.tasks:
            await asyncio.gather(*self._admission.tasks, return_exceptions=True)
        self._listener.stop()
        self._admission.flush(is_last=True)
        await self._database.write(self._keeper.last_flush(self.now_s()))
        self._sender.close()

    def online_link(self, device_id: DeviceId) -> Link | None:
        link = self._by_device.get(device_id)
        return link if link is not None and link.is_online else None

    @property
    def is_listening(self) -> bool:
        return self._receiver.is_listening

    @property
    def is_listening_to_streams(self) -> bool:
        return self._listener.is_listening

    def disconnect(self, device_id: DeviceId, reason: str) -> None:
        """End the device's session; it comes back with a full handshake, if it may."""
        link = self._by_device.get(device_id)
        if link is not None:
            link.end(reason)

    # -- sessions ------------------------------------------------------------------------------

    def send_final_again(self, connection_id: bytes) -> None:
        self._handshakes.send_final_again(connection_id)

    def _on_established(
        self,
        established: Established,
        address: bytes,
        send_final: Callable[[ServerRecords], None],
    ) -> None:
        """A device proved its key: store the session, then let it finish the handshake."""
        session = Session(
            established.connection_id,
            established.keys,
            established.peer_public_key,
            has_connection_id=established.has_connection_id,
        )
        records = ServerRecords(
            established.keys,
            established.connection_id,
            highest_received=established.highest_received,
            replay_window=established.replay_window,
            has_connection_id=established.has_connection_id,
        )
        now_ms = self.now_ms()
        exchange = Exchange(next_message_id=random.getrandbits(16))
        link = DatagramLink(
            self,
            session,
            records,
            exchange,
            address,
            adoption=0,
            established_at_ms=now_ms,
            heard_s=self.now_s(),
            ids=DeviceIds(),
        )

        def stored(ok: bool) -> None:
            if ok:
                metrics.handshakes_full.inc()
                self._links[session.connection_id] = link
                if not session.has_connection_id:
                    self._by_address[address] = link
                if len(self._unfinished) >= MAX_UNFINISHED:
                    oldest = next(iter(self._unfinished.values()))
                    oldest.end("no Hello, and too many like it")
                    self._drop(oldest)
                self._unfinished[session.connection_id] = link
                send_final(records)

        self._saving.add(link, stored)

    def _expire_unfinished(self) -> None:
        before_ms = self.now_ms() - UNFINISHED_MS
        while self._unfinished:
            oldest = next(iter(self._unfinished.values()))
            if oldest.established_at_ms > before_ms:
                return
            oldest.end("no Hello")
            self._unfinished.pop(oldest.session.connection_id, None)

    def admit(
        self, link: Link, hello: Hello, then: Callable[[bool], None], failed: Callable[[], None]
    ) -> None:
        """Compare id and key; `then(was_online)` when they belong together, `failed()` when the
        database could not tell."""
        device_id = share_device_id(hello.device_id.hex())
        public_key = link.session.public_key

        def admitted() -> None:
            if link.ended is None:
                self._on_admitted(link, device_id, then)

        def refused(reason: str) -> None:
            transport = refusals.TCP if link.session.is_stream else refusals.UDP
            self._admission.note_refusal(device_id, reason, public_key, transport, link.ip_address)
            link.end(f"refused: {reason}")

        self._admission.admit(device_id, public_key, admitted, refused, failed)

    def _on_admitted(self, link: Link, device_id: DeviceId, then: Callable[[bool], None]) -> None:
        # A command may have registered the device, with its owner, beside the running server.
        self.ownership.refresh(device_id)
        present = self._by_device.get(device_id)
        if present is not None and present.established_at_ms > link.established_at_ms:
            # A Hello that was held up on its way; the device speaks on its newer session.
            link.end("the device has a newer session")
            return
        then(present.is_online if present else self._presence.was_online(device_id))

    def install(self, link: Link) -> None:
        """A Hello is kept: this is the device's session now, and has no subscriptions yet."""
        device_id = link.session.device_id
        assert device_id is not None
        older = self._by_device.get(device_id)
        if older is not link:
            transport = refusals.TCP if link.session.is_stream else refusals.UDP
            self._admission.note_handshake(device_id, transport, link.ip_address)
        if older is not None and older is not link:
            self._replace(older, link)
        self._hub.drop_device(device_id)
        self._unfinished.pop(link.session.connection_id, None)
        self._by_device[device_id] = link
        if isinstance(link, DatagramLink):
            self._handshakes.finish(link.session.connection_id)
            self._keeper.watch_setup(link)
        elif isinstance(link, StreamLink):
            link.stream.on_hello()

    def _replace(self, older: Link, newer: Link) -> None:
        """A newer handshake of the same device wins; nothing needs to be sent."""
        # Two devices with one id and key, a copied image, show themselves by many of these.
        _log.info(
            "session.replaced",
            device_id=older.session.device_id,
            before=older.ip_address,
            now=newer.ip_address,
        )
        older.ended = "replaced by a newer session"
        older.is_online = False
        older.exchange.cancel_all("ended")
        if isinstance(older, DatagramLink):
            self._keeper.drop(older)
            self._drop(older)
        elif isinstance(older, StreamLink):
            # A device that restarted may have left its old connection open (§8.3).
            older.stream.close()

    def _adopt(self, link: DatagramLink) -> None:
        """A session of before the restart: its device is online if it was, and not silent since."""
        self._links[link.session.connection_id] = link
        if not link.session.has_connection_id:
            there = self._by_address.get(link.address)
            # Devices behind one NAT may have had the address one after the other.
            if there is None or there.heard_s <= link.heard_s:
                self._by_address[link.address] = link
        device_id = link.session.device_id
        if device_id is None:
            self._unfinished[link.session.connection_id] = link
            return
        self._by_device[device_id] = link
        if not link.session.settled:
            self._keeper.watch_setup(link)
        for subscription in link.session.subscriptions:
            self.listen(link, subscription)
        if self._presence.was_online(device_id):
            self._attendance.goes_on(device_id, link)
            link.perform(describe.still_to_ask(link.session))
        else:
            link.has_left = True

    def forget(self, link: Link) -> None:
        """The session is over. Over UDP it still answers for a while, to say so."""
        device_id = link.session.device_id
        if device_id is not None and self._by_device.get(device_id) is link:
            del self._by_device[device_id]
            self._hub.drop_device(device_id)
        if isinstance(link, DatagramLink):
            connection_id, adoption = link.session.connection_id, link.adoption
            self._keeper.drop(link)
            self._unfinished.pop(connection_id, None)
            self._commits.submit(
                lambda connection: store.remove(connection, connection_id, adoption),
                lambda ok: None,
            )
            if len(self._ended) >= MAX_ENDED:
                self._drop(next(iter(self._ended)))
            self._ended[link] = self.now_s() + FORGET_ENDED_S
            self._ended_devices[device_id] = link

    def _forget_ended(self, now_s: float) -> None:
        while self._ended and now_s >= self._ended[oldest := next(iter(self._ended))]:
            self._drop(oldest)

    def _drop(self, link: DatagramLink) -> None:
        self._ended.pop(link, None)
        self._links.pop(link.session.connection_id, None)
        if self._ended_devices.get(link.session.device_id) is link:
            del self._ended_devices[link.session.device_id]
        if self._by_address.get(link.address) is link:
            del self._by_address[link.address]

    def on_moved_to(self, link: DatagramLink, address: bytes) -> None:
        """The device speaks from another address now."""
        if not link.session.has_connection_id:
            if self._by_address.get(link.address) is link:
                del self._by_address[link.address]
            self._by_address[address] = link
        link.address = address
        if link.session.has_connection_id:
            self._keeper.mark_urgent(link)
        else:
            self._moves.add(link)

    # -- connections over TCP ------------------------------------------------------------------

    def may_connect(self) -> bool:
        return self._listener.count() < self._max_connections

    def find_stream_key(self, claim: Claim, ip_address: str) -> bytes | None:
        return self._admission.find_stream_key(claim, ip_address)

    def on_stream(
        self, connection: StreamConnection, claim: Claim, key: bytes, session: bytes
    ) -> None:
        """Our side of a handshake has ended; the Hello will prove the device's key."""
        link = StreamLink(
            self,
            Session(os.urandom(CONNECTION_ID_BYTES), None, key),
            Exchange(next_message_id=random.getrandbits(16)),
            connection,
            Channel(session),
            claim.device_id,
            established_at_ms=self.now_ms(),
            heard_s=self.now_s(),
        )
        metrics.handshakes_stream.inc()
        connection.reader = link

    # -- what links ask ------------------------------------------------------------------------

    def log_event(self, link: Link, event: Event, message_id: int) -> None:
        self._accept(event, partial(link.on_logged, message_id))

    def listen(self, link: Link, subscription: Subscribe) -> None:
        device_id = link.session.device_id
        assert device_id is not None
        only_from = subscription.device_id
        self._hub.subscribe_device(
            device_id,
            subscription.prefix,
            link.deliver,
            DeviceId(only_from) if only_from is not None else None,
        )

    def emit(self, device_id: DeviceId, name: str, data: str, version: int) -> None:
        self._events.emit(
            name, data.encode(), device_id, self.ownership.owner_of(device_id), version=version
        )

    def _tick(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        self.turn()

    def turn(self) -> None:
        """Do what is due by now. Called every TICK_S while the gateway runs."""
        now_s = self.now_s()
        self._wheel.turn(now_s)
        self._attendance.turn(now_s)
        if self._keeper.is_due(now_s):
            self._handshakes.expire(now_s)
            self._listener.expire(now_s)
            self._expire_unfinished()
            self._forget_ended(now_s)
            self._admission.flush()
            self._moves.store()
            metrics.devices_online.set(self._presence.online_count())
            self._keeper.flush(now_s, self.now_ms())
