"""Sealing what must be read back (session keys, later webhook and TOTP secrets).

The key lies in a file of its own in the data folder, outside the database: a stolen copy of the
database alone gives no secret away.
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cyan.core.errors import ConfigError

KEY_FILE = "secrets.key"
_NONCE_BYTES = 12
SECRET_BYTES = 32


class SealBrokenError(ConfigError):
    """A stored secret does not open with the key in secrets.key: is it the right file?"""


class Vault:
    """Seals and opens small values with AES-256-GCM; `purpose` is bound to the value."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, value: bytes, purpose: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, purpose)

    def open(self, sealed: bytes, purpose: bytes) -> bytes:
        """Raises SealBrokenError when the key, the purpose or the value is not the one sealed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose)
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError from error


def open_vault(data: Path) -> Vault:
    """The vault of a data folder; its key is made on first use, readable by its owner only."""
    path = data / KEY_FILE
    if not path.exists():
        write_private(path, os.urandom(SECRET_BYTES))
    key = path.read_bytes()
    if len(key) != SECRET_BYTES:
        raise SealBrokenError(
            f"{path} is not a key of {SECRET_BYTES} bytes. Bring it back from a backup. Or remove"
            " it: what it sealed is lost then, and devices make new handshakes within minutes."
        )
    return Vault(key)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all, and durably."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
