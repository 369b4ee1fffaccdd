"""Thousands of peers behind one socket, each with an IPv4 address of its own.

All of 127.0.0.0/8 is this machine, and a datagram can say in its control data which of these
addresses it comes from and which one it was sent to (IP_PKTINFO, ip(7)).
"""

import os
import socket
import struct
from types import TracebackType
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import ec

from cyan.wire.dtls.client import ClientHandshake
from tests.system.peers import device_key

FIRST_ADDRESS: Final = int.from_bytes(socket.inet_aton("127.1.0.1"), "big")
BUFFER_BYTES: Final = 8 * 1024 * 1024
MAX_DATAGRAM_BYTES: Final = 2048
KEY_NUMBER: Final = 77

_IP_PKTINFO: Final = 8
_PKTINFO: Final = struct.Struct("@I4s4s")
"""struct in_pktinfo: interface, address of this side, address in the header."""


class Crowd:
    """Peers 0, 1, 2, … of the UDP port of one server."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._socket.setblocking(False)
        self._socket.bind(("0.0.0.0", 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, peer: int, datagram: bytes) -> bool:
        """From this peer; False when the kernel had no room."""
        source = (FIRST_ADDRESS + peer).to_bytes(4, "big")
        control = (socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(0, source, bytes(4)))
        try:
            self._socket.sendmsg([datagram], [control], 0, self._server)
        except BlockingIOError:
            return False
        return True

    def receive(self) -> list[tuple[int, bytes]]:
        """What has come: (peer, datagram)."""
        received: list[tuple[int, bytes]] = []
        while True:
            try:
                datagram, controls, _, _ = self._socket.recvmsg(MAX_DATAGRAM_BYTES, 128)
            except BlockingIOError:
                return received
            for level, kind, data in controls:
                if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
                    address = int.from_bytes(_PKTINFO.unpack(data)[2], "big")
                    received.append((address - FIRST_ADDRESS, datagram))


def begin_handshake(server_public_key: ec.EllipticCurvePublicKey) -> ClientHandshake:
    """A handshake that differs from all others by its random bytes."""
    return ClientHandshake(
        device_key=device_key(KEY_NUMBER),
        server_public_key=server_public_key,
        entropy=os.urandom(64),
    )
