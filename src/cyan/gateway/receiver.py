"""Datagrams to links and handshakes, in batches; what they answer leaves in batches too.

Records of sessions that exist are served first, handshakes after them, so that a restart with many
devices does not drown in its own handshakes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from cyan.core.ids import DeviceId
from cyan.gateway import metrics
from cyan.gateway.datagrams import DatagramLink
from cyan.gateway.fairness import FairQueue
from cyan.gateway.handshakes import Handshakes
from cyan.gateway.link import Link
from cyan.gateway.udp import DatagramSocket, network_of
from cyan.wire.dtls.record import (
    ALERT,
    APPLICATION_DATA,
    CID,
    HANDSHAKE,
    MOVED,
    MOVED_CID,
    split_moved,
    split_records,
)
from cyan.wire.errors import MalformedError

MAX_WAITING_HANDSHAKES: Final = 4096
"""Handshake datagrams that wait for their turn; more are dropped, and come again."""

HANDSHAKES_IN_ONE_GO: Final = 4
"""About 2 ms of the loop, as much as a batch of records, which comes between two of these."""

_PROTECTED: Final = frozenset({CID, MOVED_CID})
_WITHOUT_ID: Final = frozenset({APPLICATION_DATA, MOVED, ALERT})

_log = structlog.get_logger(__name__)


class Sender:
    """Datagrams out: all of one turn of the loop leave together."""

    def __init__(self) -> None:
        self._socket: DatagramSocket | None = None
        self._flush_is_due = False

    def open(self, socket: DatagramSocket) -> None:
        """Send through this socket from now on."""
        self._socket = socket

    def send(self, datagram: bytes, address: bytes) -> None:
        """Queue a datagram. Before `open` and after `close` it is lost, as datagrams may be."""
        socket = self._socket
        if socket is None:
            return
        socket.send(datagram, address)
        if not self._flush_is_due:
            self._flush_soon()

    def send_all(self, datagrams: Sequence[bytes], address: bytes) -> None:
        """`send` of each, to one address."""
        socket = self._socket
        if socket is None:
            return
        socket.send_all(datagrams, address)
        if not self._flush_is_due:
            self._flush_soon()

    def _flush_soon(self) -> None:
        self._flush_is_due = True
        asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        self._flush_is_due = False
        if self._socket is not None:
            self._socket.flush()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.flush()
            self._socket.close()
            self._socket = None


class Receiver:
    """Datagrams in, to whom they belong."""

    def __init__(
        self,
        links: Mapping[bytes, DatagramLink],
        by_address: Mapping[bytes, DatagramLink],
        by_device: Mapping[DeviceId, Link],
        ended_devices: Mapping[DeviceId | None, DatagramLink],
        handshakes: Handshakes,
        sender: Sender,
        now_s: Callable[[], float],
    ) -> None:
        self._links = links
        self._by_address = by_address
        self._by_device = by_device
        self._ended_devices = ended_devices
        self._handshakes = handshakes
        self._sender = sender
        self._now_s = now_s
        self._waiting: FairQueue[tuple[bytes, bytes]] = FairQueue(MAX_WAITING_HANDSHAKES)
        self._handshakes_go_on = False
        self._socket: DatagramSocket | None = None

    @property
    def is_listening(self) -> bool:
        return self._socket is not None

    def listen(self, socket: DatagramSocket) -> None:
        """Take in what arrives."""
        self._socket = socket
        asyncio.get_running_loop().add_reader(socket.fileno(), self.on_readable)

    def stop_listening(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket = None

    def on_readable(self) -> None:
        """Take one batch in; the loop calls again while there is more. Hot path.

        With more of them the first devices would be out of the processor's cache when they are
        answered: with 100,000 sessions that cost a microsecond a message.
        """
        socket = self._socket
        assert socket is not None
        now_s = self._now_s()
        links = self._links
        for datagram, address in socket.receive():
            first = datagram[0] if datagram else 0
            if first in _PROTECTED:
                link = links.get(datagram[11:19])
                if link is None:
                    self._on_unknown(datagram, address)
                    continue
                try:
                    if len(datagram) > 20 and datagram[19] << 8 | datagram[20] == (
                        len(datagram) - 21
                    ):
                        link.on_record(datagram, address, now_s)
                    else:
                        self._on_several(link, datagram, address, now_s)
                except Exception:
                    # One device's message must not cost the others of this batch theirs.
                    _log.exception("device.message_failed", device_id=link.session.device_id)
            elif first == HANDSHAKE:
                self._queue_handshake(datagram, address)
            elif first in _WITHOUT_ID:
                self._on_record_without_id(datagram, address, now_s)
            elif len(datagram) > 1:  # 0 and 1 byte keep a NAT open
                metrics.dropped_malformed.inc()
        if self._waiting and not self._handshakes_go_on:
            self._serve_handshakes()
        self._sender.flush()

    def _on_record_without_id(self, datagram: bytes, address: bytes, now_s: float) -> None:
        """From firmware 3.0 and before: known by its address, or by the id behind the record when
        a session goes on from elsewhere (device-protocol.md §1.4.6)."""
        if datagram[0] == ALERT and self._handshakes.on_alert(datagram, address):
            return
        record, link, has_moved = datagram, self._by_address.get(address), False
        if datagram[0] == MOVED:
            moved = split_moved(datagram)
            if moved is None:
                metrics.dropped_malformed.inc()
                return
            device_id = DeviceId(moved[0].hex())
            found = self._by_device.get(device_id) or self._ended_devices.get(device_id)
            link = found if isinstance(found, DatagramLink) else None
            record, has_moved = moved[1], True
        if link is None or link.session.has_connection_id:
            metrics.dropped_unknown_session.inc()
            return
        try:
            for part in split_records(record):
                link.on_record(part, address, now_s, has_moved)
        except MalformedError:
            metrics.dropped_malformed.inc()
        except Exception:
            _log.exception("device.message_failed", device_id=link.session.device_id)

    def _on_several(
        self, link: DatagramLink, datagram: bytes, address: bytes, now_s: float
    ) -> None:
        try:
            records = split_records(datagram)
        except MalformedError:
            metrics.dropped_malformed.inc()
            return
        for record in records:
            if record[0] in (CID, MOVED_CID) and record[11:19] == link.session.connection_id:
                link.on_record(record, address, now_s)

    def _on_unknown(self, datagram: bytes, address: bytes) -> None:
        if not self._handshakes.on_protected(datagram, address):
            metrics.dropped_unknown_session.inc()

    def _queue_handshake(self, datagram: bytes, address: bytes) -> None:
        if self._waiting.push(network_of(address), (datagram, address)) is not None:
            metrics.dropped_overload.inc()

    def _serve_handshakes(self) -> None:
        now_s = self._now_s()
        waiting = self._waiting
        for _ in range(min(HANDSHAKES_IN_ONE_GO, len(waiting))):
            datagram, address = waiting.pop()
            self._handshakes.on_datagram(datagram, address, now_s)
        self._handshakes_go_on = bool(waiting)
        if waiting:
            asyncio.get_running_loop().call_soon(self._go_on_with_handshakes)

    def _go_on_with_handshakes(self) -> None:
        self._serve_handshakes()
        self._sender.flush()
