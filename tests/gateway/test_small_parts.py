"""Stored sessions, the timing wheel, the server's key, and real sockets."""

import socket
import stat
import time
from pathlib import Path

import pytest

from cyan.gateway.keys import UDP_KEY_FILE, ServerKeyError, open_server_key, padded_public_key
from cyan.gateway.session import (
    FORMAT,
    UnreadableSessionError,
    decode_cold,
    encode_cold,
    without_id,
)
from cyan.gateway.udp import (
    BATCH,
    DATAGRAM_BYTES,
    DatagramSocket,
    PlainSocket,
    bind,
    datagram_socket,
    make_address,
    read_address,
)
from cyan.gateway.wheel import TICK_S, Wheel
from cyan.wire.messages import Subscribe
from cyan.wire.server_key import decode_server_key
from tests.gateway.conversation.scripts import new_session, open_session


def test_a_session_is_stored_and_read_again() -> None:
    session = open_session()
    session.has_system = True
    session.hello = without_id(session.hello)
    session.subscriptions = (Subscribe("fleet/", cbor=True), Subscribe("", device_id="ab" * 12))
    found = decode_cold(session.connection_id, FORMAT, encode_cold(session))
    for name in ("connection_id", "keys", "public_key", "device_id", "hello", "subscriptions"):
        assert getattr(found, name) == getattr(session, name)
    assert (found.has_system, found.has_application) == (True, False)
    before = decode_cold(b"session1", FORMAT, encode_cold(new_session()))
    assert (before.device_id, before.hello) == (None, None)


@pytest.mark.parametrize("stored", [b"", b"\x80", b"nonsense", b"\xc1" * 30])
def test_a_stored_value_that_is_no_session_is_told(stored: bytes) -> None:
    with pytest.raises(UnreadableSessionError, match=f"format {FORMAT}"):
        decode_cold(b"session1", FORMAT, stored)


@pytest.mark.parametrize("format_number", [0, FORMAT + 1])
def test_a_session_of_another_format_is_told(format_number: int) -> None:
    with pytest.raises(UnreadableSessionError, match=f"format {format_number}, not {FORMAT}"):
        decode_cold(b"session1", format_number, encode_cold(open_session()))


def test_the_wheel_hands_out_at_the_first_turn_after_the_time_and_once() -> None:
    called = list[tuple[str, float]]()
    wheel: Wheel[str] = Wheel(1000.0, lambda item, now_s: called.append((item, now_s)))
    wheel.at(1000.35, "first")
    wheel.at(1005.0, "second")
    wheel.at(900.0, "long due")
    wheel.turn(1000.0)
    assert called == []
    wheel.turn(1000.3)
    assert called == [("long due", 1000.3)]
    wheel.turn(1000.35 + TICK_S)
    assert called[1:] == [("first", 1000.35 + TICK_S)]
    wheel.turn(2000.0)
    wheel.turn(3000.0)
    assert called[2:] == [("second", 2000.0)]


def test_an_item_set_while_it_is_handed_out_waits_for_a_later_turn() -> None:
    called = list[float]()

    def again(item: str, now_s: float) -> None:
        called.append(now_s)
        wheel.at(now_s, item)

    wheel: Wheel[str] = Wheel(0.0, again)
    wheel.at(0.5, "again")
    for tick in range(1, 11):
        wheel.turn(tick * 0.15)
    assert 3 <= len(called) <= 8


def test_the_servers_key_is_made_once_and_stays(tmp_path: Path) -> None:
    key = open_server_key(tmp_path)
    assert open_server_key(tmp_path).private_numbers() == key.private_numbers()
    assert stat.S_IMODE((tmp_path / UDP_KEY_FILE).stat().st_mode) == 0o600
    stored = padded_public_key(key, "cloud.example.com", 5684)
    assert len(stored) == 320
    server_key = decode_server_key(stored)
    assert (server_key.host, server_key.port) == ("cloud.example.com", 5684)


def test_a_damaged_server_key_is_told_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / UDP_KEY_FILE
    path.write_text("-----BEGIN PRIVATE KEY-----\nnonsense\n")
    with pytest.raises(ServerKeyError, match=UDP_KEY_FILE):
        open_server_key(tmp_path)
    assert "nonsense" in path.read_text()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("kind", [datagram_socket, PlainSocket])
def test_datagrams_go_in_and_out_with_their_addresses(host: str, kind: type[PlainSocket]) -> None:
    try:
        bound = bind(host, 0)
    except OSError:
        pytest.skip(f"no {host} here")
    served: DatagramSocket = kind(bound)
    peer = bind(host, 0)
    peer.setblocking(True)
    peer.settimeout(5)
    try:
        contents = [b"", b"x", b"y" * 1200, *[bytes((n,)) * 9 for n in range(BATCH)]]
        for content in contents:
            peer.sendto(content, bound.getsockname())
        received: list[tuple[bytes, bytes]] = []
        deadline = time.monotonic() + 5
        while len(received) < len(contents) and time.monotonic() < deadline:
            received += served.receive()
        assert [content for content, _ in received] == contents
        assert served.receive() == []
        address = received[0][1]
        assert read_address(address) == (host, peer.getsockname()[1])
        assert make_address(bound.family, host, peer.getsockname()[1]) == address
        for content in contents:
            served.send(content, address)
        served.flush()
        assert [peer.recv(DATAGRAM_BYTES) for _ in contents] == contents
    finally:
        served.close()
        peer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("kind", [datagram_socket, PlainSocket])
def test_many_datagrams_to_one_address_leave_among_others_in_their_order(
    host: str, kind: type[PlainSocket]
) -> None:
    try:
        served: DatagramSocket = kind(bind(host, 0))
    except OSError:
        pytest.skip(f"no {host} here")
    peers = [bind(host, 0) for _ in range(2)]
    try:
        one, other = (make_address(peer.family, host, peer.getsockname()[1]) for peer in peers)
        many = [bytes((n & 0xFF,)) * (1 + n) for n in range(2 * BATCH + 5)]
        served.send(b"before", one)
        served.send(b"another", other)
        served.send_all(many, one)
        served.send_all([], one)
        served.send(b"after", one)
        served.send_all([b"", b"last"], other)
        served.flush()
        for peer in peers:
            peer.setblocking(True)
            peer.settimeout(5)
        expected = [b"before", *many, b"after"]
        assert [peers[0].recv(DATAGRAM_BYTES) for _ in expected] == expected
        assert [peers[1].recv(DATAGRAM_BYTES) for _ in range(3)] == [b"another", b"", b"last"]
    finally:
        served.close()
        for peer in peers:
            peer.close()


@pytest.mark.parametrize("kind", [datagram_socket, PlainSocket])
def test_what_cannot_be_sent_does_not_hold_up_the_rest(kind: type[PlainSocket]) -> None:
    bound, peer = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
    served: DatagramSocket = kind(bound)
    peer.setblocking(True)
    peer.settimeout(5)
    try:
        port_0 = make_address(socket.AF_INET, "127.0.0.1", 0)
        good = make_address(socket.AF_INET, "127.0.0.1", peer.getsockname()[1])
        served.send(b"nowhere", port_0)
        served.send(b"there", good)
        served.flush()
        assert peer.recv(99) == b"there"
    finally:
        served.close()
        peer.close()


@pytest.mark.parametrize("kind", [datagram_socket, PlainSocket])
def test_a_closed_socket_receives_nothing(kind: type[PlainSocket]) -> None:
    served: DatagramSocket = kind(bind("127.0.0.1", 0))
    served.close()
    assert served.receive() == []
