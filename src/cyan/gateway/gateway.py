"""The gateway: all live links of this process, and what they need of it."""

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.core.secrets import Vault
from cyan.devices import keys, presence
from cyan.devices.model import CELLULAR_PLATFORMS
from cyan.devices.ownership import Ownership
from cyan.devices.presence import DeviceOffline, DeviceOnline, Presence, PresenceRow
from cyan.events.hub import Hub
from cyan.events.model import Event
from cyan.events.service import EventService
from cyan.gateway import metrics, store
from cyan.gateway.adoption import purpose, restore_links
from cyan.gateway.commits import Commits
from cyan.gateway.conversation.hello import STATUS_EVENT
from cyan.gateway.deviceids import UNKNOWN, DeviceIds
from cyan.gateway.effects import Work
from cyan.gateway.handshakes import Handshakes
from cyan.gateway.keeper import Keeper
from cyan.gateway.link import Link
from cyan.gateway.receiver import Receiver, Sender
from cyan.gateway.session import FORMAT, Session, encode_cold
from cyan.gateway.udp import DatagramSocket
from cyan.gateway.wheel import TICK_S, Wheel
from cyan.wire.dtls.record import ServerRecords
from cyan.wire.dtls.server import Established
from cyan.wire.exchange import Exchange
from cyan.wire.messages import Hello, Subscribe

UNFINISHED_MS: Final = 120_000
"""A session whose device says no Hello for this long is forgotten (it gives up after 90 s)."""

MAX_UNFINISHED: Final = 4096
"""Sessions that have not said Hello. Anyone with a key of their own can begin one; a device says
Hello at once, so the oldest gives way."""

COME_BACK_S: Final = 30.0
"""Time for a device to be heard after the server was away. Its pings and what it repeats come 25 s
apart at most (session-behaviour.md); the silence of the outage was not the device's."""

