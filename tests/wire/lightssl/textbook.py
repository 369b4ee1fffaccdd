"""RSA with PKCS#1 v1.5 as RFC 8017 writes it, in plain integers: a witness beside OpenSSL.

Keys for the tests stand here too. They are made anew in every run.
"""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@cache
def server_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def device_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)


def spki(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def encrypt(key: rsa.RSAPrivateKey, block: bytes) -> bytes:
    """The public operation on a block that is padded already (RFC 8017 §5.1.1)."""
    public = key.public_key().public_numbers()
    size = key.key_size // 8
    return pow(int.from_bytes(block, "big"), public.e, public.n).to_bytes(size, "big")


def decrypt(key: rsa.RSAPrivateKey, ciphertext: bytes) -> bytes:
    """The private operation (RFC 8017 §5.1.2); what comes out still has its padding."""
    numbers = key.private_numbers()
    size = key.key_size // 8
    number = pow(int.from_bytes(ciphertext, "big"), numbers.d, numbers.public_numbers.n)
    return number.to_bytes(size, "big")


def pad(block_type: int, content: bytes, size: int) -> bytes:
    """Block type 1 (signature, ff bytes) or 2 (encryption, here always the byte 0x5c)."""
    filling = b"\xff" if block_type == 1 else b"\x5c"
    return bytes((0, block_type)) + filling * (size - len(content) - 3) + b"\0" + content
