"""Device and server in memory: every way in which a network can treat their datagrams."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyan.wire.dtls.handshake import CERTIFICATE, decode_fragments
from cyan.wire.dtls.record import (
    APPLICATION_DATA,
    CID,
    HANDSHAKE,
    HEADER_BYTES,
    ServerRecords,
    plaintext_record,
    split_records,
)
from cyan.wire.dtls.server import MAX_EARLY_RECORDS, ServerHandshake
from tests.wire.dtls.peers import (
    CONNECTION_ID,
    DELIVER,
    DEVICE_ID,
    DROP,
    LATE,
    TWICE,
    Server,
    assert_they_talk,
    device,
    server_for,
    shake_hands,
)


def without_sequences(datagram: bytes) -> list[bytes]:
    """The plaintext records of a datagram without their sequence numbers."""
    return [
        record[:5] + record[11:] for record in split_records(datagram) if record[3:5] == b"\0\0"
    ]


def sequences(datagram: bytes) -> list[int]:
    return [
        int.from_bytes(record[5:11], "big")
        for record in split_records(datagram)
        if record[3:5] == b"\0\0"
    ]


def is_final_flight_due(server: ServerHandshake, datagram: bytes) -> bool:
    """Whether it is after this datagram, which asks for nothing else."""
    assert server.feed(datagram) is None
    return server.final_flight_due


def test_a_good_network_needs_three_datagrams_of_the_device_and_no_timer() -> None:
    client, server = device(), Server()
    assert shake_hands(client, server) == 0
    assert_they_talk(client, server)


def test_firmware_before_3_1_shakes_hands_without_a_connection_id() -> None:
    client, server = device(offer_connection_id=False), Server()
    assert shake_hands(client, server) == 0
    assert_they_talk(client, server)
    assert client.established is not None
    assert client.established.connection_id == b""
    assert client.established.device_id == DEVICE_ID
    assert server.handshake is not None
    assert server.handshake.established is not None
    assert not server.handshake.established.has_connection_id
    assert server.records is not None
    assert server.records.connection_id == CONNECTION_ID
    assert client.established.seal_data(b"data")[0] == APPLICATION_DATA


@pytest.mark.parametrize("offered", [True, False])
@pytest.mark.parametrize("accepted", [True, False])
def test_the_extended_master_secret_is_used_when_both_sides_want_it(
    offered: bool, accepted: bool
) -> None:
    client = device(offer_extended_master_secret=offered)
    server = Server(accept_extended_master_secret=accepted)
    assert shake_hands(client, server) == 0
    assert_they_talk(client, server)
    hello = split_records(server.handshake.flight)[0] if server.handshake else b""
    assert (b"\x00\x17\x00\x00" in hello) == (offered and accepted)


@pytest.mark.parametrize("offer_connection_id", [True, False])
@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("fault", [DROP, TWICE, LATE])
def test_one_datagram_lost_doubled_or_late_does_not_matter(
    number: int, fault: str, offer_connection_id: bool
) -> None:
    client, server = device(offer_connection_id=offer_connection_id), Server()
    shake_hands(client, server, [DELIVER] * number + [fault])
    assert_they_talk(client, server)


@settings(max_examples=60, deadline=None)
@given(
    faults=st.lists(st.sampled_from([DELIVER, DROP, TWICE, LATE]), max_size=30),
    max_datagram_bytes=st.sampled_from([100, 150, 300, 508, 1280]),
    offer_connection_id=st.booleans(),
)
def test_any_row_of_faults_ends_in_a_session_whatever_the_fragments(
    faults: list[str], max_datagram_bytes: int, offer_connection_id: bool
) -> None:
    client = device(max_datagram_bytes=max_datagram_bytes, offer_connection_id=offer_connection_id)
    server = Server()
    shake_hands(client, server, faults)
    assert_they_talk(client, server)


def test_a_flight_is_cut_into_datagrams_of_the_size_that_was_asked_for() -> None:
    client = device(max_datagram_bytes=100)
    server = server_for(client.start())
    datagrams = client.feed(server.flight)
    assert len(datagrams) == 5
    assert all(len(datagram) <= 100 for datagram in datagrams)
    for datagram in datagrams[::-1]:
        assert server.feed(datagram) is None
    assert server.established is not None


def test_a_device_keeps_to_508_bytes_after_its_second_retransmission() -> None:
    client, server = device(), Server()
    assert shake_hands(client, server, [DELIVER] * 4 + [DROP] * 3) == 3
    assert client.max_datagram_bytes == 508
    assert_they_talk(client, server)


@pytest.mark.parametrize("offer_connection_id", [True, False])
def test_a_finished_that_overtakes_its_flight_waits_for_it(offer_connection_id: bool) -> None:
    client = device(offer_connection_id=offer_connection_id)
    server = server_for(client.start())
    [flight] = client.feed(server.flight)
    *plain, finished = split_records(flight)
    assert finished[0] == (CID if offer_connection_id else HANDSHAKE)
    assert server.feed(finished) is None
    due = [is_final_flight_due(server, record) for record in reversed(plain)]
    assert due == [False] * 3 + [True]
    assert server.established is not None


def test_protected_garbage_before_the_keys_does_not_fill_memory_or_stop_the_handshake() -> None:
    client = device()
    server = server_for(client.start())
    [flight] = client.feed(server.flight)
    garbage = split_records(flight)[-1][:-1] + b"x"
    for _ in range(100):
        assert server.feed(garbage) is None
    assert len(server._early) == MAX_EARLY_RECORDS
    assert server.feed(flight) is None
    assert server.established is not None


def test_a_retransmission_has_the_same_messages_in_later_records() -> None:
    client = device()
    first = client.start()
    [again] = client.retransmit()
    assert without_sequences(again) == without_sequences(first)
    assert (sequences(first), sequences(again)) == ([0], [1])
    server = server_for(first)
    resent = server.feed(again)
    assert resent is not None
    assert without_sequences(resent) == without_sequences(server.flight)
    assert sequences(server.flight) == [0, 1, 2, 3]
    assert sequences(resent) == [4, 5, 6, 7]
    [flight] = client.feed(server.flight)
    [flight_again] = client.retransmit()
    assert without_sequences(flight_again) == without_sequences(flight)
    assert split_records(flight)[-1][:11] == bytes.fromhex("19fefd0001000000000000")
    assert split_records(flight_again)[-1][:11] == bytes.fromhex("19fefd0001000000000001")


def test_the_final_flight_is_due_again_for_a_retransmitted_flight_and_not_for_a_replayed_one() -> (
    None
):
    client = device()
    server = server_for(client.start())
    [flight] = client.feed(server.flight)
    assert is_final_flight_due(server, flight)
    assert not is_final_flight_due(server, flight)
    [again] = client.retransmit()
    assert is_final_flight_due(server, again)
    established = server.established
    assert established is not None
    records = ServerRecords(established.keys, established.connection_id)
    lost, sent = established.final_flight(records), established.final_flight(records)
    assert lost != sent
    assert client.feed(sent) == []
    assert client.established is not None


def test_the_final_flight_of_a_later_holder_is_taken() -> None:
    client, server = device(), Server(first_sequence=3 << 32)
    shake_hands(client, server)
    assert_they_talk(client, server)
    assert client.established is not None
    assert client.established.highest_received == (3 << 32) + 1


def test_a_hello_of_somebody_else_does_not_disturb_a_handshake() -> None:
    client = device()
    hello = client.start()
    server = server_for(hello)
    spoofed = bytearray(hello)
    spoofed[HEADER_BYTES + 12 + 2] ^= 1
    assert server.feed(bytes(spoofed)) is None
    [flight] = client.feed(server.flight)
    server.feed(flight)
    assert server.established is not None


def test_a_contradicting_fragment_of_a_stranger_does_not_stop_the_handshake() -> None:
    client = device()
    server = server_for(client.start())
    [flight] = client.feed(server.flight)
    certificate = split_records(flight)[0]
    [fragment] = decode_fragments(certificate[HEADER_BYTES:])
    assert fragment.type == CERTIFICATE
    message = certificate[HEADER_BYTES:]
    part = message[:9] + (10).to_bytes(3, "big") + message[12:22]
    assert server.feed(plaintext_record(HANDSHAKE, 1, part)) is None
    longer = b"\x0b\x00\x00\xff" + part[4:]
    assert server.feed(plaintext_record(HANDSHAKE, 2, longer)) is None
    assert server.failed is None
    server.feed(flight)
    assert server.established is not None
