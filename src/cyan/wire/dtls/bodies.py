"""Bodies of the handshake messages that both sides need (device-protocol.md §1.4.1, §1.4.2)."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.wire.dtls.reader import Reader, vector
from cyan.wire.errors import MalformedError, MisuseError

DTLS_1_2 = b"\xfe\xfd"
RANDOM_BYTES = 32
MAX_SESSION_ID_BYTES = 32
MAX_EXTENSIONS = 32

AES_128_CCM_8 = 0xC0AE
"""TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8 (RFC 7251)."""
RENEGOTIATION_SCSV = 0x00FF
SECP256R1 = 0x0017
ECDSA_SHA256 = b"\x04\x03"
RAW_PUBLIC_KEY = 2
"""Certificate type of RFC 7250."""

SUPPORTED_GROUPS = 10
POINT_FORMATS = 11
SIGNATURE_ALGORITHMS = 13
CLIENT_CERTIFICATE_TYPE = 19
SERVER_CERTIFICATE_TYPE = 20
EXTENDED_MASTER_SECRET = 23
CONNECTION_ID = 254
"""Codepoint of draft-ietf-tls-dtls-connection-id-05; RFC 9146 has 54, which devices do not know."""
RENEGOTIATION_INFO = 0xFF01

POINT_BYTES = 65
SPKI_BYTES = 91
ENTROPY_BYTES = 64
"""A hello's random (32) and the seed of the ephemeral key (32)."""

_SPKI_START = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""DER of an uncompressed P-256 SubjectPublicKeyInfo (RFC 5480 §2) up to the point."""
_PARAMETERS_START = b"\x03" + SECP256R1.to_bytes(2, "big") + POINT_BYTES.to_bytes(1, "big")
"""named_curve secp256r1 (RFC 8422 §5.4)."""
_P256 = ec.SECP256R1()
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""FIPS 186-4 D.1.2.3."""
_SIGNING = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_SIGNING_HASH = ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True)
_VERIFYING = ec.ECDSA(hashes.SHA256())
_VERIFYING_HASH = ec.ECDSA(Prehashed(hashes.SHA256()))
_ECDH = ec.ECDH()

CERTIFICATE_REQUEST_BODY = b"\x01\x40" + vector(2, ECDSA_SHA256) + b"\x00\x00"
"""ecdsa_sign, ECDSA with SHA-256, no names of authorities (RFC 5246 §7.4.4)."""


def ephemeral_key(entropy: bytes) -> ec.EllipticCurvePrivateKey:
    """A P-256 key made of the last 32 of `ENTROPY_BYTES`; the bias of the reduction is 2**-32."""
    if len(entropy) != ENTROPY_BYTES:
        raise MisuseError("a handshake needs 64 random bytes")
    seed = int.from_bytes(entropy[RANDOM_BYTES:], "big")
    return ec.derive_private_key(seed % (_P256_ORDER - 1) + 1, _P256)


def encode_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public point of a key, uncompressed, 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def decode_point(point: bytes) -> ec.EllipticCurvePublicKey:
    """MalformedError when it is no uncompressed point of P-256."""
    if len(point) != POINT_BYTES or point[0] != 4:
        raise MalformedError("not an uncompressed P-256 point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_P256, point)
    except ValueError as error:
        raise MalformedError("not a point of P-256") from error


def encode_public_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo in DER, 91 bytes for P-256."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def decode_public_key(spki: bytes) -> ec.EllipticCurvePublicKey:
    """Loads a P-256 SubjectPublicKeyInfo; MalformedError for anything else."""
    if len(spki) != SPKI_BYTES or not spki.startswith(_SPKI_START):
        raise MalformedError("not a P-256 public key")
    return decode_point(spki[len(_SPKI_START) :])


def shared_secret(key: ec.EllipticCurvePrivateKey, peer: ec.EllipticCurvePublicKey) -> bytes:
    """The premaster secret: ECDH, 32 bytes."""
    return key.exchange(_ECDH, peer)


def encode_extension(number: int, content: bytes) -> bytes:
    """One extension (RFC 5246 §7.4.1.4)."""
    return number.to_bytes(2, "big") + vector(2, content)


def decode_extensions(reader: Reader) -> dict[int, bytes]:
    """The extensions block that ends a hello, and the end of it; an absent block is empty."""
    extensions: dict[int, bytes] = {}
    if not reader.left:
        return extensions
    block = Reader(reader.vector(2))
    reader.finish()
    while block.left:
        number = block.uint(2)
        if number in extensions:
            raise MalformedError("extension repeated")
        if len(extensions) == MAX_EXTENSIONS:
            raise MalformedError("too many extensions")
        extensions[number] = block.vector(2)
    return extensions


def encode_server_key_exchange(
    randoms: bytes, point: bytes, signing_key: ec.EllipticCurvePrivateKey
) -> bytes:
    """RFC 8422 §5.4; `randoms` is the client's and the server's."""
    parameters = _PARAMETERS_START + point
    return parameters + _encode_signature(signing_key.sign(randoms + parameters, _SIGNING))


def decode_server_key_exchange(
    body: bytes, randoms: bytes, server_key: ec.EllipticCurvePublicKey
) -> ec.EllipticCurvePublicKey | None:
    """The server's ephemeral key, or None when the signature is not `server_key`'s."""
    reader = Reader(body)
    if reader.take(len(_PARAMETERS_START)) != _PARAMETERS_START:
        raise MalformedError("not an ephemeral P-256 key")
    point = reader.take(POINT_BYTES)
    signature = _decode_signature(reader)
    try:
        server_key.verify(signature, randoms + _PARAMETERS_START + point, _VERIFYING)
    except InvalidSignature:
        return None
    return decode_point(point)


def encode_certificate(spki: bytes) -> bytes:
    """A raw public key: one 24-bit length, no list (RFC 7250 §3)."""
    return vector(3, spki)


def decode_certificate(body: bytes) -> bytes:
    """The SubjectPublicKeyInfo; empty when the peer has none to show."""
    reader = Reader(body)
    spki = reader.vector(3)
    reader.finish()
    return spki


def encode_client_key_exchange(point: bytes) -> bytes:
    """RFC 8422 §5.7."""
    return vector(1, point)


def decode_client_key_exchange(body: bytes) -> ec.EllipticCurvePublicKey:
    """The client's ephemeral key."""
    reader = Reader(body)
    point = reader.vector(1)
    reader.finish()
    return decode_point(point)


def encode_certificate_verify(
    transcript_hash: bytes, signing_key: ec.EllipticCurvePrivateKey
) -> bytes:
    """RFC 5246 §7.4.8 over the SHA-256 of the transcript so far."""
    return _encode_signature(signing_key.sign(transcript_hash, _SIGNING_HASH))


def is_verified(body: bytes, transcript_hash: bytes, key: ec.EllipticCurvePublicKey) -> bool:
    """Whether the CertificateVerify `body` proves that the peer holds the private part of `key`."""
    signature = _decode_signature(Reader(body))
    try:
        key.verify(signature, transcript_hash, _VERIFYING_HASH)
    except InvalidSignature:
        return False
    return True


def _encode_signature(signature: bytes) -> bytes:
    return ECDSA_SHA256 + vector(2, signature)


def _decode_signature(reader: Reader) -> bytes:
    if reader.take(len(ECDSA_SHA256)) != ECDSA_SHA256:
        raise MalformedError("not an ECDSA signature with SHA-256")
    signature = reader.vector(2)
    reader.finish()
    return signature
