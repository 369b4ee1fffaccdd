"""A datagram socket without a kernel: what arrives is put in, what leaves is handed on."""

import os
from collections import deque
from collections.abc import Callable, Sequence

from cyan.gateway.udp import BATCH, Datagram


class MemorySocket:
    """A `DatagramSocket` that the event loop watches like a real one."""

    def __init__(self, carry: Callable[[bytes, bytes], None]) -> None:
        """`carry(content, address)` takes each datagram that leaves."""
        self._carry = carry
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._inbox: deque[Datagram] = deque()
        self._queue: list[Datagram] = []
        self.is_open = True
        self.is_broken = False
        """The kernel has no room: everything that is sent is lost."""

    def arrive(self, content: bytes, address: bytes) -> None:
        """A datagram from `address`; lost when nobody listens."""
        if self.is_open:
            self._inbox.append((content, address))
            os.eventfd_write(self._wake, 1)

    @property
    def is_idle(self) -> bool:
        return not self._inbox and not self._queue

    def fileno(self) -> int:
        return self._wake

    def receive(self) -> list[Datagram]:
        batch = [self._inbox.popleft() for _ in range(min(BATCH, len(self._inbox)))]
        if not self._inbox and batch:
            os.eventfd_read(self._wake)
        return batch

    def send(self, content: bytes, address: bytes) -> None:
        self._queue.append((content, address))
        if len(self._queue) == BATCH:
            self.flush()

    def send_all(self, contents: Sequence[bytes], address: bytes) -> None:
        for content in contents:
            self.send(content, address)

    def flush(self) -> None:
        queue, self._queue = self._queue, []
        if self.is_open and not self.is_broken:
            for content, address in queue:
                self._carry(content, address)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._inbox.clear()
            os.close(self._wake)
