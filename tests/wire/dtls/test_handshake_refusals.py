"""What must end a handshake, on either side, and what must not."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from cyan.wire.dtls.alerts import (
    BAD_CERTIFICATE,
    DECODE_ERROR,
    DECRYPT_ERROR,
    FATAL,
    ILLEGAL_PARAMETER,
    PROTOCOL_VERSION,
    UNEXPECTED_MESSAGE,
    UNSUPPORTED_EXTENSION,
    WARNING,
    decode_alert,
    encode_alert,
    fatal_alert_datagram,
)
from cyan.wire.dtls.bodies import encode_public_key
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.handshake import (
    CERTIFICATE,
    CLIENT_KEY_EXCHANGE,
    FINISHED,
    HELLO_VERIFY_REQUEST,
    SERVER_HELLO,
    encode_message,
)
from cyan.wire.dtls.record import (
    ALERT,
    HANDSHAKE,
    HEADER_BYTES,
    Keys,
    ServerRecords,
    plaintext_record,
    split_records,
)
from cyan.wire.dtls.server import ServerHandshake
from tests.wire.dtls.peers import (
    DEVICE_KEY,
    SERVER_KEY,
    Server,
    assert_they_talk,
    device,
    server_for,
    shake_hands,
)

OTHER_KEY = ec.derive_private_key(0x07E4, ec.SECP256R1())


def begun() -> tuple[ClientHandshake, ServerHandshake, bytes]:
    """A device and a server, and the device's flight that the server has not seen."""
    client = device()
    server = server_for(client.start())
    [flight] = client.feed(server.flight)
    return client, server, flight


def alert_in(datagram: bytes | None) -> tuple[int, int]:
    assert datagram is not None
    [record] = split_records(datagram)
    assert record[0] == ALERT
    assert record[3:5] == b"\0\0"
    return decode_alert(record[HEADER_BYTES:])


def message_datagram(message_type: int, sequence: int, body: bytes) -> bytes:
    return plaintext_record(HANDSHAKE, 9, encode_message(message_type, sequence, body).encoded)


def changed_server_hello(flight: bytes, old: str, new: str) -> bytes:
    """A server's flight with a change in its ServerHello, lengths made right again."""
    hello, *rest = split_records(flight)
    body = hello[HEADER_BYTES + 12 :].hex()
    assert body.count(old) == 1
    body = body.replace(old, new)
    extensions = bytes.fromhex(body)[40:]
    fixed = bytes.fromhex(body)[:38] + len(extensions).to_bytes(2, "big") + extensions
    return plaintext_record(
        HANDSHAKE, 0, encode_message(SERVER_HELLO, 0, fixed).encoded
    ) + b"".join(rest)


def test_a_device_that_shows_a_key_which_is_not_its_own_is_refused() -> None:
    _, server, flight = begun()
    own = encode_public_key(DEVICE_KEY.public_key())
    stolen = encode_public_key(OTHER_KEY.public_key())
    assert alert_in(server.feed(flight.replace(own, stolen))) == (FATAL, DECRYPT_ERROR)
    assert server.failed == "the device did not prove its key"
    assert server.established is None
    assert server.feed(flight) is None
    assert not server.final_flight_due


def test_a_transcript_that_was_changed_on_the_way_is_refused() -> None:
    client = device()
    server = server_for(client.start())
    [flight] = client.feed(changed_server_hello(server.flight, "0014000102", ""))
    assert alert_in(server.feed(flight)) == (FATAL, DECRYPT_ERROR)


def test_a_finished_of_another_transcript_is_refused() -> None:
    client, server, flight = begun()
    assert client._finished is not None
    client._finished = encode_message(FINISHED, client._finished.sequence, b"x" * 12)
    [wrong] = client.retransmit()
    assert alert_in(server.feed(wrong)) == (FATAL, DECRYPT_ERROR)
    assert server.failed == "the device's Finished is wrong"
    assert server.feed(flight) is None
    assert server.established is None


def test_a_finished_in_plaintext_counts_for_nothing() -> None:
    client, server, flight = begun()
    assert client._finished is not None
    *plain, _ccs, finished = split_records(flight)
    assert server.feed(b"".join(plain)) is None
    assert server.feed(plaintext_record(HANDSHAKE, 9, client._finished.encoded)) is None
    assert server.established is None
    assert server.feed(finished) is None
    assert server.established is not None


def test_a_finished_that_is_not_authentic_is_dropped_and_the_real_one_taken() -> None:
    _, server, flight = begun()
    assert server.feed(flight[:-1] + bytes([flight[-1] ^ 1])) is None
    assert (server.established, server.failed) == (None, None)
    assert server.feed(flight) is None
    assert server.established is not None


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0\0",
        b"\0\0\3\0\0\0",
        b"\0\0\x5b" + encode_public_key(DEVICE_KEY.public_key())[:-1] + b"\0",
        b"\0\0\x78"
        + ec.derive_private_key(5, ec.SECP384R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["none", "empty list", "not on the curve", "P-384"],
)
def test_a_device_without_a_p256_key_is_refused(body: bytes) -> None:
    _, server, _ = begun()
    answer = server.feed(message_datagram(CERTIFICATE, 1, body))
    assert alert_in(answer) == (FATAL, BAD_CERTIFICATE)
    assert server.failed is not None
    assert server.failed.startswith("certificate")


