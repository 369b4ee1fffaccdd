"""Telling devices that a ledger was written or redefined (device-protocol.md §6.3).

A device is told only in the session in which it asked for ledgers: other firmware would take the
message for a sign of a broken connection. One notice at a time is on its way to a device; what
comes meanwhile goes with the next one.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog

from cyan.core.bus import Bus
from cyan.core.ids import DeviceId
from cyan.devices.model import DeviceClaimed, DeviceReleased
from cyan.devices.presence import DeviceOnline
from cyan.gateway.link import Link
from cyan.ledgers.model import LedgersRedefined, LedgerWritten, Scope
from cyan.ledgers.sync import DeviceLedgers, Listener
from cyan.wire import coap
from cyan.wire import ledger as wire
from cyan.wire.errors import MisuseError
from cyan.wire.messages import LedgerPost, encode_ledger_post

RETRY_S: Final = 60.0
"""After four sends without an answer, or when too much waits for the device. When it comes back
after it counted as offline it is told at once."""

CATCH_UP_S: Final = 1.0
"""From the start of the server: by then it has taken over its sessions."""

CATCH_UP_MS: Final = 10_000
MAX_CATCH_UP: Final = 1000
"""Which writes before a start are told again: the last ones, far more than are committed before
one is told."""

MAX_NAMES: Final = 10
"""In one notice: of the longest names still a message that every device takes (800 bytes)."""

_log = structlog.get_logger(__name__)


class Links(Protocol):
    """Where live links are found; the gateway."""

    def online_link(self, device_id: DeviceId) -> Link | None: ...
    def at(self, when_s: float, callback: Callable[[float], None]) -> None: ...
    def now_s(self) -> float: ...


class _Notice:
    """What one device is to be told. `is_sent` while one is on its way."""

    __slots__ = ("is_sent", "resets", "stamps")

    def __init__(self) -> None:
        self.stamps: dict[str, int] = {}
        self.resets = False
        self.is_sent = False

    def take(self) -> wire.Request | None:
        """The next thing to say; a reset first, since names may mean something else after it."""
        if self.resets:
            self.resets = False
            return wire.ResetInfo()
        if not self.stamps:
            return None
        names = list(self.stamps)[:MAX_NAMES]
        return wire.NotifyUpdate(tuple(wire.Stamped(name, self.stamps.pop(name)) for name in names))

    def put_back(self, request: wire.Request) -> None:
        """It did not reach the device; what is newer by now stays."""
        if isinstance(request, wire.NotifyUpdate):
            for each in request.ledgers:
                self.stamps.setdefault(each.name, each.last_updated or 0)
        else:
            self.resets = True


class LedgerNotices:
    """Listens to the bus for all devices. Used on the loop only."""

    def __init__(self, links: Links, ledgers: DeviceLedgers, bus: Bus) -> None:
        self._links = links
        self._ledgers = ledgers
        self._notices: dict[DeviceId, _Notice] = {}
        bus.subscribe(LedgerWritten, self._on_written)
        bus.subscribe(LedgersRedefined, self._on_redefined)
        bus.subscribe(DeviceClaimed, self._on_new_owner)
        bus.subscribe(DeviceReleased, self._on_new_owner)
        bus.subscribe(DeviceOnline, self._on_online)
        links.at(links.now_s() + CATCH_UP_S, self._catch_up)

    def _catch_up(self, _now_s: float) -> None:
        """After a start: a write may have been committed by a process that ended before it told.
        A device that knows of it already does nothing."""
        for fact in self._ledgers.last_written(CATCH_UP_MS, MAX_CATCH_UP):
            self._on_written(fact)

    def _on_written(self, fact: LedgerWritten) -> None:
        if fact.scope is Scope.DEVICE:
            one = self._ledgers.find_listener(DeviceId(fact.scope_value))
            listeners: Iterable[Listener] = () if one is None else (one,)
        else:
            listeners = self._ledgers.listeners_of(fact.owner_id)
        for listener in listeners:
            if fact.name in listener.names:
                self._tell(listener, {fact.name: fact.updated_at_ms})

    def _on_redefined(self, fact: LedgersRedefined) -> None:
        for listener in self._ledgers.listeners_of(fact.owner_id):
            self._tell(listener, {}, resets=True)

    def _on_new_owner(self, fact: DeviceClaimed | DeviceReleased) -> None:
        listener = self._ledgers.find_listener(fact.device_id)
        if listener is not None:
            self._tell(listener, {}, resets=True)

    def _on_online(self, fact: DeviceOnline) -> None:
        """Its session may go on after a silence in which notices were lost."""
        self._notices.pop(fact.device_id, None)
        listener = self._ledgers.find_listener(fact.device_id)
        if listener is None or self._link_of(listener) is None:
            return
        stamps: dict[str, int] = {}
        for name in listener.names:
            synced = self._ledgers.find(listener.device_id, name)
            held = None if synced is None else self._ledgers.held(synced)
            if held is not None:
                stamps[name] = held.updated_at_ms
        if stamps:
            self._tell(listener, stamps)

    def _link_of(self, listener: Listener) -> Link | None:
        """The live link of the session in which the device asked."""
        link = self._links.online_link(listener.device_id)
        if link is None or link.session.connection_id != listener.connection_id:
            return None
        return link

    def _tell(self, listener: Listener, stamps: dict[str, int], *, resets: bool = False) -> None:
        link = self._link_of(listener)
        if link is None:
            return
        notice = self._notices.setdefault(listener.device_id, _Notice())
        notice.stamps.update(stamps)
        notice.resets = notice.resets or resets
        self._send(listener, link, notice)

    def _send(self, listener: Listener, link: Link, notice: _Notice) -> None:
        if notice.is_sent or self._notices.get(listener.device_id) is not notice:
            return
        request = notice.take()
        if request is None:
            del self._notices[listener.device_id]
            return
        notice.is_sent = True
        payload = wire.encode_request(request)
        try:
            link.request(
                lambda message_id, token: encode_ledger_post(
                    message_id, token, LedgerPost(payload)
                ),
                self._ended(listener, link, notice, request),
                lambda answer: _log_refusal(listener.device_id, answer),
            )
        except MisuseError as error:
            _log.info("ledger.not_told", device_id=listener.device_id, error=str(error))
            self._ended(listener, link, notice, request)("busy")

    def _ended(
        self, listener: Listener, link: Link, notice: _Notice, request: wire.Request
    ) -> Callable[[str], None]:
        def on_end(how: str) -> None:
            notice.is_sent = False
            if how in ("timeout", "busy"):
                notice.put_back(request)
                link.after(RETRY_S, lambda _now_s: self._again(listener, notice))
            else:
                self._again(listener, notice)

        return on_end

    def _again(self, listener: Listener, notice: _Notice) -> None:
        link = self._link_of(listener)
        if link is not None:
            self._send(listener, link, notice)
        elif self._notices.get(listener.device_id) is notice:
            del self._notices[listener.device_id]


def _log_refusal(device_id: DeviceId, answer: coap.Message) -> None:
    if answer.code >= coap.BAD_REQUEST:
        code = coap.code_text(answer.code)
        _log.info("ledger.notice_refused", device_id=device_id, code=code)
