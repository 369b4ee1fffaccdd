"""Files of firmware in the data folder: each kept once, under its SHA-256, and mapped once for all
transfers of it.

Who needs files registers with `needed_by`; others are removed an hour after they were kept last, so
that a row that is about to name one finds it. Commands keep files beside the running server: a lock
on the folder is between them.
"""

import asyncio
import contextlib
import errno
import fcntl
import mmap
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from cyan.core.clock import Clock
from cyan.core.errors import DiskFullError, NotFoundError
from cyan.core.metrics import REGISTRY
from cyan.core.ports import Image
from cyan.wire.errors import MalformedError
from cyan.wire.module import compress_module, may_be_compressed, parse_module
from cyan.wire.module.prefix import read_prefix

FOLDER: Final = "firmware"
"""In the data folder."""

RESERVE_BYTES: Final = 64 * 1024 * 1024
"""Of the disk, which files of firmware leave to the database; ours."""

GRACE_MS: Final = 3600 * 1000
"""From keeping a file to the row that names it; ours, and far more than any request takes."""

INTERVAL_S: Final = 3600.0
"""Between two looks for files that nobody needs."""

_NEW: Final = ".new"
"""How a file ends until it is whole; backups leave such files out."""

_NAME: Final = re.compile(r"[0-9a-f]{64}\Z")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

_log = structlog.get_logger(__name__)

_FILES = Gauge(
    "cyan_firmware_files",
    "Files of firmware in the data folder, as of the last look for some that nobody needs.",
    registry=REGISTRY,
)
_BYTES = Gauge(
    "cyan_firmware_bytes",
    "Bytes of these files.",
    registry=REGISTRY,
)
_REFUSED = Counter(
    "cyan_firmware_refused_for_room_total",
    "Files of firmware that were not kept because the disk has no room for them.",
    registry=REGISTRY,
)


class StorageFullError(DiskFullError):
    """The server's disk has no room for this firmware. Its operator has to make some."""


class ImageLostError(NotFoundError):
    """The file of this firmware is missing or damaged on the server."""


class KeptImage(msgspec.Struct, frozen=True):
    """A file that is there; `sha256` in hex."""

    sha256: str
    size_bytes: int


class Images:
    """The files of one data folder."""

    def __init__(self, data: Path, clock: Clock, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._folder = data / FOLDER
        self._clock = clock
        self._reserve_bytes = reserve_bytes
        self._mapped: WeakValueDictionary[str, mmap.mmap] = WeakValueDictionary()
        self._needed: list[Callable[[], Iterable[str]]] = []

    def needed_by(self, find: Callable[[], Iterable[str]]) -> None:
        """Files that `find` names (SHA-256 in hex) stay. It is called in the loop."""
        self._needed.append(find)

    async def keep(self, data: bytes | memoryview) -> KeptImage:
        """Write a file down, durably; nothing is written when it is there. Raises
        StorageFullError."""
        return await asyncio.to_thread(self.keep_blocking, data)

    def keep_blocking(self, data: bytes | memoryview) -> KeptImage:
        """`keep` for commands and threads."""
        kept = KeptImage(sha256(data).hexdigest(), len(data))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                self._write(kept, data)
        except OSError as error:
            if error.errno in _FULL:
                raise _no_room(kept) from error
            raise
        return kept

    async def keep_compressed(self, sha256_hex: str) -> KeptImage | None:
        """The compressed form of a module that is kept, kept too; None when devices do not take it
        compressed, or it would not be smaller. Always the same file for the same module.

        Raises ImageLostError, StorageFullError.
        """
        image = await self.open(sha256_hex)
        packed = await asyncio.to_thread(_compressed, image.data)
        return None if packed is None else await self.keep(packed)

    async def open(self, sha256_hex: str) -> Image:
        """A file, mapped; all that open it at the same time share one mapping.

        Its SHA-256 is checked when it is mapped. Raises ImageLostError.
        """
        mapped = self._mapped.get(sha256_hex)
        if mapped is None:
            made = await asyncio.to_thread(self._map, sha256_hex)
            # Another task may have mapped it meanwhile.
            mapped = self._mapped.setdefault(sha256_hex, made)
        view = memoryview(mapped)
        try:
            function = read_prefix(view).function
        except MalformedError as error:
            raise ImageLostError from error
        return Image(view, bytes.fromhex(sha256_hex), function)

    async def collect(self) -> int:
        """Remove files that nobody needs; how many."""
        found = await asyncio.to_thread(self._list_old)
        if not found:
            return 0
        needed = {name for find in self._needed for name in find()}
        return await asyncio.to_thread(self._remove, [n for n in found if n not in needed])

    async def run(self) -> None:
        """Collect for as long as the server runs."""
        while True:
            try:
                if removed := await self.collect():
                    _log.info("firmware.images_removed", count=removed)
            except Exception:
                _log.exception("firmware.collect_failed")
            await asyncio.sleep(INTERVAL_S)

    def _write(self, kept: KeptImage, data: bytes | memoryview) -> None:
        path = self._folder / kept.sha256
        if not _is_whole(path, kept.sha256):
            if shutil.disk_usage(self._folder).free - kept.size_bytes < self._reserve_bytes:
                raise _no_room(kept)
            new = path.with_suffix(_NEW)
            try:
                _write_durably(new, data)
                new.rename(path)
            finally:
                new.unlink(missing_ok=True)
            _sync_folder(self._folder)
        now_s = self._clock.now_ms() / 1000
        os.utime(path, (now_s, now_s))

    def _map(self, name: str) -> mmap.mmap:
        if not _NAME.match(name):
            raise ImageLostError
        try:
            with (self._folder / name).open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            # ValueError: the file is empty. A command that ran as another user leaves files behind
            # that the server may not read.
            _log.warning("firmware.image_unreadable", sha256=name, error=str(error))
            raise ImageLostError from error
        if sha256(mapped).hexdigest() != name:
            _log.warning("firmware.image_damaged", sha256=name)
            raise ImageLostError
        return mapped

    def _list_old(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        paths = list(self._folder.iterdir())
        _FILES.set(len(paths))
        _BYTES.set(sum(_size_bytes(path) for path in paths))
        return [path.name for path in paths if self._is_old(path)]

    def _is_old(self, path: Path) -> bool:
        """Also what a process left behind that was killed while it wrote."""
        if not _NAME.match(path.name.removesuffix(_NEW)):
            return False
        try:
            kept_at_ms = path.stat().st_mtime * 1000
        except FileNotFoundError:
            return False
        return kept_at_ms < self._clock.now_ms() - GRACE_MS

    def _remove(self, names: list[str]) -> int:
        removed = 0
        with self._locked():
            for path in (self._folder / name for name in names):
                if self._is_old(path):  # it may have been kept anew
                    path.unlink()
                    removed += 1
        return removed

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _no_room(kept: KeptImage) -> StorageFullError:
    _REFUSED.inc()
    _log.warning("firmware.no_room", size_bytes=kept.size_bytes)
    return StorageFullError()


def _is_whole(path: Path, sha256_hex: str) -> bool:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest() == sha256_hex
    except FileNotFoundError:
        return False


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _compressed(data: memoryview) -> bytes | None:
    try:
        module = parse_module(data)
    except MalformedError:
        return None  # several modules in one file
    if not may_be_compressed(module):
        return None
    packed = compress_module(data)
    return packed if len(packed) < len(data) else None


def _write_durably(path: Path, data: bytes | memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
