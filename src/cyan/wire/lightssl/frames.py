"""The frames of the TCP transport (device-protocol.md §1.3.2)::

    length(2, a multiple of 16) | AES-128-CBC of one CoAP message, PKCS#7 padding of 1 to 16 bytes

The IV of a direction's next frame is the first 16 bytes of the ciphertext of the last (not its
last block). There is no integrity tag.
"""

from typing import Final, NoReturn

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from cyan.wire.coap import MAX_MESSAGE
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.lightssl.handshake import SESSION_BYTES

LENGTH_BYTES: Final = 2
BLOCK_BYTES: Final = 16
MAX_FRAME_BYTES: Final = MAX_MESSAGE + BLOCK_BYTES
"""Ciphertext of the longest CoAP message with its padding; firmware's longest has 1152 bytes."""

_NO_IV: Final = bytes(BLOCK_BYTES)


class Channel:
    """Both directions of one connection, from either side: both begin with the session's IV.

    Each direction has one cipher context for all its frames, although every frame has an IV of its
    own: CBC adds the IV to the first block, so what the context would add by itself is exchanged
    for the IV there. A context for each frame takes three times as long.
    """

    __slots__ = (
        "_buffer",
        "_decrypt",
        "_decrypt_chain",
        "_encrypt",
        "_encrypt_chain",
        "_is_out_of_step",
        "_receive_iv",
        "_send_iv",
    )

    def __init__(self, session: bytes) -> None:
        if len(session) != SESSION_BYTES:
            raise MisuseError(f"a session has {SESSION_BYTES} bytes")
        cipher = Cipher(AES(session[:BLOCK_BYTES]), CBC(_NO_IV))
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update
        iv = int.from_bytes(session[BLOCK_BYTES : 2 * BLOCK_BYTES], "big")
        self._send_iv = self._receive_iv = iv
        self._encrypt_chain = self._decrypt_chain = 0
        self._buffer = bytearray()
        self._is_out_of_step = False

    def seal(self, content: bytes) -> bytes:
        """One frame, length and body: to be written at once.

        A device that finds half a length loses it and closes the connection. MisuseError when the
        content is longer than `coap.MAX_MESSAGE`.
        """
        size = len(content)
        if size > MAX_MESSAGE:
            raise MisuseError(f"frame of {size} bytes")
        padding = BLOCK_BYTES - size % BLOCK_BYTES
        plaintext = content + padding.to_bytes(1, "big") * padding
        first = int.from_bytes(plaintext[:BLOCK_BYTES], "big") ^ self._send_iv ^ self._encrypt_chain
        body = self._encrypt(first.to_bytes(BLOCK_BYTES, "big") + plaintext[BLOCK_BYTES:])
        self._send_iv = int.from_bytes(body[:BLOCK_BYTES], "big")
        self._encrypt_chain = int.from_bytes(body[-BLOCK_BYTES:], "big")
        return len(body).to_bytes(LENGTH_BYTES, "big") + body

    def feed(self, data: bytes) -> list[bytes]:
        """Takes bytes of the stream, as many as there are; returns the contents now complete.

        MalformedError when the stream is out of step, now and ever after: close the connection.
        """
        if self._is_out_of_step:
            raise MalformedError("the stream is out of step")
        buffer = self._buffer
        buffer += data
        contents: list[bytes] = []
        start = 0
        while len(buffer) - start >= LENGTH_BYTES:
            size = buffer[start] << 8 | buffer[start + 1]
            if not size or size % BLOCK_BYTES or size > MAX_FRAME_BYTES:
                self._fail(f"frame of {size} bytes")
            end = start + LENGTH_BYTES + size
            if len(buffer) < end:
                break
            contents.append(self._open(bytes(buffer[start + LENGTH_BYTES : end])))
            start = end
        del buffer[:start]
        return contents

    def _open(self, body: bytes) -> bytes:
        plaintext = self._decrypt(body)
        first = int.from_bytes(plaintext[:BLOCK_BYTES], "big")
        first ^= self._receive_iv ^ self._decrypt_chain
        self._receive_iv = int.from_bytes(body[:BLOCK_BYTES], "big")
        self._decrypt_chain = int.from_bytes(body[-BLOCK_BYTES:], "big")
        plaintext = first.to_bytes(BLOCK_BYTES, "big") + plaintext[BLOCK_BYTES:]
        padding = plaintext[-1]
        if not 1 <= padding <= BLOCK_BYTES or plaintext[-padding:].count(padding) != padding:
            self._fail("frame with wrong padding")
        return plaintext[:-padding]

    def _fail(self, why: str) -> NoReturn:
        self._is_out_of_step = True
        self._buffer = bytearray()
        raise MalformedError(why)
