"""The stream's reader finds out when each event was here, however its bytes were cut."""

import socket
import threading

import pytest

from bench.machine import BenchError
from bench.reader import Reader

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n:ok\n\n\r\n"


def _frame(number: int) -> bytes:
    return b'event: x\ndata: {"data":"%016d"}\n\n' % number


def _open(parts: list[bytes]) -> tuple[Reader, socket.socket]:
    """A reader of a server that sends its opening at once, and `parts` when asked."""
    listening = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def serve() -> None:
        peer, _ = listening.accept()
        peer.recv(4096)
        peer.sendall(HEAD)
        taken.append(peer)

    thread = threading.Thread(target=serve)
    thread.start()
    reader = Reader(listening.getsockname()[1], "token")
    thread.join()
    listening.close()
    for part in parts:
        taken[0].sendall(part)
    return reader, taken[0]


def _read_until(reader: Reader, frames: int) -> None:
    while reader.frames < frames:
        reader.on_readable()


def test_every_event_is_found_though_it_came_in_pieces() -> None:
    content = _frame(7) + _frame(8) + _frame(9)
    reader, server = _open([content[index : index + 5] for index in range(0, len(content), 5)])
    with server:
        _read_until(reader, 3)
        arrivals = reader.arrivals()
        reader.close()
    assert list(arrivals) == [7, 8, 9]
    assert arrivals[7] <= arrivals[8] <= arrivals[9]


def test_an_event_that_comes_twice_spoils_the_figure() -> None:
    reader, server = _open([_frame(7) + _frame(7)])
    with server:
        _read_until(reader, 2)
        with pytest.raises(BenchError, match="twice"):
            reader.arrivals()
        reader.close()
