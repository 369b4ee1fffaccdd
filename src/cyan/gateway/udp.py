"""Datagrams in and out, in batches; nothing else.

One foreign call moves up to BATCH datagrams (recvmmsg, sendmmsg): 4.3 µs for an echo where
asyncio's own datagram transport costs 28 to 42 (performance-floors.md §2.1). Where the C library
has no such calls, a plain loop does the same work.

An address is the socket's own form of it (sockaddr) as bytes: a key, kept and compared, never read.
"""

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from typing import Final, Protocol

BATCH: Final = 64
"""Datagrams in one call; more gains nothing (performance-floors.md §2.1)."""

DATAGRAM_BYTES: Final = 2048
"""Room for one datagram: a device's largest is 1152 bytes of content and its headers
(device-protocol.md §1.4.4). What is longer is cut, and fails authentication."""

RECEIVE_BUFFER_BYTES: Final = 8 * 1024 * 1024
"""Asked of the kernel, which may give less: room for a burst while the loop does something else."""

_SOCKADDR_BYTES: Final = {socket.AF_INET: 16, socket.AF_INET6: 28}
_MAPPED: Final = bytes(10) + b"\xff\xff"
"""Before an IPv4 address that reached an IPv6 socket (RFC 4291 §2.5.5.2)."""
_MSG_DONTWAIT: Final = 0x40

Datagram = tuple[bytes, bytes]
"""(content, address)"""


class DatagramSocket(Protocol):
    """A bound UDP socket that never blocks."""

    def fileno(self) -> int: ...

    def receive(self) -> list[Datagram]:
        """Up to BATCH datagrams that have arrived; empty when there is none."""
        ...

    def send(self, content: bytes, address: bytes) -> None:
        """Queue a datagram; it leaves with `flush`, or at once when BATCH are queued."""
        ...

    def send_all(self, contents: Sequence[bytes], address: bytes) -> None:
        """`send` of each, to one address."""
        ...

    def flush(self) -> None:
        """Send what is queued. What the kernel has no room for is lost, as datagrams may be."""
        ...

    def close(self) -> None: ...


def bind(host: str, port: int) -> socket.socket:
    """A bound, non-blocking UDP socket. OSError says why not."""
    info = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
    bound = socket.socket(info[0], socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER_BYTES)
        bound.bind(info[4])
    except OSError:
        bound.close()
        raise
    return bound


def datagram_socket(bound: socket.socket) -> DatagramSocket:
    """The fastest DatagramSocket that this machine has."""
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "recvmmsg") and hasattr(library, "sendmmsg"):
        return BatchedSocket(bound, library)
    return PlainSocket(bound)


def read_address(address: bytes) -> tuple[str, int]:
    """(IP address, port) of a sockaddr, for people to read."""
    (port,) = struct.unpack_from("!H", address, 2)
    if len(address) == _SOCKADDR_BYTES[socket.AF_INET]:
        return socket.inet_ntop(socket.AF_INET, address[4:8]), port
    text = socket.inet_ntop(socket.AF_INET6, address[8:24])
    return text.removeprefix("::ffff:") if "." in text else text, port


def network_of(address: bytes) -> bytes:
    """What one person can have addresses of at will: the IPv4 address, the first half of an IPv6
    one (a /64, RFC 6177)."""
    if len(address) == _SOCKADDR_BYTES[socket.AF_INET]:
        return address[4:8]
    mapped = address[8:24].removeprefix(_MAPPED)
    return mapped if len(mapped) == 4 else address[8:16]


