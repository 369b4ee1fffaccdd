"""Requests over connections that stay open, as cheaply as can be, each answer looked at.

Who asks does not sleep: to wake a process on another core is paid by who sends to it, in a virtual
machine with more than a bare answer costs, and a fast server would seldom find it asleep.
"""

import select
import socket
import time
from types import TracebackType

from bench.hosts import address_of
from bench.machine import BenchError

SILENCE_S = 5.0
_READ_BYTES = 64 * 1024
_LENGTH = b"content-length: "
_HEAD_END = b"\r\n\r\n"


class Asker:
    """`connections` to one port, each from an address of its own: a server counts by address."""

    def __init__(self, port: int, connections: int) -> None:
        self._sockets: dict[int, socket.socket] = {}
        for index in range(connections):
            connected = socket.create_connection(
                ("127.0.0.1", port), SILENCE_S, (socket.inet_ntoa(address_of(index)), 0)
            )
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[connected.fileno()] = connected
        self._waiting = dict.fromkeys(self._sockets, b"")
        self._poll = select.epoll()
        for file in self._sockets:
            self._poll.register(file, select.EPOLLIN)

    def ask(self, requests: list[bytes]) -> list[bytes]:
        """Send them all, one at a time on each connection; the body of one answer for each.

        Raises BenchError for anything but 200, and when no answer comes.
        """
        bodies: list[bytes] = []
        upcoming = iter(requests)
        for file, connection in self._sockets.items():
            request = next(upcoming, None)
            if request is None:
                break
            self._waiting[file] = b""
            connection.send(request)
        heard_s = time.monotonic()
        while len(bodies) < len(requests):
            ready = self._poll.poll(0)
            if ready:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > SILENCE_S:
                raise BenchError(f"{len(requests) - len(bodies)} requests are not answered.")
            for file, _ in ready:
                body = self._read(file)
                if body is None:
                    continue
                bodies.append(body)
                request = next(upcoming, None)
                if request is not None:
                    self._sockets[file].send(request)
        return bodies

    def _read(self, file: int) -> bytes | None:
        """The body of the answer on this connection, None while it has not come as a whole."""
        chunk = self._sockets[file].recv(_READ_BYTES)
        if not chunk:
            raise BenchError("The server closed a connection.")
        content = self._waiting[file] + chunk
        head, found, body = content.partition(_HEAD_END)
        if found:
            at = head.index(_LENGTH) + len(_LENGTH)
            if len(body) == int(head[at:].partition(b"\r")[0]):
                self._waiting[file] = b""
                if not head.startswith(b"HTTP/1.1 200"):
                    raise BenchError(f"Not answered: {content[:300]!r}")
                return body
        self._waiting[file] = content
        return None

    def __enter__(self) -> "Asker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._poll.close()
        for connected in self._sockets.values():
            connected.close()
