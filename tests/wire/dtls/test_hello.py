"""The stateless part: what a ClientHello must look like, cookies, hellos that are refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire.dtls.alerts import (
    DECODE_ERROR,
    FATAL,
    HANDSHAKE_FAILURE,
    PROTOCOL_VERSION,
    decode_alert,
)
from cyan.wire.dtls.handshake import (
    CLIENT_HELLO,
    SERVER_HELLO,
    encode_fragments,
    encode_message,
)
from cyan.wire.dtls.hello import decode_server_hello, encode_server_hello
from cyan.wire.dtls.record import ALERT, HANDSHAKE, HEADER_BYTES, plaintext_record, split_records
from cyan.wire.dtls.server import (
    ClientHello,
    Refused,
    ServerHandshake,
    has_cookie,
    hello_verify_request,
    make_cookie,
    read_client_hello,
)
from cyan.wire.errors import MalformedError
from tests.wire import vectors

FIRST, WITH_COOKIE, *_ = vectors.client_hellos()
BODY = FIRST[HEADER_BYTES + 12 :]
SECRET = b"secret of the server"
ADDRESS = b"192.0.2.7:5684"
KEY = ec.derive_private_key(7, ec.SECP256R1())


def datagram_of(body: bytes, *, message_seq: int = 0, record_sequence: int = 0) -> bytes:
    message = encode_message(CLIENT_HELLO, message_seq, body)
    return plaintext_record(HANDSHAKE, record_sequence, message.encoded)


def handshake_of(hello: ClientHello) -> ServerHandshake:
    return ServerHandshake(hello, server_key=KEY, entropy=bytes(64), connection_id=b"conn. id")


def test_the_captured_hello_says_what_the_firmware_offers() -> None:
    hello = read_client_hello(FIRST)
    assert hello.version == b"\xfe\xfd"
    assert hello.cipher_suites == (0xC0AE, 0x00FF)
    assert hello.cookie == b""
    assert sorted(hello.extensions) == [10, 11, 13, 19, 20, 254]
    assert hello.message == FIRST[HEADER_BYTES:]


def test_a_request_for_a_cookie_is_smaller_than_the_hello_and_answers_its_numbers() -> None:
    hello = read_client_hello(datagram_of(BODY, record_sequence=5))
    request = hello_verify_request(hello, make_cookie(SECRET, ADDRESS, hello))
    assert len(request) < len(FIRST)
    [record] = split_records(request)
    assert record[:11] == bytes.fromhex("16fefd0000000000000005")
    assert record[HEADER_BYTES : HEADER_BYTES + 6] == bytes.fromhex("030000170000")


def test_a_cookie_comes_back_in_the_same_hello_from_the_same_address() -> None:
    cookie = make_cookie(SECRET, ADDRESS, read_client_hello(FIRST))
    body = BODY[:35] + bytes([len(cookie)]) + cookie + BODY[36:]
    again = read_client_hello(datagram_of(body, message_seq=1))
    assert again.cookie == cookie
    assert has_cookie(SECRET, ADDRESS, again)
    assert not has_cookie(SECRET, b"192.0.2.7:5685", again)
    assert not has_cookie(b"another secret", ADDRESS, again)
    other_random = body[:2] + b"\0" + body[3:]
    assert not has_cookie(SECRET, ADDRESS, read_client_hello(datagram_of(other_random)))
    other_suites = body.replace(b"\xc0\xae\x00\xff", b"\xc0\xae\xc0\xac")
    assert not has_cookie(SECRET, ADDRESS, read_client_hello(datagram_of(other_suites)))
    assert not has_cookie(SECRET, ADDRESS, read_client_hello(FIRST))


def test_a_fragmented_hello_is_malformed() -> None:
    for fragment in encode_fragments(encode_message(CLIENT_HELLO, 0, BODY), 60):
        with pytest.raises(MalformedError):
            read_client_hello(plaintext_record(HANDSHAKE, 0, fragment))


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        FIRST[:-1],
        b"\x15" + FIRST[1:],
        FIRST[:4] + b"\x01" + FIRST[5:],
        plaintext_record(HANDSHAKE, 0, encode_message(SERVER_HELLO, 0, BODY).encoded),
        plaintext_record(HANDSHAKE, 0, FIRST[HEADER_BYTES:] * 2),
        datagram_of(BODY + b"\0"),
        datagram_of(BODY[:-1]),
        datagram_of(BODY, message_seq=17),
        datagram_of(BODY, record_sequence=(1 << 32) + 1),
        datagram_of(BODY[:34] + b"\x21" + bytes(33) + BODY[35:]),
        datagram_of(BODY.replace(b"\0\x04\xc0\xae\0\xff", b"\0\x03\xc0\xae\0")),
        datagram_of(BODY[:-6] + BODY[-12:-6]),  # extension 19 twice
    ],
)
def test_what_is_not_one_whole_hello_is_malformed(datagram: bytes) -> None:
    with pytest.raises(MalformedError):
        read_client_hello(datagram)


@pytest.mark.parametrize(
    ("old", "new", "reason", "description"),
    [
        ("fefd" + BODY[2:34].hex(), "feff" + BODY[2:34].hex(), "DTLS 1.2", PROTOCOL_VERSION),
        ("c0ae", "c0ac", "AES128-CCM8", HANDSHAKE_FAILURE),
        ("00ff0100", "00ff0101", "compression", HANDSHAKE_FAILURE),
        ("000a000400020017", "000a000400020018", "P-256", HANDSHAKE_FAILURE),
        ("000a000400020017", "000a000400030017", "cut off", DECODE_ERROR),
        ("000a000400020017", "fafa000400020017", "P-256", HANDSHAKE_FAILURE),
        ("000804030401", "000804040401", "SHA-256", HANDSHAKE_FAILURE),
        ("0013000201", "fafa000201", "extension 19", HANDSHAKE_FAILURE),
        ("001300020102", "001300020100", "extension 19", HANDSHAKE_FAILURE),
        ("001400020102", "001400020100", "extension 20", HANDSHAKE_FAILURE),
        ("00fe000100", "00fe000107", "id for our records", HANDSHAKE_FAILURE),
    ],
)
def test_a_hello_without_what_we_need_is_refused_by_an_alert(
    old: str, new: str, reason: str, description: int
) -> None:
    body = bytes.fromhex(BODY.hex().replace(old, new, 1))
    assert body != BODY
    hello = read_client_hello(datagram_of(body, record_sequence=4))
    with pytest.raises(Refused, match=reason) as refusal:
        handshake_of(hello)
    [record] = split_records(refusal.value.alert)
    assert record[:11] == bytes.fromhex("15fefd0000000000000004")
    assert record[0] == ALERT
    assert decode_alert(record[HEADER_BYTES:]) == (FATAL, description)
    assert len(refusal.value.alert) < len(body)


@pytest.mark.parametrize("replacement", [b"", b"\0\x36\0\x01\0"], ids=["none", "RFC 9146"])
def test_a_hello_without_extension_254_is_served_without_a_connection_id(
    replacement: bytes,
) -> None:
    length = bytes((0, 0x28 + len(replacement)))
    body = BODY.replace(b"\0\x2d\0\x0d", length + b"\0\x0d").replace(b"\0\xfe\0\x01\0", replacement)
    hello = read_client_hello(datagram_of(body))
    assert not hello.offers_connection_id
    assert handshake_of(hello).established is None
    answer = encode_server_hello(hello, b"r" * 32, b"conn. id")
    extensions = decode_server_hello(encode_message(SERVER_HELLO, 0, answer)).extensions
    assert sorted(extensions) == [11, 19, 20, 0xFF01]


def test_the_server_hello_has_only_extensions_that_were_offered() -> None:
    hello = read_client_hello(FIRST)
    body = encode_server_hello(hello, b"r" * 32, b"conn. id")
    answer = decode_server_hello(encode_message(SERVER_HELLO, 0, body))
    assert answer.random == b"r" * 32
    assert answer.cipher_suite == 0xC0AE
    assert answer.extensions == {
        19: b"\x02",
        20: b"\x02",
        254: b"\x08conn. id",
        0xFF01: b"\0",
        11: b"\x01\0",
    }
    bare = bytes.fromhex(
        BODY.hex()
        .replace("0004c0ae00ff", "0002c0ae")
        .replace("000b00020100", "")
        .replace("001400020102", "")
        .replace("002d000d", "0021000d")
    )
    body = encode_server_hello(read_client_hello(datagram_of(bare)), b"r" * 32, b"conn. id")
    extensions = decode_server_hello(encode_message(SERVER_HELLO, 0, body)).extensions
    assert sorted(extensions) == [19, 254]


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=160).map(datagram_of),
        st.tuples(st.integers(0, len(BODY)), st.binary(max_size=6)).map(
            lambda cut: datagram_of(BODY[: cut[0]] + cut[1] + BODY[cut[0] + len(cut[1]) :])
        ),
    )
)
def test_any_bytes_are_a_hello_or_malformed_and_a_hello_is_served_or_refused(data: bytes) -> None:
    try:
        hello = read_client_hello(data)
    except MalformedError:
        return
    try:
        answer = handshake_of(hello).flight
    except Refused as refusal:
        answer = refusal.alert
    assert HEADER_BYTES < len(answer) < 400