@pytest.mark.parametrize(
    ("message_type", "body", "description"),
    [
        (CLIENT_KEY_EXCHANGE, b"\x41" + bytes(65), UNEXPECTED_MESSAGE),
        (99, b"", UNEXPECTED_MESSAGE),
        (CERTIFICATE, b"\0\0\x5b", DECODE_ERROR),
        (CERTIFICATE, b"", DECODE_ERROR),
    ],
)
def test_a_flight_that_breaks_the_protocol_is_refused(
    message_type: int, body: bytes, description: int
) -> None:
    _, server, _ = begun()
    answer = server.feed(message_datagram(message_type, 1, body))
    assert alert_in(answer) == (FATAL, description)


def test_an_ephemeral_key_that_is_no_point_is_refused() -> None:
    _, server, flight = begun()
    server.feed(split_records(flight)[0])
    answer = server.feed(message_datagram(CLIENT_KEY_EXCHANGE, 2, b"\x41\x04" + b"\1" * 64))
    assert alert_in(answer) == (FATAL, DECODE_ERROR)


def test_a_fatal_alert_of_the_device_ends_the_handshake_and_a_warning_does_not() -> None:
    _, server, flight = begun()
    outcomes = []
    for alert in (encode_alert(WARNING, 90), encode_alert(FATAL, UNEXPECTED_MESSAGE)):
        assert server.feed(plaintext_record(ALERT, 5, alert)) is None
        outcomes.append(server.failed)
    assert outcomes == [None, "the peer sent alert 10"]
    assert server.feed(flight) is None
    assert server.established is None


def test_a_plaintext_alert_does_not_touch_an_established_session() -> None:
    _, server, flight = begun()
    server.feed(flight)
    assert server.feed(fatal_alert_datagram(UNEXPECTED_MESSAGE, 9)) is None
    assert server.failed is None


def test_a_wrong_cookie_gets_a_request_again_and_no_state() -> None:
    client, server = device(), Server()
    [request] = server.receive(client.start())
    [hello] = client.feed(request[:-1] + bytes([request[-1] ^ 1]))
    [request_again] = server.receive(hello)
    assert server.handshake is None
    assert request_again[HEADER_BYTES] == HELLO_VERIFY_REQUEST


@pytest.mark.parametrize("version", [b"\xfe\xff", b"\xfe\xfd"])
def test_a_request_for_a_cookie_is_taken_in_either_version_and_only_once(version: bytes) -> None:
    client, server = device(), Server()
    [request] = server.receive(client.start())
    request = request[: HEADER_BYTES + 12] + version + request[HEADER_BYTES + 14 :]
    [hello] = client.feed(request)
    assert client.feed(request) == []
    [flight] = server.receive(hello)
    [answer] = client.feed(flight)
    [final] = server.receive(answer)
    assert client.feed(final) == []
    assert_they_talk(client, server)


def test_a_device_refuses_a_server_with_another_key() -> None:
    client = device(server_public_key=OTHER_KEY.public_key())
    server = Server()
    shake_hands(client, server)
    assert client.failed == "the server did not prove its key"
    assert server.records is None


def test_a_device_refuses_a_certificate_of_the_server() -> None:
    client = device()
    server = server_for(client.start(), send_certificate=True)
    certificate = split_records(server.flight)[1]
    body = b"\0\0\x5b" + encode_public_key(SERVER_KEY.public_key())
    assert certificate[HEADER_BYTES:] == encode_message(CERTIFICATE, 1, body).encoded
    [alert] = client.feed(server.flight)
    assert alert_in(alert) == (FATAL, UNEXPECTED_MESSAGE)
    assert alert[HEADER_BYTES:] == b"\x02\x0a"  # as device-protocol.md §1.4.2 saw it
    assert server.feed(alert) is None
    assert server.failed == "the peer sent alert 10"


def test_a_device_shows_no_key_unless_raw_public_keys_were_chosen() -> None:
    client = device()
    server = server_for(client.start())
    [flight] = client.feed(changed_server_hello(server.flight, "0013000102", ""))
    types = [record[HEADER_BYTES] for record in split_records(flight)[:2]]
    assert types == [CERTIFICATE, CLIENT_KEY_EXCHANGE]
    certificate = split_records(flight)[0]
    assert certificate[HEADER_BYTES + 12 :] == bytes.fromhex("000003000000")
    assert alert_in(server.feed(flight)) == (FATAL, BAD_CERTIFICATE)


