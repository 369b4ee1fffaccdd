"""The server key file of a device: the server's public key and where to reach it (§1.2).

Layout, for `particle keys server` and the device's configuration area (device-protocol.md §1.2)::

    EC:  SubjectPublicKeyInfo (91), 0xFF to 192, ServerAddress (128)
    RSA: SubjectPublicKeyInfo (294), 0xFF to 384, ServerAddress (128)

    ServerAddress: type(1) length(1) value(64) port(2, big-endian) 0xFF(60)

with type 0 for the 4 bytes of an IPv4 address and 1 for a name. All that is unused is 0xFF.
"""

import re
from ipaddress import IPv4Address

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cyan.wire.errors import MalformedError, MisuseError

EC_KEY_BYTES, EC_KEY_FIELD_BYTES = 91, 192
RSA_KEY_BYTES, RSA_KEY_FIELD_BYTES = 294, 384
SERVER_ADDRESS_BYTES = 128
MAX_FILE_BYTES = 768
"""The device's field for an RSA key; the CLI reads and writes 320 or 512."""
MAX_NAME_BYTES = 63

_TYPE_IPV4, _TYPE_NAME = 0, 1
_IPV4_BYTES = 4
_VALUE_BYTES = 64
_VALUE_OFFSET, _PORT_OFFSET = 2, 66
_FILL = b"\xff"
_DEFAULT_PORTS = (0, 0xFFFF)
"""The device takes its transport's default port for these."""
_UNUSABLE_ADDRESSES = (IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255"))  # noqa: S104
_NAME = re.compile(r"[!-9;-~]{1,63}")
"""Printable and without a colon: `$id` is a place for the device id, a colon means IPv6."""
_NUMBERS = re.compile(r"[0-9.]+")
"""A mistyped address rather than a name: the board would look it up, and never find it."""
_RSA_BITS, _RSA_EXPONENT = 2048, 65537
"""A device takes the modulus at a fixed place and assumes the exponent (§1.3.1)."""


class ServerKey(msgspec.Struct, frozen=True):
    """A server key file: the key as SubjectPublicKeyInfo in DER, a host name or IPv4 address in
    text, the port. `host` and `port` are None where the device takes its defaults."""

    public_key: bytes
    host: str | None
    port: int | None


def encode_server_key(server_key: ServerKey) -> bytes:
    """The padded file, 320 bytes for P-256 and 512 for RSA-2048.

    MisuseError for another kind of key, a host that is no IPv4 address and no name of at most 63
    printable characters, or a port out of range.
    """
    try:
        field_size = _field_size(server_key.public_key)
    except MalformedError as error:
        raise MisuseError(str(error)) from error
    key = server_key.public_key.ljust(field_size, _FILL)
    return key + _encode_address(server_key.host, server_key.port)


def decode_server_key(data: bytes) -> ServerKey:
    """Reads a padded file; MalformedError for anything else."""
    if len(data) > MAX_FILE_BYTES:
        raise MalformedError("server key file too long")
    size = RSA_KEY_BYTES if data.startswith(b"\x30\x82") else EC_KEY_BYTES
    public_key = data[:size]
    field_size = _field_size(public_key)
    address = data[field_size : field_size + SERVER_ADDRESS_BYTES]
    if len(address) != SERVER_ADDRESS_BYTES:
        raise MalformedError("server key file cut off")
    port = int.from_bytes(address[_PORT_OFFSET : _PORT_OFFSET + 2], "big")
    return ServerKey(public_key, _decode_host(address), None if port in _DEFAULT_PORTS else port)


def _field_size(public_key: bytes) -> int:
    """Where the address begins behind this key."""
    try:
        key = load_der_public_key(public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("not a public key") from error
    if (
        isinstance(key, ec.EllipticCurvePublicKey)
        and key.curve.name == ec.SECP256R1.name
        and len(public_key) == EC_KEY_BYTES
    ):
        return EC_KEY_FIELD_BYTES
    if (
        isinstance(key, rsa.RSAPublicKey)
        and key.key_size == _RSA_BITS
        and key.public_numbers().e == _RSA_EXPONENT
        and len(public_key) == RSA_KEY_BYTES
    ):
        return RSA_KEY_FIELD_BYTES
    raise MalformedError("neither a P-256 nor an RSA-2048 key with exponent 65537")


def _encode_address(host: str | None, port: int | None) -> bytes:
    if host is None:
        start = _FILL * _PORT_OFFSET
    else:
        address_type, value = _encode_host(host)
        start = bytes((address_type, len(value))) + value.ljust(_VALUE_BYTES, _FILL)
    if port is not None and not 0 < port < 0xFFFF:
        raise MisuseError("a port is 1 to 65534")
    port_bytes = _FILL * 2 if port is None else port.to_bytes(2, "big")
    return (start + port_bytes).ljust(SERVER_ADDRESS_BYTES, _FILL)


def _encode_host(host: str) -> tuple[int, bytes]:
    try:
        address = IPv4Address(host)
    except ValueError:
        if not _NAME.fullmatch(host):
            raise MisuseError("a host is an IPv4 address or a name of 1 to 63 characters") from None
        if _NUMBERS.fullmatch(host):
            raise MisuseError("an IPv4 address has four numbers up to 255") from None
        return _TYPE_NAME, host.encode()
    if address in _UNUSABLE_ADDRESSES:
        raise MisuseError("a device ignores this address")
    return _TYPE_IPV4, address.packed


def _decode_host(address: bytes) -> str | None:
    address_type, length = address[0], address[1]
    if address_type == _TYPE_NAME:
        name = address[_VALUE_OFFSET : _VALUE_OFFSET + length].decode("latin-1")
        if length > MAX_NAME_BYTES or not _NAME.fullmatch(name):
            raise MalformedError("not a host name")
        return name
    if address_type == _TYPE_IPV4:
        if length != _IPV4_BYTES:
            raise MalformedError("not an IPv4 address")
        value = IPv4Address(address[_VALUE_OFFSET : _VALUE_OFFSET + length])
        if value in _UNUSABLE_ADDRESSES:
            raise MalformedError("not a usable IPv4 address")
        return str(value)
    return None
