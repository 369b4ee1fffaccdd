"""Many devices behind one socket, each with an IP address of its own.

All of 127.0.0.0/8 is this machine. A datagram says in its control data which of these addresses it
comes from, and which one it was sent to (IP_PKTINFO, ip(7)): so a fleet of any size needs one file.
"""

import socket
from collections import deque

from bench.mmsg import AT_ONCE, IP_PKTINFO, SLOT_BYTES, Messages
from cyan.gateway.udp import make_address

_FIRST = int.from_bytes(socket.inet_aton("127.1.0.0"), "big")
_BUFFER_BYTES = 8 * 1024 * 1024


def address_of(host: int) -> bytes:
    """The IPv4 address of a host, from its number (0 to 16 million)."""
    return (_FIRST + host).to_bytes(4, "big")


class Hosts:
    """Hosts 0, 1, 2, … that talk to one server."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.server = make_address(socket.AF_INET, *address)
        """The server's address as a sockaddr."""
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self.udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.udp.setblocking(False)
        self.udp.bind(("0.0.0.0", 0))
        self._in = Messages(AT_ONCE, SLOT_BYTES, has_control=True)
        self._out = Messages(AT_ONCE, SLOT_BYTES, peer=self.server, has_control=True)
        self._queue: deque[tuple[int, bytes]] = deque()

    def send(self, host: int, datagram: bytes) -> None:
        """Queue a datagram; it leaves with `flush`."""
        self._queue.append((host, datagram))

    def flush(self) -> None:
        """Send what is queued; what the kernel has no room for leaves with the next one."""
        queue = self._queue
        while queue:
            count = min(len(queue), AT_ONCE)
            for i in range(count):
                host, datagram = queue[i]
                self._out.put(i, datagram, address_of(host))
            sent = self._out.send(self.udp.fileno(), 0, count)
            for _ in range(sent):
                queue.popleft()
            if sent < count:
                return

    def receive(self) -> list[tuple[int, bytes]]:
        """Up to AT_ONCE datagrams that have come: (host, datagram)."""
        count = self._in.receive(self.udp.fileno())
        return [
            (int.from_bytes(address, "big") - _FIRST, datagram)
            for address, datagram in self._in.received(count)
        ]

    def close(self) -> None:
        self.udp.close()

    def __enter__(self) -> "Hosts":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
