"""The operator's folder of libraries: `<data>/libraries/<name>/<version>/library.properties`.

It is read again for each request, so that whatever is put there is seen at once; a file that has
not changed is not parsed again.
"""

from pathlib import Path
from typing import Final

import msgspec
import structlog

from cyan.libraries.model import (
    MAX_PROPERTIES_BYTES,
    PROPERTIES_FILE,
    InvalidLibraryError,
    Properties,
    read_properties,
)

FOLDER: Final = "libraries"
MAX_ENTRIES: Final = 5000
"""Versions in the folder; more are not looked at."""

_log = structlog.get_logger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """One version in the folder."""

    properties: Properties
    folder: Path
    at_ms: int


class Catalog:
    """Reads the disk: for a worker thread, not for the loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[int, Entry | None]] = {}

    def entries(self) -> list[Entry]:
        """All versions whose folders are named as their properties say; others are logged."""
        paths = sorted(self._folder.glob(f"*/*/{PROPERTIES_FILE}"))[:MAX_ENTRIES]
        self._read = {path: self._entry(path) for path in paths}
        return [entry for _, entry in self._read.values() if entry is not None]

    def find(self, name: str, version: str) -> Entry | None:
        """One of them."""
        for entry in self.entries():
            if (entry.properties.name, entry.properties.version) == (name, version):
                return entry
        return None

    def _entry(self, path: Path) -> tuple[int, Entry | None]:
        known = self._read.get(path)
        try:
            changed_ns = path.stat().st_mtime_ns
            if known is not None and known[0] == changed_ns:
                return known
            with path.open("rb") as file:
                properties = read_properties(file.read(MAX_PROPERTIES_BYTES + 1))
        except OSError as error:
            _log.warning("library.unreadable", path=str(path), error=str(error))
            return -1, None
        except InvalidLibraryError as error:
            _log.warning("library.unreadable", path=str(path), error=error.message)
            return changed_ns, None
        if path.parts[-3:-1] != (properties.name, properties.version):
            _log.warning("library.misplaced", path=str(path), name=properties.name)
            return changed_ns, None
        return changed_ns, Entry(properties, path.parent, changed_ns // 1_000_000)
