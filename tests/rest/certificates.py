"""Certificates of tests, and a client that trusts only them."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"


def write_certificate(
    certificate: Path,
    key: Path,
    *,
    name: str = "cyan.test",
    days: float = 90,
    password: bytes | None = None,
) -> None:
    """A self-signed certificate for 127.0.0.1 that ends in `days` days, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ends = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(ends, datetime.now(UTC)) - timedelta(days=1))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(private, hashes.SHA256())
    )
    lock: KeySerializationEncryption = (
        BestAvailableEncryption(password) if password else NoEncryption()
    )
    chain = made.public_bytes(Encoding.PEM)
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    if certificate == key:
        certificate.write_bytes(chain + secret)
    else:
        certificate.write_bytes(chain)
        key.write_bytes(secret)


def trusting(certificate: Path) -> ssl.SSLContext:
    """A client's context that takes this certificate and no other."""
    return ssl.create_default_context(cafile=str(certificate))


def shown_name(peer: ssl.SSLSocket | ssl.SSLObject) -> str:
    """The name in the certificate that the other side has shown."""
    content = peer.getpeercert(binary_form=True)
    assert content is not None
    found = x509.load_der_x509_certificate(content).subject.rfc4514_string()
    return found.removeprefix("CN=")