def make_address(family: int, host: str, port: int) -> bytes:
    """The sockaddr of (host, port), as the kernel would give it."""
    head = struct.pack("=H", family) + struct.pack("!H", port)
    if family == socket.AF_INET:
        return head + socket.inet_pton(family, host) + bytes(8)
    return head + bytes(4) + socket.inet_pton(family, host) + bytes(4)


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MessageHeader(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MultipleHeader(ctypes.Structure):
    _fields_ = (("header", _MessageHeader), ("length", ctypes.c_uint))


class _Slots:
    """The arrays that one direction's call works on: headers, vectors, addresses, contents."""

    def __init__(self, name_bytes: int) -> None:
        self.contents = bytearray(BATCH * DATAGRAM_BYTES)
        self.names = bytearray(BATCH * name_bytes)
        self.vectors = (_IoVector * BATCH)()
        self.headers = (_MultipleHeader * BATCH)()
        self._pins = (
            (ctypes.c_char * len(self.contents)).from_buffer(self.contents),
            (ctypes.c_char * len(self.names)).from_buffer(self.names),
        )
        contents_at, names_at = (ctypes.addressof(pin) for pin in self._pins)
        for i in range(BATCH):
            vector, header = self.vectors[i], self.headers[i].header
            vector.base, vector.length = contents_at + i * DATAGRAM_BYTES, DATAGRAM_BYTES
            header.name, header.name_length = names_at + i * name_bytes, name_bytes
            header.vectors, header.vector_count = ctypes.addressof(vector), 1
        # The same memory as plain numbers: an item of a ctypes structure costs ten times as much.
        self.lengths = memoryview(self.headers).cast("B").cast("I")
        self.length_step = ctypes.sizeof(_MultipleHeader) // 4
        self.length_offset = _MultipleHeader.length.offset // 4
        # size_t and unsigned long are of one size wherever these calls exist.
        self.vector_lengths = memoryview(self.vectors).cast("B").cast("L")
        self.at = ctypes.addressof(self.headers)


class BatchedSocket:
    """recvmmsg and sendmmsg through ctypes, on arrays that are packed once."""

    def __init__(self, bound: socket.socket, library: ctypes.CDLL) -> None:
        self._socket = bound
        self._fd = bound.fileno()
        self._name_bytes = _SOCKADDR_BYTES[bound.family]
        self._receive_call = library.recvmmsg
        self._receive_call.argtypes = (
            ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p,
        )  # fmt: skip
        self._send_call = library.sendmmsg
        self._send_call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._in = _Slots(self._name_bytes)
        self._contents = memoryview(self._in.contents)
        self._out = _Slots(self._name_bytes)
        self._queued = 0

    def fileno(self) -> int:
        return self._fd

    def receive(self) -> list[Datagram]:
        slots = self._in
        count = self._receive_call(self._fd, slots.at, BATCH, _MSG_DONTWAIT, None)
        if count <= 0:
            return []
        contents, names, lengths = self._contents, bytes(slots.names), slots.lengths
        step, offset, size = slots.length_step, slots.length_offset, self._name_bytes
        return [
            (
                bytes(
                    contents[i * DATAGRAM_BYTES : i * DATAGRAM_BYTES + lengths[i * step + offset]]
                ),
                names[i * size : i * size + size],
            )
            for i in range(count)
        ]

    def send(self, content: bytes, address: bytes) -> None:
        slots, i, size = self._out, self._queued, self._name_bytes
        start, length = i * DATAGRAM_BYTES, len(content)
        slots.contents[start : start + length] = content
        slots.names[i * size : i * size + size] = address
        slots.vector_lengths[2 * i + 1] = length
        self._queued = i + 1
        if self._queued == BATCH:
            self.flush()

    def send_all(self, contents: Sequence[bytes], address: bytes) -> None:
        slots, size, done = self._out, self._name_bytes, 0
        room, lengths = slots.contents, slots.vector_lengths
        while done < len(contents):
            i = self._queued
            part = contents[done : done + BATCH - i]
            done += len(part)
            slots.names[i * size : (i + len(part)) * size] = address * len(part)
            start = i * DATAGRAM_BYTES
            for content in part:
                length = len(content)
                room[start : start + length] = content
                lengths[2 * i + 1] = length
                start += DATAGRAM_BYTES
                i += 1
            self._queued = i
            if i == BATCH:
                self.flush()

    def flush(self) -> None:
        sent, step = 0, ctypes.sizeof(_MultipleHeader)
        while sent < self._queued:
            at = self._out.at + sent * step
            count = self._send_call(self._fd, at, self._queued - sent, _MSG_DONTWAIT)
            if count > 0:
                sent += count
            elif ctypes.get_errno() in (errno.EAGAIN, errno.ENOBUFS):
                break
            elif ctypes.get_errno() != errno.EINTR:
                sent += 1  # the first one cannot be sent (no route, say); the others may
        self._queued = 0

    def close(self) -> None:
        self._socket.close()


class PlainSocket:
    """The same over one system call a datagram, for any platform."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self._queue: list[Datagram] = []

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> list[Datagram]:
        received: list[Datagram] = []
        for _ in range(BATCH):
            try:
                content, peer = self._socket.recvfrom(DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError:
                continue  # an ICMP error about an earlier datagram; it costs nothing
            received.append((content, make_address(self._socket.family, peer[0], peer[1])))
        return received

    def send(self, content: bytes, address: bytes) -> None:
        self._queue.append((content, address))

    def send_all(self, contents: Sequence[bytes], address: bytes) -> None:
        self._queue.extend((content, address) for content in contents)

    def flush(self) -> None:
        queue, self._queue = self._queue, []
        for content, address in queue:
            try:
                self._socket.sendto(content, read_address(address))
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                    return

    def close(self) -> None:
        self._socket.close()
