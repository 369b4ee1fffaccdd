"""The padded server key file, against its layout spelled out by offset."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.server_key import ServerKey, decode_server_key, encode_server_key
from tests.wire.vectors import SERVER_PUBLIC_KEY

RSA_PUBLIC_KEY = (
    rsa.RSAPublicNumbers(65537, (1 << 2047) + (1 << 1000) + 0xC0FFEE * 2 + 1)
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)


def test_an_ec_file_has_its_address_at_192_and_its_port_at_258() -> None:
    data = encode_server_key(ServerKey(SERVER_PUBLIC_KEY, "cloud.example.org", 5684))
    assert len(data) == 320
    assert data[:91] == SERVER_PUBLIC_KEY
    assert data[91:192] == b"\xff" * 101
    assert data[192:194] == b"\x01\x11"
    assert data[194:211] == b"cloud.example.org"
    assert data[211:258] == b"\xff" * 47
    assert data[258:260] == b"\x16\x34"
    assert data[260:] == b"\xff" * 60


def test_an_rsa_file_has_its_address_at_384_and_its_port_at_450() -> None:
    assert len(RSA_PUBLIC_KEY) == 294
    data = encode_server_key(ServerKey(RSA_PUBLIC_KEY, "192.168.1.20", 5683))
    assert len(data) == 512
    assert data[:294] == RSA_PUBLIC_KEY
    assert data[294:384] == b"\xff" * 90
    assert data[384:390] == b"\x00\x04\xc0\xa8\x01\x14"
    assert data[390:450] == b"\xff" * 60
    assert data[450:452] == b"\x16\x33"
    assert data[452:] == b"\xff" * 60


@pytest.mark.parametrize("public_key", [SERVER_PUBLIC_KEY, RSA_PUBLIC_KEY])
@pytest.mark.parametrize("host", ["10.0.0.1", "$id.udp.example.org", "a" * 63, None])
@pytest.mark.parametrize("port", [1, 65534, None])
def test_a_file_reads_back_as_it_was_written(
    public_key: bytes, host: str | None, port: int | None
) -> None:
    server_key = ServerKey(public_key, host, port)
    assert decode_server_key(encode_server_key(server_key)) == server_key


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a" * 64,
        "::1",
        "two words",
        "k\u00f6ln.example",
        "0.0.0.0",
        "255.255.255.255",
        "192.0.2.999",
        "192.0.2",
    ],
)
def test_a_host_that_a_device_would_not_take_is_our_mistake(host: str) -> None:
    with pytest.raises(MisuseError):
        encode_server_key(ServerKey(SERVER_PUBLIC_KEY, host, 5684))


@pytest.mark.parametrize("port", [0, -1, 65535, 65536])
def test_a_port_that_means_the_default_or_nothing_is_our_mistake(port: int) -> None:
    with pytest.raises(MisuseError):
        encode_server_key(ServerKey(SERVER_PUBLIC_KEY, "example.org", port))


def test_a_key_of_another_kind_is_our_mistake() -> None:
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    spki = p384.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for public_key in (spki, b"", SERVER_PUBLIC_KEY[:-1], SERVER_PUBLIC_KEY + b"\0"):
        with pytest.raises(MisuseError):
            encode_server_key(ServerKey(public_key, "example.org", 5684))


GOOD = encode_server_key(ServerKey(SERVER_PUBLIC_KEY, "example.org", 5684))


def changed(offset: int, new: bytes) -> bytes:
    return GOOD[:offset] + new + GOOD[offset + len(new) :]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD.ljust(769, b"\xff"),
        changed(40, b"\0\0\0\0"),
        changed(193, b"\x00"),
        changed(193, b"\x40"),
        changed(194, b"\0"),
        changed(192, b"\x00\x05"),
        changed(192, b"\x00\x04\x00\x00\x00\x00"),
    ],
)
def test_a_damaged_file_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_server_key(data)


def test_an_address_of_unknown_type_means_the_devices_default() -> None:
    assert decode_server_key(changed(192, b"\xff")).host is None


@given(
    st.one_of(
        st.binary(max_size=800),
        st.binary(min_size=128, max_size=700).map(
            lambda tail: SERVER_PUBLIC_KEY.ljust(192, b"\xff") + tail
        ),
    )
)
def test_any_bytes_are_a_server_key_or_malformed(data: bytes) -> None:
    try:
        server_key = decode_server_key(data)
    except MalformedError:
        return
    assert decode_server_key(encode_server_key(server_key)) == server_key
