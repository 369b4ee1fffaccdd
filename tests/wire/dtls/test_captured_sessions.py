"""Sessions of real firmware: signatures, key derivation, both Finished, every record both ways."""

from hashlib import sha256

import pytest

from cyan.wire.dtls import bodies, key_schedule
from cyan.wire.dtls.handshake import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_VERIFY,
    CLIENT_KEY_EXCHANGE,
    FINISHED,
    SERVER_KEY_EXCHANGE,
    encode_message,
)
from cyan.wire.dtls.hello import (
    decode_hello_verify_request,
    encode_client_hello,
    hello_verify_request,
    read_client_hello,
)
from cyan.wire.dtls.record import (
    APPLICATION_DATA,
    CID,
    HANDSHAKE,
    HEADER_BYTES,
    MOVED_CID,
    DeviceRecords,
    Keys,
    ServerRecords,
    connection_id_of,
)
from tests.wire import vectors
from tests.wire.dtls.captured import CapturedSession, sessions

CONNECTION_ID = bytes.fromhex("a1b2c3d4e5f60718")
"""The test cloud gave the same one to every session."""

with_keys = pytest.mark.parametrize("name", vectors.WITH_MASTER_SECRET)
with_datagrams = pytest.mark.parametrize("name", vectors.WITH_DATAGRAMS)


def keys_of(session: CapturedSession) -> Keys:
    return key_schedule.derive_keys(session.master, *session.randoms)


@with_datagrams
def test_the_servers_key_exchange_is_signed_over_both_randoms(name: str) -> None:
    server_key = bodies.decode_public_key(vectors.SERVER_PUBLIC_KEY)
    for session in sessions(name):
        body = session.body(SERVER_KEY_EXCHANGE)
        randoms = b"".join(session.randoms)
        assert bodies.decode_server_key_exchange(body, randoms, server_key) is not None
        other = bytes([randoms[0] ^ 1]) + randoms[1:]
        assert bodies.decode_server_key_exchange(body, other, server_key) is None


@with_datagrams
def test_the_devices_certificate_is_its_key_and_its_verify_covers_the_transcript(name: str) -> None:
    for session in sessions(name):
        spki = bodies.decode_certificate(session.body(CERTIFICATE))
        assert spki == session.client_key
        assert bodies.encode_certificate(spki) == session.body(CERTIFICATE)
        key = bodies.decode_public_key(spki)
        assert bodies.encode_public_key(key) == spki
        signature = session.body(CERTIFICATE_VERIFY)
        transcript = session.transcript_before(CERTIFICATE_VERIFY)
        assert bodies.is_verified(signature, sha256(transcript).digest(), key)
        assert not bodies.is_verified(signature, sha256(transcript[:-1]).digest(), key)


@with_datagrams
def test_the_devices_hello_is_what_our_client_sends(name: str) -> None:
    for session in sessions(name):
        hello = session.messages[0]
        assert encode_client_hello(session.randoms[0], b"") == hello.body


@with_datagrams
def test_the_devices_key_exchange_is_one_point(name: str) -> None:
    for session in sessions(name):
        body = session.body(CLIENT_KEY_EXCHANGE)
        bodies.decode_client_key_exchange(body)
        assert bodies.encode_client_key_exchange(body[1:]) == body
        assert session.body(CERTIFICATE_REQUEST).endswith(b"\0\0")


@with_keys
def test_both_finished_follow_from_the_master_secret(name: str) -> None:
    for session in sessions(name):
        keys = keys_of(session)
        transcript = session.transcript_before(FINISHED)
        (from_device, first), (from_device_too, second) = session.protected[:2]
        assert (from_device, from_device_too) == (True, False)
        client = encode_message(
            FINISHED,
            session.messages[-1].sequence + 1,
            key_schedule.verify_data(
                session.master, key_schedule.CLIENT_FINISHED, sha256(transcript).digest()
            ),
        ).encoded
        assert ServerRecords(keys, CONNECTION_ID).open(first) == (HANDSHAKE, client)
        opened = DeviceRecords(keys, CONNECTION_ID).open(second)
        assert opened is not None
        content_type, server = opened
        assert content_type == HANDSHAKE
        assert server[12:] == key_schedule.verify_data(
            session.master, key_schedule.SERVER_FINISHED, sha256(transcript + client).digest()
        )


@with_keys
def test_every_record_opens_once_and_seals_again_to_the_byte(name: str) -> None:
    for session in sessions(name):
        keys = keys_of(session)
        server = ServerRecords(keys, CONNECTION_ID)
        device = DeviceRecords(keys, CONNECTION_ID)
        for from_device, record in session.protected:
            sequence = int.from_bytes(record[5:11], "big")
            if from_device:
                assert connection_id_of(record) == CONNECTION_ID
                opened = server.open(record)
                assert opened is not None
                again = DeviceRecords(
                    keys, CONNECTION_ID, send_sequence=sequence, moving=record[0] == MOVED_CID
                )
                assert again.seal(*opened) == record
                assert server.open(record) is None
            else:
                opened = device.open(record)
                assert opened is not None
                assert ServerRecords(keys, CONNECTION_ID, send_sequence=sequence).seal(*opened) == (
                    record
                )
                if opened[0] == APPLICATION_DATA:
                    sealing = ServerRecords(keys, CONNECTION_ID, send_sequence=sequence)
                    assert sealing.seal_data(opened[1]) == record
                assert device.open(record) is None


@with_keys
def test_what_the_records_hold_is_what_the_logs_decoded(name: str) -> None:
    opened_ids = []
    for session in sessions(name):
        keys = keys_of(session)
        server = ServerRecords(keys, CONNECTION_ID)
        for from_device, record in session.protected:
            if from_device:
                opened = server.open(record)
                assert opened is not None
                if opened[0] == APPLICATION_DATA:
                    opened_ids.append(int.from_bytes(opened[1][2:4], "big"))
    logged = [line.message_id for line in vectors.coap_lines(name) if line.from_device]
    assert opened_ids == logged


def test_the_resumed_session_has_records_of_the_moved_type_and_then_ordinary_ones() -> None:
    [session] = sessions("udp-resume-keys.log")
    types = [record[0] for from_device, record in session.protected if from_device]
    moved = [index for index, outer in enumerate(types) if outer == MOVED_CID]
    assert len(moved) == 6
    assert types[-1] == CID


def test_a_retransmitted_hello_is_the_same_hello_in_a_later_record() -> None:
    first, second, *retransmitted = vectors.client_hellos()
    hello = read_client_hello(second)
    assert (hello.message_seq, hello.record_sequence, hello.cookie) == (1, 1, b"C" * 32)
    assert read_client_hello(first).parameters == hello.parameters
    assert retransmitted
    for index, datagram in enumerate(retransmitted):
        again = read_client_hello(datagram)
        assert again.message == hello.message
        assert again.record_sequence == 2 + index


def test_our_hello_with_a_cookie_is_the_devices() -> None:
    first, second, *_ = vectors.client_hellos()
    hello = read_client_hello(second)
    assert encode_client_hello(hello.random, hello.cookie) == second[HEADER_BYTES + 12 :]
    request = hello_verify_request(read_client_hello(first), hello.cookie)
    cookie = decode_hello_verify_request(encode_message(3, 0, request[HEADER_BYTES + 12 :]))
    assert cookie == hello.cookie
