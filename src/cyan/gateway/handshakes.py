"""Handshakes in progress: stateless until the cookie is right, bounded after that."""

import os
from collections.abc import Callable

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from cyan.gateway import metrics
from cyan.gateway.udp import read_address
from cyan.wire.dtls.record import CONNECTION_ID_BYTES, ServerRecords
from cyan.wire.dtls.server import (
    ClientHello,
    Established,
    Refused,
    ServerHandshake,
    has_cookie,
    hello_verify_request,
    make_cookie,
    read_client_hello,
)
from cyan.wire.errors import MalformedError

MAX_IN_PROGRESS = 4096
"""Handshakes past their cookie. Each takes about 4 kB; beyond this the oldest gives way."""

LIFETIME_S = 60.0
"""A device gives up its handshake after about 45 s (device-protocol.md §1.4.2)."""

_ENTROPY_BYTES = 64
_SECRET_BYTES = 32
_CLIENT_HELLO = 1
_HANDSHAKE_TYPE_AT = 13
"""Where the first handshake message's type stands in a datagram: after the record header."""

_log = structlog.get_logger(__name__)


class _Progress:
    """One handshake past its cookie, and the session that came of it."""

    __slots__ = ("address", "connection_id", "handshake", "hello_random", "records", "started_s")

    def __init__(
        self,
        handshake: ServerHandshake,
        hello_random: bytes,
        connection_id: bytes,
        address: bytes,
        started_s: float,
    ) -> None:
        self.handshake = handshake
        self.hello_random = hello_random
        self.connection_id = connection_id
        self.address = address
        self.started_s = started_s
        self.records: ServerRecords | None = None


class Handshakes:
    """Answers handshake datagrams.

    `on_established(established, address, send_final)` is called once for each device that proved
    its key; the session is to be stored before `send_final(records)`.
    """

    def __init__(
        self,
        server_key: ec.EllipticCurvePrivateKey,
        send: Callable[[bytes, bytes], None],
        on_established: Callable[[Established, bytes, Callable[[ServerRecords], None]], None],
        has_room: Callable[[], bool],
    ) -> None:
        self._server_key = server_key
        self._send = send
        self._on_established = on_established
        self._has_room = has_room
        self._secret = os.urandom(_SECRET_BYTES)
        # By address for the plaintext flights, by connection id for a Finished that comes alone.
        self._by_address: dict[bytes, _Progress] = {}
        self._by_connection_id: dict[bytes, _Progress] = {}

    def on_datagram(self, datagram: bytes, address: bytes, now_s: float) -> None:
        """A datagram that begins with a handshake record."""
        if len(datagram) > _HANDSHAKE_TYPE_AT and datagram[_HANDSHAKE_TYPE_AT] == _CLIENT_HELLO:
            self._on_client_hello(datagram, address, now_s)
            return
        progress = self._by_address.get(address)
        if progress is None:
            metrics.dropped_unknown_session.inc()
        else:
            self._feed(progress, datagram)

    def on_protected(self, datagram: bytes, address: bytes) -> bool:
        """A record of a session that does not exist yet; False when it is none of ours."""
        progress = self._by_connection_id.get(datagram[11:19])
        if progress is None or progress.address != address:
            return False
        self._feed(progress, datagram)
        return True

    def on_alert(self, datagram: bytes, address: bytes) -> bool:
        """An alert that is not protected: a board with another server's key gives up with one.
        False when there is no handshake with this address."""
        progress = self._by_address.get(address)
        if progress is None or progress.handshake.established is not None:
            return False
        self._feed(progress, datagram)
        return True

    def send_final_again(self, connection_id: bytes) -> None:
        """The device sent its Finished again: ours was lost."""
        progress = self._by_connection_id.get(connection_id)
        if progress is not None:
            self._send_final(progress)

    def finish(self, connection_id: bytes) -> None:
        """The device speaks on the new session: it has our Finished, and nothing is kept of the
        handshake."""
        progress = self._by_connection_id.get(connection_id)
        if progress is not None:
            self._forget(progress)

    def expire(self, now_s: float) -> None:
        """Forget what takes too long, finished or not."""
        # In order of age, because a dictionary keeps the order of insertion.
        while self._by_address:
            progress = next(iter(self._by_address.values()))
            if now_s - progress.started_s < LIFETIME_S:
                return
            if progress.handshake.established is None:
                metrics.handshakes_failed.inc()
            self._forget(progress)

    def _on_client_hello(self, datagram: bytes, address: bytes, now_s: float) -> None:
        try:
            hello = read_client_hello(datagram)
        except MalformedError:
            metrics.dropped_malformed.inc()
            return
        if not has_cookie(self._secret, address, hello):
            cookie = make_cookie(self._secret, address, hello)
            self._send(hello_verify_request(hello, cookie), address)
            return
        known = self._by_address.get(address)
        if known is not None:
            if known.hello_random == hello.random:
                self._feed(known, datagram)
                return
            self._forget(known)
        self._begin(hello, address, now_s)

    def _begin(self, hello: ClientHello, address: bytes, now_s: float) -> None:
        if not self._has_room():
            metrics.dropped_overload.inc()
            return
        if len(self._by_address) >= MAX_IN_PROGRESS:
            self._forget(next(iter(self._by_address.values())))
            metrics.dropped_overload.inc()
        connection_id = os.urandom(CONNECTION_ID_BYTES)
        try:
            handshake = ServerHandshake(
                hello,
                server_key=self._server_key,
                entropy=os.urandom(_ENTROPY_BYTES),
                connection_id=connection_id,
            )
        except Refused as refusal:
            metrics.handshakes_refused.inc()
            _log.debug("handshake.refused", reason=str(refusal))
            self._send(refusal.alert, address)
            return
        progress = _Progress(handshake, hello.random, connection_id, address, now_s)
        self._by_address[address] = progress
        self._by_connection_id[connection_id] = progress
        self._send(handshake.flight, address)

    def _feed(self, progress: _Progress, datagram: bytes) -> None:
        handshake = progress.handshake
        was_established = handshake.established is not None
        answer = handshake.feed(datagram)
        if answer is not None:
            self._send(answer, progress.address)
        if handshake.failed is not None:
            if handshake.was_key_unknown:
                # The commonest mistake with a new board, and it shows nowhere else.
                metrics.handshakes_wrong_key.inc()
                _log.warning(
                    "handshake.wrong_server_key", address=read_address(progress.address)[0]
                )
            else:
                metrics.handshakes_failed.inc()
                _log.debug("handshake.failed", reason=handshake.failed)
            self._forget(progress)
        elif handshake.established is not None and not was_established:
            self._on_established(
                handshake.established,
                progress.address,
                lambda records: self._on_stored(progress, records),
            )
        elif handshake.final_flight_due:
            self._send_final(progress)

    def _on_stored(self, progress: _Progress, records: ServerRecords) -> None:
        progress.records = records
        self._send_final(progress)

    def _send_final(self, progress: _Progress) -> None:
        established = progress.handshake.established
        # Not stored yet: the flight goes out as soon as it is.
        if established is not None and progress.records is not None:
            self._send(established.final_flight(progress.records), progress.address)

    def _forget(self, progress: _Progress) -> None:
        if self._by_address.get(progress.address) is progress:
            del self._by_address[progress.address]
        self._by_connection_id.pop(progress.connection_id, None)
