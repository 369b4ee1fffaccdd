"""A bad network between a fleet of devices and the server: it loses, doubles and holds back
datagrams both ways, and now and then gives a device another address."""

import heapq
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random
from typing import Final

HOST: Final = "127.0.0.1"
LATE_S: Final = 3.0
"""A datagram that is held back arrives up to so much later."""

_LOOK_S: Final = 0.02
_DATAGRAM_BYTES: Final = 2048

Address = tuple[str, int]


@dataclass(frozen=True)
class Faults:
    """What happens to a datagram, each as a probability, in each direction; and how often a device
    gets another address (None: never)."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    roam_every_s: float | None = None


GOOD: Final = Faults()


class Lossy:
    """Devices send to `port`; the server sees each of them at a port of its own."""

    def __init__(self, server_port: int, seed: int) -> None:
        self.faults = GOOD
        self.lost = self.doubled = self.held_back = self.roamed = 0
        self._server = (HOST, server_port)
        self._random = Random(seed)
        self._selector = selectors.DefaultSelector()
        self._front = self._bind(self._from_device)
        self._backs: dict[Address, socket.socket] = {}
        self._under_way: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def port(self) -> int:
        port: int = self._front.getsockname()[1]
        return port

    def close(self) -> None:
        self._is_closed = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()

    def _run(self) -> None:
        looked_s = time.monotonic()
        while not self._is_closed:
            for key, _ in self._selector.select(_LOOK_S):
                key.data()
            now_s = time.monotonic()
            while self._under_way and self._under_way[0][0] <= now_s:
                heapq.heappop(self._under_way)[2]()
            self._roam(now_s - looked_s)
            looked_s = now_s

    def _roam(self, passed_s: float) -> None:
        every_s = self.faults.roam_every_s
        for device in list(self._backs):
            if every_s is not None and self._random.random() < passed_s / every_s:
                self.roamed += 1
                old = self._backs.pop(device)
                self._selector.unregister(old)
                old.close()

    def _from_device(self) -> None:
        datagram, device = self._front.recvfrom(_DATAGRAM_BYTES)
        back = self._backs.get(device)
        if back is None:
            back = self._backs[device] = self._bind(partial(self._from_server, device))
        self._carry(partial(_send, back, datagram, self._server))

    def _from_server(self, device: Address) -> None:
        datagram = self._backs[device].recv(_DATAGRAM_BYTES)
        self._carry(partial(_send, self._front, datagram, device))

    def _carry(self, arrive: Callable[[], None]) -> None:
        loss, duplication, reordering, late, later = (self._random.random() for _ in range(5))
        if loss < self.faults.loss:
            self.lost += 1
            return
        if duplication < self.faults.duplication:
            self.doubled += 1
            self._plan(later, arrive)
        if reordering < self.faults.reordering:
            self.held_back += 1
            self._plan(late, arrive)
        else:
            arrive()

    def _plan(self, late: float, arrive: Callable[[], None]) -> None:
        due_s = time.monotonic() + late * LATE_S
        heapq.heappush(self._under_way, (due_s, next(self._numbers), arrive))

    def _bind(self, on_readable: Callable[[], None]) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind((HOST, 0))
        self._selector.register(bound, selectors.EVENT_READ, on_readable)
        return bound


def _send(sock: socket.socket, datagram: bytes, address: Address) -> None:
    # A socket that was closed meanwhile is an address that nobody has any more.
    with suppress(OSError):
        sock.sendto(datagram, address)


@contextmanager
def lossy(server_port: int, seed: int) -> Iterator[Lossy]:
    network = Lossy(server_port, seed)
    try:
        yield network
    finally:
        network.close()
