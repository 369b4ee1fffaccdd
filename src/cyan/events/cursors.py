"""Cursors as readers of a stream see them: opaque, and only ours are understood.

One AES block: 8 bytes of position, then 8 fixed ones that a forged cursor would not show. Plain
positions would tell every reader how busy all the other accounts are.
"""

import base64
import binascii

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from cyan.core.errors import InvalidError

MARK = b"cyan-ev1"
TEXT_LENGTH = 22
"""16 bytes in base64url without padding."""


class MalformedCursorError(InvalidError):
    """This cursor is not one that this server gave out."""


class Cursors:
    """Positions of the log to cursors and back, under a 16-byte key."""

    def __init__(self, key: bytes) -> None:
        # One block at a time, each with a content of its own: the case where ECB is right.
        cipher = Cipher(AES(key), ECB())  # noqa: S305
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update

    def encode(self, position: int) -> str:
        block = self._encrypt(position.to_bytes(8, "big") + MARK)
        return base64.urlsafe_b64encode(block)[:TEXT_LENGTH].decode()

    def decode(self, text: str) -> int:
        """The position. Raises MalformedCursorError."""
        if len(text) != TEXT_LENGTH:
            raise MalformedCursorError
        try:
            block = self._decrypt(base64.b64decode(text + "==", altchars=b"-_", validate=True))
        except (binascii.Error, ValueError) as error:
            raise MalformedCursorError from error
        if block[8:] != MARK:
            raise MalformedCursorError
        return int.from_bytes(block[:8], "big")
