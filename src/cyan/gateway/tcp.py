"""Connections over TCP: bytes in and out, the handshake before the first message, and bounds.

The RSA of a handshake takes most of a millisecond. It runs in one thread beside the loop, for a few
connections at a time, the sources in turn: a flood of strangers costs at most that one thread.
"""

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from typing import Final, Protocol, cast

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from cyan.gateway import metrics
from cyan.gateway.fairness import FairQueue
from cyan.gateway.udp import make_address, network_of
from cyan.wire.errors import MalformedError
from cyan.wire.lightssl.handshake import (
    NONCE_BYTES,
    REQUEST_BYTES,
    SESSION_BYTES,
    Claim,
    make_response,
    open_request,
)

HANDSHAKE_S: Final = 20.0
"""From the connection to the Hello. A device waits as long for each step (device-protocol.md
§1.3.1)."""

MAX_UNFINISHED: Final = 2048
"""Connections that have not said Hello; one more and the oldest gives way."""

MAX_UNFINISHED_OF_ONE: Final = 512
"""Of these, from one network; a fleet behind one address comes back in a row, not at once."""

MAX_AT_ONCE: Final = 8
"""Requests that the thread answers in one go: the way to it and back, with the wake-ups, costs as
much as a seventh of a handshake. Who comes meanwhile waits 5 ms for them."""

MAX_JOINED_BYTES: Final = 16 * 1024
"""Of what is written to one connection in one turn of the loop, and goes out in one piece."""

BACKLOG: Final = 2048
"""Connections that the kernel accepts for us meanwhile."""

UPDATE_HIGH_BYTES: Final = 8 * 1024
UPDATE_LOW_BYTES: Final = 4 * 1024
"""Of what waits in a connection: above the one an update waits, below the other it goes on."""

_NOTSENT_LOWAT: Final[int | None] = getattr(socket, "TCP_NOTSENT_LOWAT", None)
"""Keeps the kernel from taking whole files: what is sent to a device meanwhile would wait behind
them. Connections have it from the socket that accepts them."""

_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
"""Of Linux; it does not last (tcp(7)), so that it is set for each answer."""

_log = structlog.get_logger(__name__)


class Reader(Protocol):
    """What takes a connection's bytes after the handshake."""

    def on_bytes(self, data: bytes, now_s: float) -> int: ...

    def on_closed(self) -> None: ...

    def on_room(self) -> None:
        """What was written has left, but for little."""
        ...

    @property
    def is_asking(self) -> bool:
        """Whether an answer is awaited."""
        ...


class Door(Protocol):
    """Who is let in; the gateway."""

    def now_s(self) -> float: ...

    def at(self, when_s: float, callback: Callable[[float], None]) -> None: ...

    def may_connect(self) -> bool:
        """Whether there is room for one more connection."""
        ...

    def find_stream_key(self, claim: Claim, ip_address: str) -> bytes | None:
        """The key to answer this claim with; None when it is refused, which has been noted."""
        ...

    def on_stream(self, connection: "Connection", claim: Claim, key: bytes, session: bytes) -> None:
        """The handshake has ended, from our side: the device proves its key with the Hello. A
        `reader` is to be set."""
        ...


class _Step(Enum):
    REQUEST = auto()
    ANSWER = auto()
    OPEN = auto()
    CLOSED = auto()


