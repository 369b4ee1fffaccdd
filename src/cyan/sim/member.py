"""The sockets of one device of a fleet, in the fleet's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, Protocol, cast

from cyan.sim.facts import Fact
from cyan.sim.field import FieldDevice

Address = tuple[str, int]
"""A numeric address and a port."""

MAX_DATAGRAM_BYTES: Final = 2048
DATAGRAMS_AT_ONCE: Final = 64
"""From one socket, before others have their turn."""


class Owner(Protocol):
    """What a member needs of its fleet."""

    loop: asyncio.AbstractEventLoop

    def after(self, index: int) -> None:
        """Input has reached a member: takes care of what follows from it."""

    def flush(self) -> None:
        """Ends a round of inputs."""

    def on_fact(self, device_id: str, fact: Fact) -> None:
        """Takes note of what a device tells."""


class Member:
    """One device's place in the fleet: the host of its datagrams and streams.

    `device` has to be set before anything happens.
    """

    __slots__ = ("_address", "_device_id", "_index", "_owner", "_socket", "_stream", "device")

    device: FieldDevice

    def __init__(self, owner: Owner, index: int, device_id: str, address: Address) -> None:
        self._owner = owner
        self._index = index
        self._device_id = device_id
        self._address = address
        self._socket: socket.socket | None = None
        self._stream: _Stream | None = None

    # What the device asks of its host.

    def send(self, data: bytes) -> None:
        """Sends a datagram, or writes to the stream."""
        if self._stream is not None:
            self._stream.write(data)
        elif self._socket is not None:
            # What a full buffer or a missing route loses is silence to the device.
            with contextlib.suppress(OSError):
                self._socket.sendto(data, self._address)

    def open_port(self) -> None:
        """Goes on from a new port.

        The socket is not connected: a connected one reports the closed port of a dead server as an
        error of the socket, and libuv stops to watch a socket with an error.
        """
        self.close()
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        with contextlib.suppress(OSError):
            opened = socket.socket(family, socket.SOCK_DGRAM)
            opened.setblocking(False)
            self._owner.loop.add_reader(opened.fileno(), self._on_readable)
            self._socket = opened

    def open_stream(self) -> None:
        """Begins to connect."""
        self.close()
        self._stream = _Stream(self._owner.loop, self._address, self._on_bytes, self._on_closed)

    def close_stream(self) -> None:
        """Closes the stream; nothing more arrives on it."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def on_fact(self, fact: Fact) -> None:
        """Takes note."""
        self._owner.on_fact(self._device_id, fact)

    # What the fleet asks.

    def close(self) -> None:
        """Closes whatever is open."""
        self.close_stream()
        if self._socket is not None:
            self._owner.loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _on_readable(self) -> None:
        now = self._owner.loop.time()
        sock = self._socket
        for _ in range(DATAGRAMS_AT_ONCE):
            if sock is None or sock is not self._socket:
                break
            try:
                datagram, sender = sock.recvfrom(MAX_DATAGRAM_BYTES)
            except OSError:
                break
            if sender[:2] == self._address:
                self.device.on_bytes(datagram, now)
        self._done()

    def _on_bytes(self, data: bytes) -> None:
        self.device.on_bytes(data, self._owner.loop.time())
        self._done()

    def _on_closed(self) -> None:
        self._stream = None
        self.device.on_closed(self._owner.loop.time())
        self._done()

    def _done(self) -> None:
        self._owner.after(self._index)
        self._owner.flush()


class _Stream(asyncio.Protocol):
    """A TCP connection, from the first attempt on. After `close` it tells nothing more."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        on_bytes: Callable[[bytes], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._on_bytes = on_bytes
        self._on_closed = on_closed
        self._transport: asyncio.WriteTransport | None = None
        self._is_over = False
        self._connecting = loop.create_task(self._connect(loop, address))

    def write(self, data: bytes) -> None:
        """Sends what there is room for; a server that reads nothing is left by the protocol's own
        timeouts."""
        if self._transport is not None and not self._is_over:
            self._transport.write(data)

    def close(self) -> None:
        """Ends it, after what was written has left."""
        self._is_over = True
        self._connecting.cancel()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the server is there."""
        # uvloop's are no asyncio.WriteTransport by type.
        self._transport = cast(asyncio.WriteTransport, transport)
        if self._is_over:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """asyncio: something came."""
        if not self._is_over:
            self._on_bytes(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: it is closed, whoever did it."""
        self._end()

    async def _connect(self, loop: asyncio.AbstractEventLoop, address: Address) -> None:
        try:
            await loop.create_connection(lambda: self, *address)
        except OSError:
            self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_closed()
