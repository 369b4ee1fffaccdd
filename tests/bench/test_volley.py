"""What the generator sends arrives in order, and what arrives is counted."""

import socket

import pytest

from bench.machine import BenchError
from bench.volley import Counter, Volley, connected_socket

COUNT = 150
"""More than two system calls' worth."""


@pytest.fixture
def server() -> "socket.socket":
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.settimeout(5)
    bound.bind(("127.0.0.1", 0))
    return bound


def test_a_stretch_of_a_volley_arrives_whole_and_in_order(server: socket.socket) -> None:
    datagrams = [b"%05d" % number for number in range(COUNT)]
    volley = Volley(datagrams)
    with server, connected_socket(server.getsockname()) as udp:
        assert volley.send(udp, 10, COUNT - 20) == COUNT - 20
        assert [server.recv(64) for _ in range(COUNT - 20)] == datagrams[10:-10]


def test_answers_are_counted_however_many_came(server: socket.socket) -> None:
    with server, connected_socket(server.getsockname()) as udp:
        counter = Counter()
        assert counter.receive(udp) == 0
        for number in range(COUNT):
            server.sendto(b"answer" * number, udp.getsockname())
        assert counter.receive(udp) == COUNT
        assert counter.receive(udp) == 0


def test_a_server_that_is_gone_is_noticed(server: socket.socket) -> None:
    with connected_socket(server.getsockname()) as udp:
        server.close()
        Volley([b"anyone there"]).send(udp, 0, 1)
        with pytest.raises(BenchError, match="gone"):
            Counter().receive(udp)


def test_a_volley_has_datagrams_of_one_size() -> None:
    with pytest.raises(BenchError):
        Volley([b"1", b"22"])
