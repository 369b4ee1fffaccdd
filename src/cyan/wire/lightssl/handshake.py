"""The handshake of the TCP transport (device-protocol.md §1.3.1)::

    server -> device   nonce(40)
    device -> server   256: RSA(server key) of nonce(40) | device id(12) | device public key(162)
    server -> device   384: RSA(device key) of session(40), 128 | signature(256)

RSA with PKCS#1 v1.5 padding in all three. The signature is the server's, over the bare 20 bytes of
HMAC-SHA1(session, the 128 bytes), with no DigestInfo around them. The device proves its key by what
comes next: a Hello that only the session can encrypt, with `first_device_message_id`.
"""

from hmac import compare_digest, digest

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    RSAPublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.wire.errors import MalformedError, MisuseError

NONCE_BYTES = 40
DEVICE_ID_BYTES = 12
SESSION_BYTES = 40
"""AES-128 key (16), first IV of both directions (16), salt (8)."""
REQUEST_BYTES = 256
RESPONSE_BYTES = 384
"""128 of ciphertext and 256 of signature."""
DEVICE_KEY_BYTES = 162

SERVER_KEY_BITS = 2048
DEVICE_KEY_BITS = 1024
EXPONENT = 65537
"""A device takes the server's modulus at a fixed place and assumes this exponent (§1.3.1)."""

_CIPHERTEXT_BYTES = DEVICE_KEY_BITS // 8
_WITHOUT_KEY_BYTES = NONCE_BYTES + DEVICE_ID_BYTES
_WITH_KEY_BYTES = _WITHOUT_KEY_BYTES + DEVICE_KEY_BYTES
_SPKI_START = bytes.fromhex("30819f300d06092a864886f70d010101050003818d0030818902818100")
_SPKI_END = bytes.fromhex("0203010001")
"""DER of an RSA-1024 SubjectPublicKeyInfo with exponent 65537 before and behind its modulus."""
_MAC = "sha1"
_PADDING = PKCS1v15()
_BARE = NoDigestInfo()


class Claim(msgspec.Struct, frozen=True):
    """Who a device says that it is, which nothing has proved yet.

    `device_id` has 12 bytes. `public_key` is its RSA-1024 SubjectPublicKeyInfo (162 bytes), None
    from very old firmware, which counts on the server's knowing it.
    """

    device_id: bytes
    public_key: bytes | None


def open_request(server_key: RSAPrivateKey, nonce: bytes, request: bytes) -> Claim:
    """Reads the device's 256 bytes.

    Wrong in whatever way, they are one and the same MalformedError: which check failed would let
    a stranger use the server key, which also signs (Bleichenbacher's attack). OpenSSL helps since
    3.2: text with wrong padding decrypts to random bytes, which then have the wrong nonce.
    """
    _check_server_key(server_key.key_size)
    if len(nonce) != NONCE_BYTES:
        raise MisuseError(f"a nonce has {NONCE_BYTES} bytes")
    try:
        plaintext = server_key.decrypt(request, _PADDING)
    except ValueError:
        plaintext = b""
    is_right = compare_digest(plaintext[:NONCE_BYTES], nonce)
    public_key = plaintext[_WITHOUT_KEY_BYTES:]
    is_right &= len(plaintext) == _WITHOUT_KEY_BYTES or _is_device_key(public_key)
    if not is_right:
        raise MalformedError("not an answer to this handshake's nonce")
    return Claim(plaintext[NONCE_BYTES:_WITHOUT_KEY_BYTES], public_key or None)


def make_response(server_key: RSAPrivateKey, device_key_spki: bytes, session: bytes) -> bytes:
    """The 384 bytes that give `session` (40 fresh random bytes) to the holder of the device key.

    MisuseError when the key is none that `open_request` lets through.
    """
    _check_server_key(server_key.key_size)
    if len(session) != SESSION_BYTES or not _is_device_key(device_key_spki):
        raise MisuseError("a response needs 40 bytes and an RSA-1024 key with exponent 65537")
    modulus = int.from_bytes(device_key_spki[len(_SPKI_START) : -len(_SPKI_END)], "big")
    device_key = RSAPublicNumbers(EXPONENT, modulus).public_key()
    ciphertext = device_key.encrypt(session, _PADDING)
    return ciphertext + server_key.sign(digest(session, ciphertext, _MAC), _PADDING, _BARE)


def first_device_message_id(session: bytes) -> int:
    """The message id of the Hello: the salt's first two bytes, little-endian, plus one."""
    return (int.from_bytes(session[32:34], "little") + 1) & 0xFFFF


class ClientHandshake:
    """The device's side. `session` and `unread` are there when it is done."""

    def __init__(
        self,
        *,
        device_key: RSAPrivateKey,
        server_public_key: RSAPublicKey,
        device_id: bytes,
        send_public_key: bool = True,
    ) -> None:
        """Very old firmware sends no public key."""
        _check_server_key(server_public_key.key_size)
        if len(device_id) != DEVICE_ID_BYTES or device_key.key_size != DEVICE_KEY_BITS:
            raise MisuseError("a device has an id of 12 bytes and an RSA-1024 key")
        self._device_key = device_key
        self._server_public_key = server_public_key
        self._claim = device_id
        if send_public_key:
            self._claim += device_key.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
        self._buffer = b""
        self._has_answered = False
        self.session: bytes | None = None
        self.unread = b""

    def feed(self, data: bytes) -> bytes:
        """Takes bytes of the server, as many as there are; returns what to send now.

        Bytes behind the response belong to the frames: they are in `unread`. MalformedError when
        the server does not prove its key; then the device closes the connection.
        """
        if self.session is not None:
            raise MisuseError("the handshake is over")
        self._buffer += data
        if not self._has_answered:
            if len(self._buffer) < NONCE_BYTES:
                return b""
            nonce, self._buffer = self._buffer[:NONCE_BYTES], self._buffer[NONCE_BYTES:]
            self._has_answered = True
            return self._server_public_key.encrypt(nonce + self._claim, _PADDING)
        if len(self._buffer) >= RESPONSE_BYTES:
            response, self.unread = self._buffer[:RESPONSE_BYTES], self._buffer[RESPONSE_BYTES:]
            self._buffer = b""
            self.session = self._open_response(response)
        return b""

    def _open_response(self, response: bytes) -> bytes:
        ciphertext, signature = response[:_CIPHERTEXT_BYTES], response[_CIPHERTEXT_BYTES:]
        try:
            session = self._device_key.decrypt(ciphertext, _PADDING)
            mac = self._server_public_key.recover_data_from_signature(signature, _PADDING, None)
        except (ValueError, InvalidSignature):
            session = mac = b""
        if len(session) != SESSION_BYTES or not compare_digest(
            mac, digest(session, ciphertext, _MAC)
        ):
            raise MalformedError("the server did not prove its key")
        return session


def _check_server_key(key_bits: int) -> None:
    if key_bits != SERVER_KEY_BITS:
        raise MisuseError("a server key for TCP is RSA-2048")


def _is_device_key(spki: bytes) -> bool:
    """Whether these bytes are a key that can be loaded: a modulus of 1024 bits, odd."""
    return (
        len(spki) == DEVICE_KEY_BYTES
        and spki.startswith(_SPKI_START)
        and spki.endswith(_SPKI_END)
        and spki[len(_SPKI_START)] >= 0x80
        and spki[-len(_SPKI_END) - 1] & 1 == 1
    )
