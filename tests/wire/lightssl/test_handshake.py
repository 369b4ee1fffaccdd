"""The TCP handshake, each side against textbook RSA, then both against each other."""

from hashlib import sha1
from hmac import digest

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo
from cryptography.hazmat.primitives.serialization import load_der_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.lightssl.handshake import (
    NONCE_BYTES,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    SESSION_BYTES,
    Claim,
    ClientHandshake,
    first_device_message_id,
    make_response,
    open_request,
)
from tests.wire import vectors
from tests.wire.lightssl.textbook import decrypt, device_key, encrypt, pad, server_key, spki

NONCE = bytes(range(40))
SESSION = bytes(range(100, 140))
DEVICE_ID = bytes.fromhex("0123456789abcdef01234567")
CONNECTIONS = [
    connection for name in vectors.TCP_LOGS for connection in vectors.tcp_connections(name)
]
CAPTURED_KEY = CONNECTIONS[0].device_key


def request_of(plaintext: bytes, block_type: int = 2) -> bytes:
    return encrypt(server_key(), pad(block_type, plaintext, REQUEST_BYTES))


def device(**options: bool) -> ClientHandshake:
    return ClientHandshake(
        device_key=device_key(),
        server_public_key=server_key().public_key(),
        device_id=DEVICE_ID,
        **options,
    )


def test_the_request_of_captured_firmware_opens() -> None:
    # The logs tell its plaintext: 214 bytes of nonce, id and key (tcp-full-session.log).
    request = request_of(NONCE + CONNECTIONS[0].device_id + CAPTURED_KEY)
    assert open_request(server_key(), NONCE, request) == Claim(DEVICE_ID, CAPTURED_KEY)


def test_the_captured_handshake_is_opened_and_its_response_made_again() -> None:
    secrets = vectors.tcp_secrets()
    server = load_der_private_key(secrets["SERVERKEY"], None)
    device = load_der_private_key(secrets["DEVICEKEY"], None)
    assert isinstance(server, rsa.RSAPrivateKey)
    assert isinstance(device, rsa.RSAPrivateKey)
    claim = open_request(server, secrets["NONCE"], secrets["REQUEST"])
    assert claim == Claim(DEVICE_ID, spki(device))
    # The firmware took this response: its first frame has the session's salt in it.
    ciphertext, signature = secrets["RESPONSE"][:128], secrets["RESPONSE"][128:]
    assert decrypt(device, ciphertext).endswith(b"\0" + secrets["SESSION"])
    mac = digest(secrets["SESSION"], ciphertext, sha1)
    assert server.sign(mac, PKCS1v15(), NoDigestInfo()) == signature
    client = ClientHandshake(
        device_key=device, server_public_key=server.public_key(), device_id=DEVICE_ID
    )
    client.feed(secrets["NONCE"])
    client.feed(secrets["RESPONSE"])
    assert client.session == secrets["SESSION"]


def test_very_old_firmware_sends_no_key() -> None:
    request = request_of(NONCE + DEVICE_ID)
    assert open_request(server_key(), NONCE, request) == Claim(DEVICE_ID, None)


def test_the_response_holds_the_session_and_a_signature_with_the_bare_mac_in_it() -> None:
    response = make_response(server_key(), spki(device_key()), SESSION)
    assert len(response) == RESPONSE_BYTES
    ciphertext, signature = response[:128], response[128:]
    block = decrypt(device_key(), ciphertext)
    assert block.startswith(b"\0\2")
    assert block.endswith(b"\0" + SESSION)
    mac = digest(SESSION, ciphertext, sha1)
    assert encrypt(server_key(), signature) == pad(1, mac, 256)


def test_a_response_to_a_captured_key_is_signed_too() -> None:
    response = make_response(server_key(), CAPTURED_KEY, SESSION)
    mac = digest(SESSION, response[:128], sha1)
    assert encrypt(server_key(), response[128:]) == pad(1, mac, 256)


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_the_salt_gives_the_first_message_id_of_the_device(
    connection: vectors.TcpConnection,
) -> None:
    session = bytes(32) + connection.salt
    assert first_device_message_id(session) == connection.lines[0].message_id


def test_the_first_message_id_wraps() -> None:
    assert first_device_message_id(bytes(32) + b"\xff\xff" + bytes(6)) == 0


GOOD = NONCE + DEVICE_ID + CAPTURED_KEY


def changed(offset: int, new: bytes) -> bytes:
    return GOOD[:offset] + new + GOOD[offset + len(new) :]


