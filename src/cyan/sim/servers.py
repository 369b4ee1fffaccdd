"""Where the server is, for each transport, and the key that it proves."""

import hashlib
import socket
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from cyan.sim.device import ServerKey
from cyan.sim.member import Address
from cyan.sim.platforms import Transport
from cyan.wire import server_key
from cyan.wire.errors import MalformedError

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORTS: Final = {Transport.UDP: 5684, Transport.TCP: 5683}
"""Where firmware looks for its server (device-protocol.md §1.1)."""

_KINDS: Final = {Transport.UDP: "a P-256 key, for UDP", Transport.TCP: "an RSA key, for TCP"}


class ServerError(ValueError):
    """It is not told where a server is or which key it has; the text tells what is missing."""


class Server(msgspec.Struct, frozen=True):
    """One transport of the server: where devices reach it, and the public key that they expect."""

    address: Address
    public_key: ServerKey


def find_servers(
    transports: Collection[Transport],
    key_files: Iterable[Path],
    host: str | None,
    ports: dict[Transport, int | None],
) -> dict[Transport, Server]:
    """The server for each of these transports.

    Reads the key files, one for each transport, padded or bare. What `host` and `ports` leave open
    is taken from a padded file, as a device does, and else as firmware has it by default.

    Raises:
        ServerError: A key is missing, or a file holds none or one that was there before.
        OSError: A file cannot be read, or the host is not known.
    """
    found: dict[Transport, Server] = {}
    for path in key_files:
        transport, told = _read(path)
        if transport in found:
            raise ServerError(f"{path} holds {_KINDS[transport]}, of which there is one already")
        address = (
            resolve(host or told.host or DEFAULT_HOST),
            ports.get(transport) or told.port or DEFAULT_PORTS[transport],
        )
        found[transport] = Server(address, _load(path, told.public_key))
    for transport in transports:
        if transport not in found:
            raise ServerError(
                f"--server-key is needed: the file with the server's public key"
                f" ({_KINDS[transport]})"
            )
    return found


def other_server_key(key: ServerKey) -> ServerKey:
    """A key of the same kind that no server has."""
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    number = int.from_bytes(hashlib.sha256(encoded).digest(), "big")
    if isinstance(key, rsa.RSAPublicKey):
        # Any odd number of its size will do: nobody has to decrypt with it.
        numbers = key.public_numbers()
        return rsa.RSAPublicNumbers(numbers.e, numbers.n ^ (number << 1)).public_key()
    # Half of the order of P-256 is above this, so that it is a private key (FIPS 186-4 D.1.2.3).
    return ec.derive_private_key((number >> 2) + 1, ec.SECP256R1()).public_key()


def resolve(host: str) -> str:
    """A numeric address of the host, IPv4 where it has one: that is what firmware asks for."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise ServerError(f"--server {host}: {error.strerror or error}") from None
    addresses = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return str(addresses[0][4][0])


def _read(path: Path) -> tuple[Transport, server_key.ServerKey]:
    content = path.read_bytes()
    try:
        told = server_key.decode_server_key(content)
    except MalformedError:
        told = server_key.ServerKey(content, None, None)
    is_rsa = isinstance(_load(path, told.public_key), rsa.RSAPublicKey)
    return Transport.TCP if is_rsa else Transport.UDP, told


def _load(path: Path, encoded: bytes) -> ServerKey:
    try:
        key = load_der_public_key(encoded)
    except (ValueError, UnsupportedAlgorithm):
        raise ServerError(f"{path} holds no public key") from None
    is_p256 = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == ec.SECP256R1.name
    if not is_p256 and not isinstance(key, rsa.RSAPublicKey):
        raise ServerError(f"{path} holds a key that is neither P-256 nor RSA")
    assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    return key
