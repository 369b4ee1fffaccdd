"""A relay between one device and the server, which can lose datagrams and change its address."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

HOST: Final = "127.0.0.1"
_LOOK_S: Final = 0.05
_DATAGRAM_BYTES: Final = 2048


class Relay:
    """The device sends to `port`. While `loses_answers`, nothing that the server sends arrives;
    `lost` counts those datagrams."""

    def __init__(self, server_port: int) -> None:
        self.loses_answers = False
        self.lost = 0
        self._server = (HOST, server_port)
        self._front = _bound()
        self._backs = [_bound()]
        self._device: tuple[str, int] | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def port(self) -> int:
        port: int = self._front.getsockname()[1]
        return port

    def move(self) -> None:
        """From now on the server sees the device at another port, and cannot reach the old one."""
        self._backs.append(_bound())

    def close(self) -> None:
        self._is_closed = True
        self._thread.join()
        for sock in [self._front, *self._backs]:
            sock.close()

    def _run(self) -> None:
        while not self._is_closed:
            back = self._backs[-1]
            readable, _, _ = select.select([self._front, back], [], [], _LOOK_S)
            if self._front in readable:
                datagram, self._device = self._front.recvfrom(_DATAGRAM_BYTES)
                back.sendto(datagram, self._server)
            if back in readable:
                datagram, _ = back.recvfrom(_DATAGRAM_BYTES)
                if self.loses_answers:
                    self.lost += 1
                elif self._device is not None:
                    self._front.sendto(datagram, self._device)


@contextmanager
def relaying(server_port: int) -> Iterator[Relay]:
    relay = Relay(server_port)
    try:
        yield relay
    finally:
        relay.close()


def _bound() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((HOST, 0))
    return bound
