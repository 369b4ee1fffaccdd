"""The file that `cyan backup` writes: a tar of the data folder, its manifest at the end.

Plain tar, so that every tool can look into it. The manifest names every file with its size and
SHA-256; an archive that was cut short has none.
"""

import hashlib
import io
import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final

import msgspec

from cyan.core.errors import CyanError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"

MAX_FILES: Final = 100_000
"""In one archive: a data folder has tens, a dev folder one more for each simulated device."""

MAX_MANIFEST_BYTES: Final = 200 * MAX_FILES

_CHUNK_BYTES: Final = 1024 * 1024


class NotABackupError(CyanError):
    """The file is not a backup that `cyan backup` wrote, or a part of it is missing or changed."""


class Member(msgspec.Struct, frozen=True):
    """One file of the archive; `sha256` in hex."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What is in an archive, and where it came from. `files` by path below the data folder."""

    format: int
    version: str
    """Of the program that wrote it."""
    schema: str
    """The revision of the database."""
    created_at_ms: int
    files: dict[str, Member]


class Writer:
    """An archive that is being written."""

    def __init__(self, file: BinaryIO) -> None:
        self._tar = tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)
        self.files: dict[str, Member] = {}

    def add(self, name: str, path: Path) -> None:
        """A file's content as it is now. Raises OSError."""
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            hashing = _Hashing(file)
            self._tar.addfile(_entry(name, found.st_size, int(found.st_mtime)), hashing)
        self.files[name] = Member(found.st_size, hashing.hexdigest())

    def finish(self, *, version: str, schema: str, created_at_ms: int) -> Manifest:
        """Write the manifest and the end."""
        manifest = Manifest(FORMAT, version, schema, created_at_ms, self.files)
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        entry = _entry(MANIFEST, len(content), created_at_ms // 1000)
        self._tar.addfile(entry, io.BytesIO(content))
        self._tar.close()
        return manifest


def extract(archive: Path, folder: Path) -> Manifest:
    """Write the archive's files below an empty folder, for their owner only.

    Raises NotABackupError unless all that the manifest names is there, unchanged, and nothing else.
    """
    files: dict[str, Member] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(archive, "r:") as tar:
            for entry in tar:
                if manifest is not None or len(files) == MAX_FILES:
                    raise NotABackupError(f"{archive} goes on after its end: {entry.name[:200]!r}.")
                # A sparse entry is as large as it likes to be, whatever the archive's size.
                is_plain = entry.isreg() and not entry.issparse()
                content = tar.extractfile(entry) if is_plain else None
                if content is None or entry.name in files or not _is_below(entry.name):
                    raise NotABackupError(f"{archive} has no business with {entry.name[:200]!r}.")
                if entry.name == MANIFEST:
                    manifest = _read_manifest(archive, content.read(MAX_MANIFEST_BYTES))
                else:
                    files[entry.name] = _write(folder / entry.name, content)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise NotABackupError(f"{archive} is not a backup, or was cut short: {error}.") from error
    if manifest is None:
        raise NotABackupError(f"{archive} was cut short, or is not a backup: no {MANIFEST}.")
    differing = sorted(
        name
        for name in files.keys() | manifest.files.keys()
        if files.get(name) != manifest.files.get(name)
    )
    if differing:
        raise NotABackupError(f"{archive} was changed after it was written: {differing[0]!r}.")
    return manifest


def _entry(name: str, size: int, mtime_s: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, mtime_s, 0o600
    return entry


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
    )


def _read_manifest(archive: Path, content: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise NotABackupError(f"The manifest of {archive} cannot be read: {error}.") from error
    if manifest.format != FORMAT:
        raise NotABackupError(
            f"{archive} has format {manifest.format}, written by version {manifest.version}; this"
            f" version reads format {FORMAT}."
        )
    return manifest


def _write(path: Path, content: IO[bytes]) -> Member:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return Member(size, digest.hexdigest())


class _Hashing(io.RawIOBase):
    """A file whose content is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        content = self._file.read(size)
        self._digest.update(content)
        return content

    def hexdigest(self) -> str:
        return self._digest.hexdigest()
