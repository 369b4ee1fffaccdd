"""The memory in which a device collects an update, and what of it survives a power cut.

Numbers as in Device OS 6.2.0 (`system/src/firmware_update.cpp`, device-protocol.md §5.2.4).
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final, Protocol

import msgspec

SYNC_S: Final = 30.0
SYNC_BYTES: Final = 4096
"""After so long, or so much, what is known of the transfer is written down. Firmware leaves the
second to its file system, which keeps a few KB in memory; this is one block of it."""

_READ_BYTES: Final = 1 << 16


class FlashError(OSError):
    """The memory cannot be written."""


class Flash(Protocol):
    """Memory for one file, which survives power cuts."""

    def erase(self) -> None:
        """Forgets the file. Raises FlashError."""

    def write(self, offset: int, data: bytes) -> None:
        """Raises FlashError."""

    def read(self, offset: int, size: int) -> bytes:
        """What was written there; less where nothing was."""


class MemoryFlash:
    """Only as long as the process lives."""

    __slots__ = ("_content",)

    def __init__(self) -> None:
        self._content = bytearray()

    def erase(self) -> None:
        """Forgets the file."""
        self._content = bytearray()

    def write(self, offset: int, data: bytes) -> None:
        """Fills what lies between with zeros."""
        content = self._content
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data

    def read(self, offset: int, size: int) -> bytes:
        """What was written there."""
        return bytes(self._content[offset : offset + size])


class FileFlash:
    """A file of a folder that is there only while an update is: thousands of devices hold nothing
    in memory, and no descriptor between two chunks."""

    __slots__ = ("_folder", "_name")

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    @property
    def _path(self) -> Path:
        # Made anew each time: one for each of a hundred thousand devices would be 40 MB.
        return self._folder / f"{self._name}.update"

    def erase(self) -> None:
        """Removes the file."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise FlashError(str(error)) from error

    def write(self, offset: int, data: bytes) -> None:
        """Makes the file when it is not there."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.pwrite(descriptor, data, offset) != len(data):
                    raise FlashError(f"{self._path}: written in part")
            finally:
                os.close(descriptor)
        except OSError as error:
            raise FlashError(str(error)) from error

    def read(self, offset: int, size: int) -> bytes:
        """Nothing where there is no file."""
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
        return b""


class Partial(msgspec.Struct, frozen=True):
    """A transfer as it is written down: SHA-256 and size of the whole file, how many bytes from its
    start on have arrived, and the SHA-256 of these."""

    sha256: bytes
    size: int
    received: int = 0
    received_sha256: bytes = hashlib.sha256().digest()


class Storage:
    """The transfer that a device holds, whole or in part. `partial` is what would survive now."""

    __slots__ = ("_flash", "_received", "_running", "_size", "_synced_at", "partial")

    def __init__(self, flash: Flash, partial: Partial | None = None) -> None:
        self._flash = flash
        self._running: hashlib._Hash | None = None
        self._size = self._received = 0
        self._synced_at = 0.0
        self.partial = partial

    def begin(self, size: int, sha256: bytes | None, now: float, *, discards: bool = False) -> int:
        """Makes room for a file, or finds the part of it that is there already.

        Without `sha256` it cannot be told to be the same file again. Returns how many bytes from
        its start on there are. Raises FlashError.
        """
        if discards or sha256 is None:
            self.clear()
        kept = self.partial
        self._size = size
        self._synced_at = now
        if kept is not None and (kept.sha256, kept.size) == (sha256, size):
            running = self._running = self._hash(0, kept.received)
            if running.digest() == kept.received_sha256:
                self._received = kept.received
                return kept.received
        self._flash.erase()
        self._running = None
        self._received = 0
        self.partial = None if sha256 is None else Partial(sha256, size)
        return 0

    def write(self, offset: int, data: bytes, received: int, now: float) -> None:
        """Keeps a chunk, with which the first `received` bytes are complete. What lies beyond the
        size is cut off. Raises FlashError."""
        self._flash.write(offset, data[: max(self._size - offset, 0)])
        self._received = received
        if self.partial is None:
            return
        unsynced = received - self.partial.received
        if unsynced >= SYNC_BYTES or (unsynced and now - self._synced_at >= SYNC_S):
            self.sync(now)

    def sync(self, now: float) -> None:
        """Writes down what there is, so that a power cut does not lose it."""
        kept = self.partial
        self._synced_at = now
        if kept is None or kept.received == self._received:
            return
        running = self._running = self._hash(kept.received, self._received, self._running)
        self.partial = msgspec.structs.replace(
            kept, received=self._received, received_sha256=running.digest()
        )

    def digest(self, now: float) -> tuple[bytes, bool]:
        """The SHA-256 of the file, and whether it is the one that was announced, if one was."""
        self.sync(now)
        kept = self.partial
        if kept is None:
            return hashlib.sha256(self.read()).digest(), True
        is_right = kept.received == kept.size and kept.received_sha256 == kept.sha256
        return kept.received_sha256, is_right

    def read(self) -> bytes:
        """The file, as much of it as was written."""
        return self._flash.read(0, self._size)

    def clear(self) -> None:
        """Forgets the file. Memory that fails then will fail at the next update again."""
        self.partial = self._running = None
        self._received = 0
        with contextlib.suppress(FlashError):
            self._flash.erase()

    def _hash(
        self, start: int, end: int, running: "hashlib._Hash | None" = None
    ) -> "hashlib._Hash":
        hashed = hashlib.sha256() if running is None else running
        while start < end:
            block = self._flash.read(start, min(end - start, _READ_BYTES))
            if not block:
                break
            hashed.update(block)
            start += len(block)
        return hashed
