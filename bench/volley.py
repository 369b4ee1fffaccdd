"""A load that costs its sender next to nothing: datagrams sealed beforehand, side by side.

A call of sendmmsg sends a stretch of them; a call of recvmmsg takes what has come and only counts.
"""

import ctypes
import errno
import os
import socket
import struct

from bench.machine import BenchError

AT_ONCE = 64
"""Datagrams of one system call."""

_SLOT_BYTES = 256
_DONTWAIT = 0x40
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024

# struct mmsghdr of Linux on 64 bits: name, its length, vectors, their count, control and its
# length, flags, then the length of what was moved.
_HEADER = struct.Struct("@PI4xPLPLi4xI4x")
_VECTOR = struct.Struct("@PL")

_library = ctypes.CDLL(None, use_errno=True)
_send = _library.sendmmsg
_send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_receive = _library.recvmmsg
_receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


class _Messages:
    """Headers for `count` datagrams that lie side by side, `step` bytes each."""

    def __init__(self, count: int, step: int) -> None:
        self.contents = ctypes.create_string_buffer(count * step)
        self._vectors = ctypes.create_string_buffer(count * _VECTOR.size)
        self._headers = ctypes.create_string_buffer(count * _HEADER.size)
        content_at = ctypes.addressof(self.contents)
        vector_at = ctypes.addressof(self._vectors)
        self.at = ctypes.addressof(self._headers)
        for i in range(count):
            _VECTOR.pack_into(self._vectors, i * _VECTOR.size, content_at + i * step, step)
            _HEADER.pack_into(
                self._headers, i * _HEADER.size, 0, 0, vector_at + i * _VECTOR.size, 1, 0, 0, 0, 0
            )


class Volley:
    """Datagrams of one size, to be sent in their order."""

    def __init__(self, datagrams: list[bytes]) -> None:
        size = len(datagrams[0])
        if any(len(datagram) != size for datagram in datagrams):
            raise BenchError("The datagrams of a volley have one size.")
        self.count = len(datagrams)
        self._messages = _Messages(self.count, size)
        ctypes.memmove(self._messages.contents, b"".join(datagrams), self.count * size)

    def send(self, udp: socket.socket, start: int, count: int) -> int:
        """Send up to `count` from `start` on; how many the kernel took."""
        sent = 0
        while sent < count:
            at = self._messages.at + (start + sent) * _HEADER.size
            taken = _send(udp.fileno(), at, min(count - sent, AT_ONCE), _DONTWAIT)
            if taken <= 0:
                break
            sent += taken
        return sent


class Counter:
    """Takes datagrams and counts them."""

    def __init__(self) -> None:
        self._messages = _Messages(AT_ONCE, _SLOT_BYTES)

    def receive(self, udp: socket.socket) -> int:
        """How many have come since the last call."""
        count = 0
        while True:
            taken = _receive(udp.fileno(), self._messages.at, AT_ONCE, _DONTWAIT, None)
            if taken > 0:
                count += taken
            elif ctypes.get_errno() != errno.EAGAIN:
                raise BenchError(f"The server is gone: {os.strerror(ctypes.get_errno())}.")
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
