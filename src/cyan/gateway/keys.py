"""The server's own key for devices over UDP, and the padded public key file that boards need."""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cyan.core.errors import ConfigError
from cyan.core.secrets import write_private
from cyan.wire.server_key import ServerKey, encode_server_key

UDP_KEY_FILE: Final = "server_udp.pem"


class ServerKeyError(ConfigError):
    """The server's private key cannot be read. Without it every board needs a new server key."""


def open_server_key(data: Path) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of a data folder, made on first use and readable by its owner only.

    Raises ServerKeyError: a damaged key is never replaced, since boards in the field hold its
    public half.
    """
    path = data / UDP_KEY_FILE
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(path, pem)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ServerKeyError(f"{path} is no private key in PEM: {error}.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ServerKeyError(f"{path} is no P-256 key.")
    return key


def padded_public_key(key: ec.EllipticCurvePrivateKey, host: str, port: int) -> bytes:
    """The file for `particle keys server`: public key and address, 320 bytes.

    Raises MisuseError for a host that a device cannot store.
    """
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encode_server_key(ServerKey(public, host, port))
