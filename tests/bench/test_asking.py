"""Whoever asks over open connections gets whole answers, however their bytes were cut."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.asking import Asker
from bench.machine import BenchError

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: x\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


@contextmanager
def serving(*answers: list[bytes]) -> Iterator[int]:
    """One connection; each request gets the pieces of the next answer. Then it is closed."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        peer, _ = listening.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer:
            for pieces in answers:
                if not peer.recv(4096):
                    return
                for piece in pieces:
                    peer.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()[1]
    thread.join()
    listening.close()


def test_each_request_has_the_body_of_its_answer() -> None:
    cut = answer(b"second")
    with (
        serving([answer(b"first")], [cut[:5], cut[5:-3], cut[-3:]], [answer(b"")]) as port,
        Asker(port, 1) as asker,
    ):
        assert asker.ask([REQUEST] * 3) == [b"first", b"second", b""]


def test_any_other_status_ends_the_measurement() -> None:
    with (
        serving([answer(b"no", b"429 Too Many Requests")]) as port,
        Asker(port, 1) as asker,
        pytest.raises(BenchError, match="429"),
    ):
        asker.ask([REQUEST])


def test_a_closed_connection_ends_it_too() -> None:
    with (
        serving([b"HTTP/1.1 200 OK\r\n"]) as port,
        Asker(port, 1) as asker,
        pytest.raises(BenchError, match="closed"),
    ):
        asker.ask([REQUEST])