def test_a_device_stays_anonymous_unless_it_is_asked_for_a_certificate() -> None:
    client = device()
    server = server_for(client.start())
    hello, exchange, _request, done = split_records(server.flight)
    done = done[: HEADER_BYTES + 5] + b"\x02" + done[HEADER_BYTES + 6 :]
    [flight] = client.feed(hello + exchange + done)
    assert split_records(flight)[0][HEADER_BYTES] == CLIENT_KEY_EXCHANGE
    assert alert_in(server.feed(flight)) == (FATAL, UNEXPECTED_MESSAGE)


@pytest.mark.parametrize(
    ("extension", "alerts"),
    [
        ("", 0),
        ("00fe000100", 0),
        ("00fe00080701020304050607", 0),
        ("0036000908" + "0102030405060708", 0),
        ("00fe000a09" + "010203040506070809", 1),
    ],
    ids=["none", "empty", "7 bytes", "RFC 9146 number", "9 bytes"],
)
def test_a_device_discards_a_session_without_a_connection_id_of_8_bytes(
    extension: str, alerts: int
) -> None:
    client = device()
    server = server_for(client.start())
    old = "00fe0009080102030405060708"
    answers = client.feed(changed_server_hello(server.flight, old, extension))
    assert client.failed is not None
    assert "connection id" in client.failed
    assert [alert_in(answer) for answer in answers] == [(FATAL, ILLEGAL_PARAMETER)] * alerts
    assert client.retransmit() == []


def test_a_device_before_3_1_refuses_a_connection_id_that_it_did_not_offer() -> None:
    client = device(offer_connection_id=False)
    server = server_for(client.start())
    old, new = "000b00020100", "000b00020100" + "00fe0009080102030405060708"
    [alert] = client.feed(changed_server_hello(server.flight, old, new))
    assert alert_in(alert) == (FATAL, UNSUPPORTED_EXTENSION)


@pytest.mark.parametrize(
    ("offset", "new", "description"),
    [
        (0, b"\xfe\xff", PROTOCOL_VERSION),
        (35, b"\xc0\xac", ILLEGAL_PARAMETER),
        (37, b"\x01", ILLEGAL_PARAMETER),
        (34, b"\x21", DECODE_ERROR),
    ],
)
def test_a_device_refuses_choices_that_it_did_not_offer(
    offset: int, new: bytes, description: int
) -> None:
    client = device()
    server = server_for(client.start())
    at = HEADER_BYTES + 12 + offset
    [alert] = client.feed(server.flight[:at] + new + server.flight[at + len(new) :])
    assert alert_in(alert) == (FATAL, description)


def test_a_device_refuses_a_wrong_finished_and_ignores_one_that_is_not_authentic() -> None:
    client, server, flight = begun()
    server.feed(flight)
    established = server.established
    assert established is not None
    foreign = ServerRecords(Keys(b"c" * 16, b"s" * 16, b"cciv", b"ssiv"), b"conn. id")
    assert client.feed(established.final_flight(foreign)) == []
    assert client.failed is None
    records = ServerRecords(established.keys, established.connection_id)
    sequence = int.from_bytes(established.finished[4:6], "big")
    wrong = encode_message(FINISHED, sequence, b"x" * 12)
    [alert] = client.feed(records.seal(HANDSHAKE, wrong.encoded))
    assert alert_in(alert) == (FATAL, DECRYPT_ERROR)
    assert client.established is None


def test_a_fatal_alert_of_the_server_ends_the_devices_handshake() -> None:
    client = device()
    client.start()
    assert client.feed(fatal_alert_datagram(40, 0)) == []
    assert client.failed == "the server sent alert 40"
    assert client.retransmit() == []


_, SERVER, DEVICE_FLIGHT = begun()
GENUINE = [device().start(), SERVER.flight, DEVICE_FLIGHT, fatal_alert_datagram(40, 3)]


@st.composite
def damaged_datagrams(draw: st.DrawFn) -> bytes:
    """A genuine datagram of which some bytes were replaced, put in or cut off."""
    data = draw(st.sampled_from(GENUINE))
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(start + 8, len(data))))
    return data[:start] + draw(st.binary(max_size=8)) + data[end:]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.binary(max_size=60).map(lambda body: plaintext_record(HANDSHAKE, 0, body)),
            st.builds(
                message_datagram,
                st.sampled_from([2, 3, 11, 12, 13, 14, 15, 16, 20]),
                st.integers(0, 4),
                st.binary(max_size=80),
            ),
            damaged_datagrams(),
        ),
        max_size=4,
    )
)
def test_any_datagrams_are_answered_or_left_out_and_nothing_else(datagrams: list[bytes]) -> None:
    client = device()
    server = server_for(client.start())
    for datagram in datagrams:
        answer = server.feed(datagram)
        assert answer is None or split_records(answer)
        assert all(split_records(sent) for sent in client.feed(datagram))
    if server.established is not None:
        assert server.established.peer_public_key == encode_public_key(DEVICE_KEY.public_key())
    assert client.established is None