FORGET_ENDED_S: Final = 120.0
"""How long an ended session still answers with close_notify, which may have been lost."""

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
        self._bus = bus
        self._ownership = ownership
        self._accept = events.accept
        self.owner_of = ownership.owner_of
        self.now_ms = clock.now_ms
        self.now_s = clock.monotonic
        self.stretch = random.random
        self._links: dict[bytes, Link] = {}
        self._by_device: dict[DeviceId, Link] = {}
        # By age, because a dictionary keeps the order of insertion.
        self._unfinished: dict[bytes, Link] = {}
        self._wheel = Wheel(clock.monotonic())
        self._commits = Commits(database)
        self._keeper = Keeper(self._commits, config.node)
        self._sender = Sender()
        self._handshakes = Handshakes(server_key, self._sender.send, self._on_established)
        self._receiver = Receiver(self._links, self._handshakes, self._sender, clock.monotonic)
        self.send = self._sender.send
        self.mark_dirty = self._keeper.mark_dirty
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.TimerHandle | None = None
        self.at = self._wheel.at

    # -- life ----------------------------------------------------------------------------------

    async def start(self, socket: DatagramSocket, recent: dict[bytes, list[int]]) -> None:
        """Take over the stored sessions, then listen. `recent`: message ids in the log by session,
        of the last 95 s at least."""
        now_ms = self.now_ms()
        holder = self._config.node

        def take_over(connection: Connection) -> tuple[int, list[store.StoredSession]]:
            alive_ms = presence.last_alive_ms(connection, holder)
            presence.renew_lease(connection, holder, now_ms)
            store.remove_unfinished(connection, now_ms - UNFINISHED_MS)
            return now_ms - alive_ms, store.adopt_all(connection, holder)

        outage_ms, rows = await self._database.write(take_over)
        self._sender.open(socket)
        for link in restore_links(
            rows,
            recent,
            vault=self._vault,
            host=self,
            now_s=self.now_s(),
            now_ms=now_ms,
            outage_s=outage_ms / 1000,
        ):
            self._adopt(link)
        if rows:
            online = self._presence.online_count()
            _log.info("gateway.adopted", sessions=len(self._links), online=online)
        self._receiver.listen(socket)
        self._tick()

    def stop_listening(self) -> None:
        """Take nothing more in. What was taken is still answered, until `stop`."""
        self._receiver.stop_listening()

    async def stop(self) -> None:
        """Write everything down. Devices are not told: they go on later."""
        if self._ticker is not None:
            self._ticker.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._database.write(self._keeper.last_flush(self.now_s()))
        self._sender.close()

    def online_link(self, device_id: DeviceId) -> Link | None:
        link = self._by_device.get(device_id)
        return link if link is not None and link.is_online else None

    @property
    def is_listening(self) -> bool:
        return self._receiver.is_listening

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
        session = Session(established.connection_id, established.keys, established.peer_public_key)
        records = ServerRecords(
            established.keys,
            established.connection_id,
            highest_received=established.highest_received,
            replay_window=established.replay_window,
        )
        now_ms = self.now_ms()
        exchange = Exchange(
            next_message_id=random.getrandbits(16), first_token=random.getrandbits(8)
        )
        link = Link(
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
        row = store.StoredSession(
            connection_id=session.connection_id,
            device_id=None,
            format=FORMAT,
            cold=self._vault.seal(encode_cold(session), purpose(session.connection_id)),
            holder=self._config.node,
            adoption=0,
            highest_received=records.highest_received,
            replay_window=records.replay_window.to_bytes(8, "big"),
            device_message_id=UNKNOWN,
            next_message_id=exchange.next_message_id,
            address=address,
            settled=False,
            heard_at_ms=now_ms,
            established_at_ms=now_ms,
        )

        def stored(ok: bool) -> None:
            if ok:
                metrics.handshakes_full.inc()
                self._links[session.connection_id] = link
                if len(self._unfinished) >= MAX_UNFINISHED:
                    oldest = next(iter(self._unfinished.values()))
                    oldest.end("no Hello, and too many like it")
                    self._drop(oldest.session.connection_id, self.now_s())
                self._unfinished[session.connection_id] = link
                self.at(link.heard_s + UNFINISHED_MS / 1000, partial(self._on_unfinished, link))
                send_final(records)

        self._commits.submit(lambda connection: store.add(connection, row), stored)

    def _on_unfinished(self, link: Link, _now_s: float) -> None:
        device_id = link.session.device_id
        if device_id is None or self._by_device.get(device_id) is not link:
            link.end("no Hello")

    def admit(
        self, link: Link, hello: Hello, then: Callable[[bool], None], failed: Callable[[], None]
    ) -> None:
        """Compare id and key; `then(was_online)` when they belong together, `failed()` when the
        database could not tell."""
        device_id = DeviceId(hello.device_id.hex())
        try:
            is_own = keys.is_pinned(self._database, device_id, link.session.public_key)
        except Exception:
            _log.exception("device.admission_failed", claimed_device_id=device_id)
            failed()
            return
        if is_own:
            self._on_admitted(link, device_id, then)
            return
        pinning = self._pin(link, device_id, then, failed)
        task = asyncio.get_running_loop().create_task(pinning)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pin(
        self,
        link: Link,
        device_id: DeviceId,
        then: Callable[[bool], None],
        failed: Callable[[], None],
    ) -> None:
        """A key that is not known to be this device's: pin it, or refuse it."""
        public_key = link.session.public_key
        try:
            admission = await keys.admit(
                self._database, self._clock, device_id, public_key, self._config.enrolment
            )
        except Exception:
            _log.exception("device.admission_failed", claimed_device_id=device_id)
            failed()
            return
        if link.ended is not None:
            return
        if isinstance(admission, keys.Refused):
            metrics.refused.labels(reason=admission.reason).inc()
            _log.warning(
                "device.refused",
                claimed_device_id=device_id,
                fingerprint=keys.fingerprint(public_key),
                reason=admission.reason,
                address=link.ip_address,
            )
            link.end(f"refused: {admission.reason}")
            return
        self._on_admitted(link, device_id, then)

    def _on_admitted(self, link: Link, device_id: DeviceId, then: Callable[[bool], None]) -> None:
        # A command may have registered the device, with its owner, beside the running server.
        self._ownership.refresh(device_id)
        present = self._by_device.get(device_id)
        if present is not None and present.established_at_ms > link.established_at_ms:
            # A Hello that was held up on its way; the device speaks on its newer session.
            link.end("the device has a newer session")
            return
        then(present is not None and present.is_online)

    def install(self, link: Link) -> None:
        """A Hello is kept: this is the device's session now, and has no subscriptions yet."""
        device_id = link.session.device_id
        assert device_id is not None
        older = self._by_device.get(device_id)
        if older is not None and older is not link:
            self._replace(older)
        self._hub.drop_device(device_id)
        self._unfinished.pop(link.session.connection_id, None)
        self._by_device[device_id] = link
        self._keeper.watch_setup(link)

    def _replace(self, older: Link) -> None:
        """A newer handshake of the same device wins; nothing needs to be sent."""
        older.ended = "replaced by a newer session"
        older.is_online = False
        older.exchange.cancel_all("ended")
        self._links.pop(older.session.connection_id, None)
        self._keeper.drop(older)

    def _adopt(self, link: Link) -> None:
        """A session of before the restart: its device is online if it was, and not silent since."""
        self._links[link.session.connection_id] = link
        device_id = link.session.device_id
        if device_id is None:
            self._unfinished[link.session.connection_id] = link
            self.at(self.now_s() + UNFINISHED_MS / 1000, partial(self._on_unfinished, link))
            return
        self._by_device[device_id] = link
        if not link.session.settled:
            self._keeper.watch_setup(link)
        for subscription in link.session.subscriptions:
            self.listen(link, subscription)
        if self._presence.was_online(device_id):
            link.is_online = True
            self._presence.came_online(device_id, link)
            self._schedule_silence(link, not_before_s=self.now_s() + COME_BACK_S)
        else:
            link.has_left = True

    def forget(self, link: Link) -> None:
        """The session is over. It still answers for a while, to say so."""
        connection_id, device_id = link.session.connection_id, link.session.device_id
        adoption = link.adoption
        self._keeper.drop(link)
        self._unfinished.pop(connection_id, None)
        if device_id is not None and self._by_device.get(device_id) is link:
            del self._by_device[device_id]
            self._hub.drop_device(device_id)
        self._commits.submit(
            lambda connection: store.remove(connection, connection_id, adoption), lambda ok: None
        )
        self.at(self.now_s() + FORGET_ENDED_S, partial(self._drop, connection_id))

    def _drop(self, connection_id: bytes, _now_s: float) -> None:
        self._links.pop(connection_id, None)

    def save(self, link: Link, works: Sequence[Work], then: Callable[[bool], None]) -> None:
        """Commit the session's cold part and `works` together."""
        session = link.session
        cold = self._vault.seal(encode_cold(session), purpose(session.connection_id))
        device_id = session.device_id

        def work(connection: Connection) -> None:
            saved = store.save_cold(
                connection,
                session.connection_id,
                link.adoption,
                device_id=device_id,
                format_number=FORMAT,
                cold=cold,
            )
            if not saved:
                raise LookupError("the session has another holder, or is gone")
            for part in works:
                part(connection)

        self._commits.submit(work, then)

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
        self._events.emit(name, data.encode(), device_id, self.owner_of(device_id), version=version)

    def presence_row(self, link: Link, device_id: DeviceId, *, online: bool) -> PresenceRow:
        return PresenceRow(
            device_id=device_id,
            online=online,
            holder=self._config.node,
            adoption=link.adoption,
            last_heard_ms=link.last_heard_ms,
            last_handshake_ms=link.last_handshake_ms,
            ip_address=link.ip_address,
        )

    def came_online(self, link: Link, stored: PresenceRow | None = None) -> None:
        device_id = link.session.device_id
        assert device_id is not None
        self._presence.came_online(device_id, link)
        if stored is None:
            self._note_presence(link, device_id, online=True)
        else:
            self._presence.remember(stored)
        self._schedule_silence(link)
        self._bus.publish(DeviceOnline(device_id))
        _log.info("device.online", device_id=device_id, address=link.ip_address)

    def went_offline(self, link: Link, reason: str) -> None:
        device_id = link.session.device_id
        assert device_id is not None
        if self._by_device.get(device_id) is not link:
            return
        self._note_presence(link, device_id, online=False)
        self._presence.went_offline(device_id)
        self.emit(device_id, STATUS_EVENT, "offline", link.session.product_version)
        self._bus.publish(DeviceOffline(device_id, reason))
        _log.info("device.offline", device_id=device_id, reason=reason)

    def _note_presence(self, link: Link, device_id: DeviceId, *, online: bool) -> None:
        row = self.presence_row(link, device_id, online=online)
        self._presence.remember(row)
        self._keeper.note_presence(row)

    # -- time ----------------------------------------------------------------------------------

    def silence_limit_s(self, link: Link) -> float:
        """Silence after which this device counts as offline."""
        hello = link.session.hello
        # M-SoM has both radios and counts as cellular: the longer limit holds for it.
        if hello is not None and hello.platform_id in CELLULAR_PLATFORMS:
            return self._config.offline_after_cellular_s
        return self._config.offline_after_wifi_s

    def _schedule_silence(self, link: Link, not_before_s: float = 0.0) -> None:
        link.silence_due_s = max(link.heard_s + self.silence_limit_s(link), not_before_s)
        self.at(link.silence_due_s, partial(self._on_silence, link))

    def _on_silence(self, link: Link, now_s: float) -> None:
        if not link.is_online or link.ended is not None or now_s < link.silence_due_s:
            return
        if now_s - link.heard_s >= self.silence_limit_s(link):
            link.leave("silence")
        else:
            self._schedule_silence(link)

    def _tick(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        self.turn()

    def turn(self) -> None:
        """Do what is due by now. Called every TICK_S while the gateway runs."""
        now_s = self.now_s()
        self._wheel.turn(now_s)
        if self._keeper.is_due(now_s):
            self._handshakes.expire(now_s)
            metrics.devices_online.set(self._presence.online_count())
            self._keeper.flush(now_s, self.now_ms())
