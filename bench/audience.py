"""Many readers of one person's events, each on a connection of its own, as cheap as can be."""

import select
import socket
import time
from typing import Final

from bench.hosts import address_of
from bench.machine import BenchError

PATH: Final = "/v1/devices/events"
HOST: Final = "127.0.0.1"
OF_AN_ADDRESS: Final = 50
"""Readers that share one, so that no limit of an address is met."""

SILENCE_S: Final = 10.0
_READ_BYTES: Final = 256 * 1024
_EVENT_END: Final = b"}"
"""An event's JSON is one flat object, and nothing else in a stream has a brace."""


class Audience:
    """So many open streams. `counts` has the events that each has had, by its place."""

    def __init__(self, port: int, access_token: str, size: int) -> None:
        self._poll = select.epoll()
        self._sockets: list[socket.socket] = []
        self._by_file: dict[int, int] = {}
        request = (
            f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {access_token}\r\n\r\n"
        ).encode()
        for place in range(size):
            source = socket.inet_ntoa(address_of(place // OF_AN_ADDRESS))
            opened = socket.create_connection((HOST, port), SILENCE_S, (source, 0))
            opened.sendall(request)
            self._sockets.append(opened)
            _read_opening(opened)
            opened.setblocking(False)
            self._by_file[opened.fileno()] = place
            self._poll.register(opened, select.EPOLLIN)
        self.counts = [0] * size

    def read_until(self, count: int, ahead: int = 0) -> list[float]:
        """Returns when every reader has had `count` events in all, and when (perf_counter) each
        had them. Raises BenchError when nothing comes any more, or more than `ahead` beyond."""
        missing = sum(seen < count for seen in self.counts)
        done_at: list[float] = []
        while missing:
            ready = self._poll.poll(SILENCE_S)
            if not ready:
                raise BenchError(f"{missing} readers wait for events that do not come.")
            for file, _ in ready:
                place = self._by_file[file]
                before = self.counts[place]
                after = before + self._read(place)
                self.counts[place] = after
                if before < count <= after:
                    missing -= 1
                    done_at.append(time.perf_counter())
                if after > count + ahead:
                    raise BenchError(f"Reader {place} had {after} events of {count}.")
        return done_at

    def _read(self, place: int) -> int:
        chunk = self._sockets[place].recv(_READ_BYTES)
        if not chunk:
            raise BenchError(f"The server ended stream {place}.")
        return chunk.count(_EVENT_END)

    def close(self) -> None:
        self._poll.close()
        for opened in self._sockets:
            opened.close()

    def __enter__(self) -> "Audience":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_opening(opened: socket.socket) -> None:
    opening = b""
    while b":ok\n\n" not in opening:
        chunk = opened.recv(_READ_BYTES)
        opening += chunk
        if not chunk or not opening.startswith(b"HTTP/1.1 200"[: len(opening)]):
            raise BenchError(f"No stream: {opening!r}")
