"""What recvmmsg and sendmmsg work on: many datagrams in one system call, packed once."""

import ctypes
import errno
import os
import struct
from typing import Final

from bench.machine import BenchError

AT_ONCE: Final = 64
"""Datagrams of one system call."""

SLOT_BYTES: Final = 2048
"""Room for any datagram of a server: 1152 bytes of content at most, and its headers."""

_DONTWAIT: Final = 0x40

# struct mmsghdr of Linux on 64 bits: name, its length, vectors, their count, control and its
# length, flags, then the length of what was moved.
_HEADER: Final = struct.Struct("@PI4xPLPLi4xI4x")
_LENGTH_AT: Final = 56
_VECTOR: Final = struct.Struct("@PL")

# struct cmsghdr with a struct in_pktinfo: length, level, type; interface, the address of this side
# (to send from), the address in the header (where a received datagram was sent to).
_CONTROL: Final = struct.Struct("@Lii4x4s4s4x")
_CONTROL_BYTES: Final = 28
_IPPROTO_IP: Final = 0
IP_PKTINFO: Final = 8
_SEND_FROM: Final = slice(20, 24)
_SENT_TO: Final = slice(24, 28)

_library: Final = ctypes.CDLL(None, use_errno=True)
_send: Final = _library.sendmmsg
_send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_receive: Final = _library.recvmmsg
_receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


class Messages:
    """Headers for `count` datagrams that lie side by side, `step` bytes for each.

    With `peer` (a sockaddr) they go there, through a socket that need not be connected; with
    `has_control` each has room for the address of this side.
    """

    def __init__(
        self, count: int, step: int, *, peer: bytes = b"", has_control: bool = False
    ) -> None:
        self.count = count
        self._step = step
        self._contents = ctypes.create_string_buffer(count * step)
        self._vectors = ctypes.create_string_buffer(count * _VECTOR.size)
        self._controls = ctypes.create_string_buffer(count * _CONTROL.size if has_control else 0)
        self._headers = ctypes.create_string_buffer(count * _HEADER.size)
        self._peer = ctypes.create_string_buffer(peer, len(peer))
        content_at, vector_at, control_at, peer_at = map(
            ctypes.addressof, (self._contents, self._vectors, self._controls, self._peer)
        )
        self._at = ctypes.addressof(self._headers)
        for i in range(count):
            _VECTOR.pack_into(self._vectors, i * _VECTOR.size, content_at + i * step, step)
            control = (control_at + i * _CONTROL.size, _CONTROL.size) if has_control else (0, 0)
            name = (peer_at, len(peer)) if peer else (0, 0)
            vectors = (vector_at + i * _VECTOR.size, 1)
            _HEADER.pack_into(self._headers, i * _HEADER.size, *name, *vectors, *control, 0, 0)
        self._fresh = self._headers.raw
        self._view = memoryview(self._contents).cast("B")
        self._control_view = memoryview(self._controls).cast("B")
        # As plain numbers: to pack and unpack each would cost as much as to move the datagram.
        self._lengths = memoryview(self._headers).cast("B").cast("I")
        self._vector_lengths = memoryview(self._vectors).cast("B").cast("L")
        if has_control:
            for i in range(count):
                self.put_source(i, bytes(4))

    def fill(self, datagrams: list[bytes]) -> None:
        """All of them at once; each is `step` bytes long."""
        ctypes.memmove(self._contents, b"".join(datagrams), self.count * self._step)

    def put(self, i: int, datagram: bytes, source: bytes) -> None:
        """Datagram `i`, which goes out from the IPv4 address `source`."""
        start = i * self._step
        length = len(datagram)
        self._view[start : start + length] = datagram
        self._vector_lengths[2 * i + 1] = length
        control = i * _CONTROL.size
        self._control_view[control + _SEND_FROM.start : control + _SEND_FROM.stop] = source

    def put_source(self, i: int, source: bytes) -> None:
        """The IPv4 address that datagram `i` goes out from."""
        _CONTROL.pack_into(
            self._controls, i * _CONTROL.size,
            _CONTROL_BYTES, _IPPROTO_IP, IP_PKTINFO, source, bytes(4),
        )  # fmt: skip

    def send(self, file: int, start: int, count: int) -> int:
        """Send up to `count` from `start` on; how many the kernel took."""
        sent = 0
        while sent < count:
            at = self._at + (start + sent) * _HEADER.size
            taken = _send(file, at, min(count - sent, AT_ONCE), _DONTWAIT)
            if taken <= 0:
                break
            sent += taken
        return sent

    def receive(self, file: int) -> int:
        """How many of the next datagrams are here now, at most AT_ONCE. BenchError when the server
        is gone, which only a connected socket tells."""
        taken = int(_receive(file, self._at, min(self.count, AT_ONCE), _DONTWAIT, None))
        if taken >= 0:
            return taken
        if ctypes.get_errno() != errno.EAGAIN:
            raise BenchError(f"The server is gone: {os.strerror(ctypes.get_errno())}.")
        return 0

    def received(self, count: int) -> list[tuple[bytes, bytes]]:
        """The datagrams of the last `receive`: (IPv4 address that it was sent to, datagram).

        Then the headers, which the kernel has written its lengths to, are as before.
        """
        found = []
        view, controls, lengths, step = self._view, self._control_view, self._lengths, self._step
        for i in range(count):
            start = i * step
            length = lengths[(i * _HEADER.size + _LENGTH_AT) // 4]
            control = i * _CONTROL.size
            address = bytes(controls[control + _SENT_TO.start : control + _SENT_TO.stop])
            found.append((address, bytes(view[start : start + length])))
        ctypes.memmove(self._headers, self._fresh, len(self._fresh))
        return found
