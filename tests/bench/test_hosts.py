"""Each host has an address of its own, both ways, though all share one socket."""

import select
import socket
from collections.abc import Iterator

import pytest

from bench.hosts import Hosts
from bench.volley import Volley

COUNT = 150
"""More than two system calls' worth."""


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.settimeout(5)
        bound.bind(("127.0.0.1", 0))
        yield bound


def _receive(hosts: Hosts, count: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while len(found) < count:
        assert select.select([hosts.udp], [], [], 5)[0]
        found += hosts.receive()
    return found


def test_a_server_sees_as_many_addresses_as_there_are_hosts(server: socket.socket) -> None:
    with Hosts(server.getsockname()) as hosts:
        for host in range(COUNT):
            hosts.send(host * 500, b"host %d" % host)
        hosts.flush()
        received = [server.recvfrom(64) for _ in range(COUNT)]
    assert [content for content, _ in received] == [b"host %d" % host for host in range(COUNT)]
    assert len({address for _, (address, _) in received}) == COUNT


def test_an_answer_finds_the_host_that_it_is_for(server: socket.socket) -> None:
    with Hosts(server.getsockname()) as hosts:
        for host in (0, 255, 256, 99_999):
            hosts.send(host, b"%d" % host)
        hosts.flush()
        for _ in range(4):
            content, address = server.recvfrom(64)
            server.sendto(b"you are " + content, address)
        assert _receive(hosts, 4) == [
            (host, b"you are %d" % host) for host in (0, 255, 256, 99_999)
        ]


def test_answers_of_any_length_arrive_whole(server: socket.socket) -> None:
    with Hosts(server.getsockname()) as hosts:
        hosts.send(7, b"hello")
        hosts.flush()
        _, address = server.recvfrom(64)
        contents = [bytes((length % 256,)) * length for length in range(1, 1300, 13)]
        for content in contents:
            server.sendto(content, address)
        assert _receive(hosts, len(contents)) == [(7, content) for content in contents]


def test_the_datagrams_of_a_volley_come_from_their_hosts(server: socket.socket) -> None:
    datagrams = [b"%05d" % number for number in range(COUNT)]
    with Hosts(server.getsockname()) as hosts:
        volley = Volley(datagrams, hosts, [number % 3 for number in range(COUNT)])
        assert volley.send(hosts.udp, 0, COUNT) == COUNT
        received = [server.recvfrom(64) for _ in range(COUNT)]
    assert [content for content, _ in received] == datagrams
    assert [address for _, (address, _) in received[:6]] == [
        "127.1.0.0",
        "127.1.0.1",
        "127.1.0.2",
    ] * 2
