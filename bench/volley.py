"""A load that costs its sender next to nothing: datagrams sealed beforehand, side by side.

A call of sendmmsg sends a stretch of them; a call of recvmmsg takes what has come and only counts.
"""

import socket
from collections.abc import Sequence

from bench.hosts import Hosts, address_of
from bench.machine import BenchError
from bench.mmsg import AT_ONCE, SLOT_BYTES, Messages

_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024


class Volley:
    """Datagrams of one size, to be sent in their order.

    They go through a connected socket; or, with `hosts`, through its socket, each from the host of
    the number that stands in `numbers`.
    """

    def __init__(
        self,
        datagrams: list[bytes],
        hosts: Hosts | None = None,
        numbers: Sequence[int] = (),
    ) -> None:
        size = len(datagrams[0])
        if any(len(datagram) != size for datagram in datagrams):
            raise BenchError("The datagrams of a volley have one size.")
        self.count = len(datagrams)
        peer = hosts.server if hosts is not None else b""
        self._messages = Messages(self.count, size, peer=peer, has_control=hosts is not None)
        self._messages.fill(datagrams)
        for i, number in enumerate(numbers):
            self._messages.put_source(i, address_of(number))

    def send(self, udp: socket.socket, start: int, count: int) -> int:
        """Send up to `count` from `start` on; how many the kernel took."""
        return self._messages.send(udp.fileno(), start, count)


class Counter:
    """Takes datagrams and counts them."""

    def __init__(self) -> None:
        self._messages = Messages(AT_ONCE, SLOT_BYTES)

    def receive(self, udp: socket.socket) -> int:
        """How many have come since the last call."""
        count = 0
        while True:
            taken = self._messages.receive(udp.fileno())
            count += taken
            if taken < AT_ONCE:
                return count


def connected_socket(address: tuple[str, int]) -> socket.socket:
    """A socket to one server, with room for a burst."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _RECEIVE_BUFFER_BYTES)
    udp.setblocking(False)
    udp.connect(address)
    return udp