class Connection(asyncio.Protocol):
    """One connection, from the first byte to the last."""

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._step = _Step.REQUEST
        self._request = bytearray()
        self._nonce = b""
        self._transport: asyncio.Transport | None = None
        self._budget = 0
        self._budget_ends_s = 0.0
        self._joined: list[bytes] = []
        self._joined_bytes = 0
        self.ip_address = ""
        self.network = b""
        """What the peer can have addresses of at will: those of it share their limits."""
        self.reader: Reader | None = None

    # -- what the loop calls -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface without being instances of it.
        self._transport = transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.ip_address = str(peer[0]).removeprefix("::ffff:") if peer else ""
        self.network = _network_of(self.ip_address) if peer else b""
        if not self._listener.admit(self):
            self._step = _Step.CLOSED
            transport.abort()
            return
        self._nonce = os.urandom(NONCE_BYTES)
        transport.write(self._nonce)

    def data_received(self, data: bytes) -> None:
        if self._step is _Step.OPEN:
            self._on_messages(data)
        elif self._step is _Step.REQUEST:
            self._request += data
            if len(self._request) > REQUEST_BYTES:
                # A device sends no more until it has the answer.
                self._fail()
            elif len(self._request) == REQUEST_BYTES:
                self._step = _Step.ANSWER
                self._listener.queue(self)
        elif self._step is _Step.ANSWER:
            self._fail()

    def resume_writing(self) -> None:
        if self.reader is not None:
            self.reader.on_room()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._step = _Step.CLOSED
        self._transport = None
        self._listener.leave(self)
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.on_closed()

    # -- the handshake -------------------------------------------------------------------------

    def open_request(self, key: RSAPrivateKey) -> Claim:
        """Read the device's request. Runs in the listener's thread; raises MalformedError."""
        return open_request(key, self._nonce, bytes(self._request))

    def on_answered(self, claim: Claim, key: bytes, session: bytes, response: bytes) -> None:
        """The answer is made: from now on everything is messages."""
        if self._transport is None:
            return
        self._step = _Step.OPEN
        self._request = bytearray()
        self._transport.write(response)
        self._transport.set_write_buffer_limits(high=UPDATE_HIGH_BYTES, low=UPDATE_LOW_BYTES)
        self._listener.door.on_stream(self, claim, key, session)

    def on_refused(self) -> None:
        """The claim is not answered."""
        self._fail()

    def on_hello(self) -> None:
        """The device has proved itself and said Hello."""
        self._listener.finish(self)

    @property
    def is_waiting(self) -> bool:
        return self._step is _Step.ANSWER

    def _fail(self) -> None:
        metrics.handshakes_failed.inc()
        self.abort()

    # -- messages ------------------------------------------------------------------------------

    def _on_messages(self, data: bytes) -> None:
        reader = self.reader
        if reader is None:
            return
        listener = self._listener
        now_s = listener.now_s()
        if reader.is_asking:
            self._acknowledge_at_once()
        count = reader.on_bytes(data, now_s)
        if now_s >= self._budget_ends_s:
            self._budget, self._budget_ends_s = listener.messages_per_s, now_s + 1
        self._budget -= count
        if self._budget < 0 and self._transport is not None:
            # It has to wait, the longer the more there was in one piece: what it sends stays in its
            # own buffers.
            metrics.dropped_over_rate.inc()
            self._budget_ends_s -= self._budget / listener.messages_per_s
            self._transport.pause_reading()
            listener.door.at(self._budget_ends_s, self._resume)

    def _acknowledge_at_once(self) -> None:
        """A device writes the acknowledgement of a call and then its answer; its kernel keeps the
        second back until ours has acknowledged the first, which ours puts off for 40 ms."""
        if _QUICKACK is not None and self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _resume(self, _now_s: float) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send this at the end of the turn, in one piece with what else there is until then: each
        piece is a call of the system, which costs more than the making of a message. Hot path."""
        if self._transport is None:
            return
        if not self._joined:
            self._listener.flush_soon(self)
        self._joined.append(data)
        self._joined_bytes += len(data)
        if self._joined_bytes >= MAX_JOINED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what was written."""
        joined = self._joined
        if joined and self._transport is not None:
            self._transport.write(joined[0] if len(joined) == 1 else b"".join(joined))
        joined.clear()
        self._joined_bytes = 0

    def unsent_bytes(self) -> int:
        if self._transport is None:
            return 0
        return self._transport.get_write_buffer_size() + self._joined_bytes

    def close(self) -> None:
        """Send what is still to be sent, then close."""
        if self._transport is not None and not self._transport.is_closing():
            self.flush()
            self._transport.close()
            # A peer that does not read would keep it open for ever.
            self._listener.door.at(self._listener.now_s() + HANDSHAKE_S, self._abort_late)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def stop_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _abort_late(self, _now_s: float) -> None:
        self.abort()