def test_whatever_is_wrong_with_a_request_the_error_is_the_same() -> None:
    modulus = 52 + 29
    wrong = {
        "another nonce": request_of(changed(39, b"\xff")),
        "another nonce, no key": request_of(bytes(40) + DEVICE_ID),
        "one byte short": request_of(GOOD[:-1]),
        "one byte long": request_of(GOOD + b"\0"),
        "nothing": request_of(b""),
        "half an id": request_of(GOOD[:46]),
        "one byte of key": request_of(GOOD[:53]),
        "another header of the key": request_of(changed(52, b"\x31")),
        "another exponent": request_of(changed(213, b"\x03")),
        "a short modulus": request_of(changed(modulus, b"\x7f")),
        "an even modulus": request_of(changed(modulus + 127, b"\x02")),
        "padding of a signature": request_of(GOOD, block_type=1),
        "no padding": encrypt(server_key(), GOOD.rjust(256, b"\1")),
        "no end of the padding": encrypt(server_key(), b"\0\2" + b"\1" * 254),
        "a number over the modulus": b"\xff" * 256,
        "255 bytes": request_of(GOOD)[:-1],
        "257 bytes": request_of(GOOD) + b"\0",
        "no bytes": b"",
        "zeros": bytes(256),
    }
    errors = set()
    for request in wrong.values():
        with pytest.raises(MalformedError) as caught:
            open_request(server_key(), NONCE, request)
        errors.add((type(caught.value), str(caught.value)))
    assert len(errors) == 1


@given(st.binary(min_size=REQUEST_BYTES, max_size=REQUEST_BYTES))
@settings(max_examples=50, deadline=None)
def test_any_request_is_malformed(request: bytes) -> None:
    with pytest.raises(MalformedError):
        open_request(server_key(), NONCE, request)


@pytest.mark.parametrize("send_public_key", [True, False])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_device_and_a_server_agree_however_the_bytes_are_cut(
    send_public_key: bool, step: int
) -> None:
    client = device(send_public_key=send_public_key)
    request = b""
    for start in range(0, NONCE_BYTES, step):
        assert not request
        request = client.feed(NONCE[start : start + step])
    assert len(request) == REQUEST_BYTES
    claim = open_request(server_key(), NONCE, request)
    assert claim == Claim(DEVICE_ID, spki(device_key()) if send_public_key else None)
    response = make_response(server_key(), claim.public_key or spki(device_key()), SESSION)
    for start in range(0, RESPONSE_BYTES, step):
        assert client.session is None
        assert client.feed(response[start : start + step]) == b""
    assert client.session == SESSION
    assert client.unread == b""
    with pytest.raises(MisuseError):
        client.feed(b"more")


def test_what_follows_the_response_is_left_for_the_frames() -> None:
    client = device()
    client.feed(NONCE)
    client.feed(make_response(server_key(), spki(device_key()), SESSION) + b"tail")
    assert (client.session, client.unread) == (SESSION, b"tail")


@pytest.mark.parametrize("index", [0, 127, 128, 383])
def test_a_device_refuses_a_response_that_was_changed(index: int) -> None:
    response = bytearray(make_response(server_key(), spki(device_key()), SESSION))
    response[index] ^= 1
    client = device()
    client.feed(NONCE)
    with pytest.raises(MalformedError):
        client.feed(bytes(response))
    assert client.session is None


def test_a_device_refuses_a_server_with_another_key() -> None:
    impostor = rsa.generate_private_key(65537, 2048)
    client = device()
    client.feed(NONCE)
    with pytest.raises(MalformedError):
        client.feed(make_response(impostor, spki(device_key()), SESSION))


def test_a_device_refuses_a_session_of_another_length() -> None:
    ciphertext = encrypt(device_key(), pad(2, SESSION[:-1], 128))
    mac = digest(SESSION[:-1], ciphertext, sha1)
    signature = decrypt(server_key(), pad(1, mac, 256))
    client = device()
    client.feed(NONCE)
    with pytest.raises(MalformedError):
        client.feed(ciphertext + signature)


def test_keys_nonces_and_sessions_of_other_sizes_are_our_mistake() -> None:
    request = request_of(GOOD)
    with pytest.raises(MisuseError):
        open_request(device_key(), NONCE, request)
    with pytest.raises(MisuseError):
        open_request(server_key(), NONCE[:-1], request)
    with pytest.raises(MisuseError):
        make_response(device_key(), CAPTURED_KEY, SESSION)
    with pytest.raises(MisuseError):
        make_response(server_key(), CAPTURED_KEY, SESSION[:-1])
    with pytest.raises(MisuseError):
        make_response(server_key(), CAPTURED_KEY[:-1], SESSION)
    with pytest.raises(MisuseError):
        first = ClientHandshake(
            device_key=server_key(),
            server_public_key=server_key().public_key(),
            device_id=DEVICE_ID,
        )
        first.feed(NONCE)
    with pytest.raises(MisuseError):
        ClientHandshake(
            device_key=device_key(),
            server_public_key=device_key().public_key(),
            device_id=DEVICE_ID,
        )
    assert len(SESSION) == SESSION_BYTES
