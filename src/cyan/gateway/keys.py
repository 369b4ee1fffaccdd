"""The server's own keys for devices, and the padded public key files that boards need."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cyan.core.config import Config
from cyan.core.errors import ConfigError
from cyan.core.secrets import write_private
from cyan.wire.server_key import ServerKey, encode_server_key

UDP_KEY_FILE: Final = "server_udp.pem"
TCP_KEY_FILE: Final = "server_tcp.pem"

_TCP_KEY_BITS: Final = 2048
_TCP_KEY_EXPONENT: Final = 65537
"""The only kind that a device takes (device-protocol.md §1.3.1)."""


_PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class ServerKeyError(ConfigError):
    """The server's private key cannot be read. Without it every board needs a new server key."""


def refuse_to_forget(data: Path, file: str, are_trusted: bool) -> None:
    """Raises ServerKeyError when the key is missing although devices hold its public half.

    A new one would be made without a word, and every board be lost until it is at a USB cable.
    """
    path = data / file
    if are_trusted and not path.exists():
        raise ServerKeyError(
            f"{path} is missing, and devices trust the key that was in it. Bring it back from a"
            " backup. To begin anew with another key, make one with `cyan keys server`: each device"
            " then needs it by USB."
        )


def open_server_key(data: Path) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of a data folder, made on first use and readable by its owner only.

    Raises ServerKeyError: a damaged key is never replaced, since boards in the field hold its
    public half.
    """
    path = data / UDP_KEY_FILE
    key = _open(path, lambda: ec.generate_private_key(ec.SECP256R1()))
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ServerKeyError(f"{path} is no P-256 key.")
    return key


def open_stream_key(data: Path) -> rsa.RSAPrivateKey:
    """The RSA-2048 key for devices over TCP; otherwise as `open_server_key`."""
    path = data / TCP_KEY_FILE
    key = _open(path, lambda: rsa.generate_private_key(_TCP_KEY_EXPONENT, _TCP_KEY_BITS))
    if (
        not isinstance(key, rsa.RSAPrivateKey)
        or key.key_size != _TCP_KEY_BITS
        or key.public_key().public_numbers().e != _TCP_KEY_EXPONENT
    ):
        raise ServerKeyError(f"{path} is no RSA-2048 key with exponent 65537.")
    return key


def _open(path: Path, make: Callable[[], _PrivateKey]) -> PrivateKeyTypes:
    if not path.exists():
        pem = make().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(path, pem)
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ServerKeyError(f"{path} is no private key in PEM: {error}.") from error


def padded_public_key(key: _PrivateKey, host: str, port: int) -> bytes:
    """The file for `particle keys server`: public key and address; 320 bytes for the UDP key, 512
    for the TCP key.

    Raises MisuseError for a host that a device cannot store.
    """
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encode_server_key(ServerKey(public, host, port))


def key_files(config: Config) -> Callable[[str, str], bytes]:
    """Makes those files by protocol (`udp` or `tcp`) and the host that boards look up."""

    def make(protocol: str, host: str) -> bytes:
        if protocol == "tcp":
            return padded_public_key(open_stream_key(config.data), host, config.tcp_port)
        return padded_public_key(open_server_key(config.data), host, config.udp_port)

    return make