def _network_of(ip_address: str) -> bytes:
    host = ip_address.partition("%")[0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return network_of(make_address(family, host, 0))


class Listener:
    """Accepts connections, and runs their handshakes in turn."""

    def __init__(self, key: RSAPrivateKey, door: Door, *, messages_per_s: int) -> None:
        self.door = door
        self.now_s = door.now_s
        self.messages_per_s = messages_per_s
        self._key = key
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tcp-handshake")
        self._waiting: FairQueue[Connection] = FairQueue(MAX_UNFINISHED)
        # Those that need an answer with a key that we knew: their requests are read already.
        self._known: deque[tuple[Connection, Claim, bytes]] = deque()
        self._is_busy = False
        self._is_stopped = False
        self._to_flush: list[Connection] = []
        self._server: asyncio.Server | None = None
        self._all: set[Connection] = set()
        # By age, because a dictionary keeps the order of insertion.
        self._unfinished: dict[Connection, float] = {}
        self._unfinished_by_network: dict[bytes, int] = {}

    async def start(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if _NOTSENT_LOWAT is not None:
            bound.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UPDATE_HIGH_BYTES)
        self._server = await loop.create_server(
            lambda: Connection(self), sock=bound, backlog=BACKLOG
        )

    @property
    def is_listening(self) -> bool:
        return self._server is not None

    def stop_listening(self) -> None:
        """Take nothing more in; connections stay open, so that what was taken can be answered."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in self._all:
            connection.stop_reading()

    def stop(self) -> None:
        """Close every connection. Nobody is told: the devices connect again to the next process."""
        self._is_stopped = True
        for connection in list(self._all):
            connection.reader = None
            connection.close()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def flush_soon(self, connection: Connection) -> None:
        """Flush it at the end of this turn of the loop."""
        if not self._to_flush:
            asyncio.get_running_loop().call_soon(self._flush_all)
        self._to_flush.append(connection)

    def _flush_all(self) -> None:
        to_flush, self._to_flush = self._to_flush, []
        for connection in to_flush:
            connection.flush()

    def count(self) -> int:
        """Connections, whatever they have said."""
        return len(self._all)

    # -- what connections ask ------------------------------------------------------------------

    def admit(self, connection: Connection) -> bool:
        """Whether a new connection may stay."""
        of_one = self._unfinished_by_network.get(connection.network, 0)
        if of_one >= MAX_UNFINISHED_OF_ONE or not self.door.may_connect():
            metrics.dropped_overload.inc()
            return False
        if len(self._unfinished) >= MAX_UNFINISHED:
            metrics.dropped_overload.inc()
            oldest = next(iter(self._unfinished))
            # At once: it is told of its end in the next turn of the loop, others come in this one.
            self.leave(oldest)
            oldest.abort()
        self._all.add(connection)
        self._unfinished[connection] = self.now_s() + HANDSHAKE_S
        self._unfinished_by_network[connection.network] = of_one + 1
        return True

    def expire(self, now_s: float) -> None:
        """Close what takes too long for its handshake and Hello."""
        late = []
        for connection, until_s in self._unfinished.items():
            if until_s > now_s:
                break
            late.append(connection)
        for connection in late:
            metrics.handshakes_failed.inc()
            self.finish(connection)
            connection.abort()

    def finish(self, connection: Connection) -> None:
        """Its handshake is over, in whichever way."""
        if self._unfinished.pop(connection, None) is not None:
            left = self._unfinished_by_network[connection.network] - 1
            if left:
                self._unfinished_by_network[connection.network] = left
            else:
                del self._unfinished_by_network[connection.network]

    def leave(self, connection: Connection) -> None:
        self.finish(connection)
        self._all.discard(connection)

    def queue(self, connection: Connection) -> None:
        """The request is whole: answer it in turn."""
        given_way = self._waiting.push(connection.network, connection)
        if given_way is not None:
            metrics.dropped_overload.inc()
            given_way.abort()
        if not self._is_busy:
            self._serve()

    # -- handshakes in turn --------------------------------------------------------------------

    def _serve(self) -> None:
        """Give the thread the next few, if there are any."""
        works: list[_Work] = []
        while self._known and len(works) < MAX_AT_ONCE:
            works.append(_Work(*self._known.popleft()))
        while self._waiting and len(works) < MAX_AT_ONCE:
            connection = self._waiting.pop()
            if connection.is_waiting:
                works.append(_Work(connection))
        self._is_busy = bool(works)
        if works:
            self._thread.submit(self._work, works, asyncio.get_running_loop())

    def _work(self, works: "Sequence[_Work]", loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: read the requests, and answer those who told their key."""
        for work in works:
            try:
                self._work_on(work)
            except MalformedError:
                work.claim = None
            except Exception:
                _log.exception("tcp.handshake_failed")
                work.claim = None
        loop.call_soon_threadsafe(self._on_done, works)

    def _work_on(self, work: "_Work") -> None:
        if work.claim is None:
            work.claim = work.connection.open_request(self._key)
            work.key = work.claim.public_key
        if work.key is not None:
            work.session = os.urandom(SESSION_BYTES)
            work.response = make_response(self._key, work.key, work.session)

    def _on_done(self, works: "Sequence[_Work]") -> None:
        if self._is_stopped:
            return
        for work in works:
            try:
                self._go_on(work)
            except Exception:
                _log.exception("tcp.handshake_failed")
                work.connection.on_refused()
        self._serve()

    def _go_on(self, work: "_Work") -> None:
        connection, claim = work.connection, work.claim
        if not connection.is_waiting:
            return
        if claim is None:
            connection.on_refused()
            return
        key = self.door.find_stream_key(claim, connection.ip_address)
        if key is None:
            connection.on_refused()
        elif key == work.key:
            connection.on_answered(claim, key, work.session, work.response)
        else:
            # Very old firmware does not send its key: it is answered with the stored one.
            self._known.append((connection, claim, key))


class _Work:
    """A request and what is known of it so far. No claim: it could not be read."""

    __slots__ = ("claim", "connection", "key", "response", "session")

    def __init__(
        self, connection: Connection, claim: Claim | None = None, key: bytes | None = None
    ) -> None:
        self.connection = connection
        self.claim = claim
        self.key = key
        self.session = self.response = b""
