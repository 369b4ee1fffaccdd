"""The audience counts every reader's events, however their bytes were cut."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.audience import Audience
from bench.machine import BenchError

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n:ok\n\n\r\n"
FRAME = b'event: x\ndata: {"data":"7"}\n\n'


@contextmanager
def _opened(size: int) -> Iterator[tuple[Audience, list[socket.socket]]]:
    """An audience, and the server's ends of its connections."""
    listening = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def serve() -> None:
        for _ in range(size):
            peer, _address = listening.accept()
            peer.recv(4096)
            peer.sendall(HEAD)
            taken.append(peer)

    thread = threading.Thread(target=serve)
    thread.start()
    with Audience(listening.getsockname()[1], "token", size) as audience:
        thread.join()
        listening.close()
        yield audience, taken
    for peer in taken:
        peer.close()


def test_all_are_waited_for_and_each_has_its_moment() -> None:
    with _opened(3) as (audience, peers):
        for peer in peers:
            for start in range(0, len(FRAME), 5):
                peer.sendall(FRAME[start : start + 5])
        assert len(audience.read_until(1)) == 3
        assert audience.counts == [1, 1, 1]


def test_an_event_too_many_spoils_the_figure() -> None:
    with _opened(1) as (audience, (peer,)):
        peer.sendall(FRAME * 2)
        with pytest.raises(BenchError, match="2 events of 1"):
            audience.read_until(1)


def test_events_of_the_next_tick_may_be_here_already() -> None:
    with _opened(1) as (audience, (peer,)):
        peer.sendall(FRAME * 2)
        audience.read_until(1, ahead=1)
        assert audience.read_until(2) == []


def test_a_stream_that_ends_spoils_the_figure() -> None:
    with _opened(1) as (audience, (peer,)):
        peer.close()
        with pytest.raises(BenchError, match="ended"):
            audience.read_until(1)
