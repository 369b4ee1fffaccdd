"""Reading files of Device OS releases for the operator: single binaries, folders, zips of them.

Which release a module belongs to is told by the operator, else by the names of its file, folder or
zip (`boron-system-part1@6.2.0.bin`), else by the number of a system part of its platform that comes
with it: 6200 is 6.2.0 (devices/releases.py).
"""

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from cyan.core.errors import InvalidError
from cyan.devices.releases import release_of
from cyan.firmware.deviceosmodel import FILE_WORDS, NO_RELEASE, SystemModule, find_release
from cyan.firmware.images import Images
from cyan.wire.describe.system import MONOLITHIC, SYSTEM_PART
from cyan.wire.errors import MalformedError
from cyan.wire.module import FUNCTION_NAMES, MAX_MODULE_BYTES, Module, parse_module

MAX_FILES: Final = 2000
"""Of one import; ours. A release has some hundred for all platforms."""

_MODULE: Final = ".bin"
_ZIP: Final = ".zip"


class NothingToImportError(InvalidError):
    """There is no module of Device OS in these files."""


class AmbiguousModuleError(InvalidError):
    """Two files are the same module of the same release."""


class Skipped(msgspec.Struct, frozen=True):
    """A file that was left aside, and why."""

    name: str
    reason: str


class Found(msgspec.Struct, frozen=True):
    """A module of Device OS in a file; `name` with the folders or zip that it lies in."""

    name: str
    module: Module
    release: str


class Reading(msgspec.Struct, frozen=True):
    """What is in the files."""

    found: tuple[Found, ...]
    skipped: tuple[Skipped, ...]


def read_files(paths: Sequence[Path], release: str | None = None) -> Reading:
    """Every module of Device OS in these files, folders and zips. `release` is that of all of them.

    Raises NothingToImportError, AmbiguousModuleError, OSError.
    """
    modules: list[tuple[str, Module]] = []
    skipped: list[Skipped] = []
    for name, content in _contents(paths, skipped):
        try:
            module = parse_module(content)
        except MalformedError as error:
            skipped.append(Skipped(name, f"not firmware: {error}"))
            continue
        if module.function not in FILE_WORDS:
            what = FUNCTION_NAMES.get(module.function, f"of function {module.function}")
            skipped.append(Skipped(name, f"{what}, not a part of Device OS"))
            continue
        modules.append((name, module))
    if not modules:
        raise NothingToImportError(
            "There is no module of Device OS in these files."
            + "".join(f"\n  {each.name}: {each.reason}" for each in skipped[:20])
        )
    releases = _releases_by_system(module for _, module in modules)
    found = [
        Found(
            name,
            module,
            release or find_release_of(name) or releases.get(module.platform_id, NO_RELEASE),
        )
        for name, module in modules
    ]
    return Reading(_each_once(found), tuple(skipped))


def keep_modules(images: Images, found: Iterable[Found]) -> list[SystemModule]:
    """Keep the files of the modules. Raises StorageFullError."""
    return [
        SystemModule(
            platform_id=each.module.platform_id,
            release=each.release,
            function=each.module.function,
            index=each.module.index,
            version=each.module.version,
            image=images.keep_blocking(each.module.data),
            crc32=each.module.crc32,
            dependencies=each.module.dependencies,
        )
        for each in found
    ]


def find_release_of(name: str) -> str | None:
    """The release that a name tells, or one of the folders around it, the innermost first."""
    for part in reversed(Path(name).parts):
        if (release := find_release(part)) is not None:
            return release
    return None


def _releases_by_system(modules: Iterable[Module]) -> dict[int, str]:
    """The release of each platform, by the highest number of a system."""
    versions: dict[int, int] = {}
    for module in modules:
        if module.function in (SYSTEM_PART, MONOLITHIC) and module.version:
            highest = max(versions.get(module.platform_id, 0), module.version)
            versions[module.platform_id] = highest
    return {platform_id: release_of(version) for platform_id, version in versions.items()}


def _each_once(found: list[Found]) -> tuple[Found, ...]:
    places: dict[tuple[int, str, int, int], Found] = {}
    for each in found:
        module = each.module
        place = (module.platform_id, each.release, module.function, module.index)
        known = places.setdefault(place, each)
        if known.module.data != module.data:
            raise AmbiguousModuleError(
                f"{known.name} and {each.name} are both {module.name} of platform"
                f" {module.platform_id} in {each.release or 'no release'}. Import one of them."
            )
    return tuple(places.values())


def _contents(paths: Sequence[Path], skipped: list[Skipped]) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file that may be a module."""
    count = 0
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            name = str(file if file == path else Path(path.name, file.relative_to(path)))
            if path.is_dir() and (not file.is_file() or file.suffix not in (_MODULE, _ZIP)):
                continue
            for inner, content in _of_file(file, name, skipped):
                count += 1
                if count > MAX_FILES:
                    raise NothingToImportError(
                        f"There are more than {MAX_FILES} files. Name the folder of one release."
                    )
                yield inner, content


def _of_file(file: Path, name: str, skipped: list[Skipped]) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(file):
        yield from _of_zip(file, name, skipped)
        return
    with file.open("rb") as opened:
        content = opened.read(MAX_MODULE_BYTES + 1)
    yield name, content


def _of_zip(file: Path, name: str, skipped: list[Skipped]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            inner = f"{name}/{entry.filename}"
            if entry.is_dir() or not entry.filename.endswith(_MODULE):
                continue
            try:
                with archive.open(entry) as opened:
                    yield inner, opened.read(MAX_MODULE_BYTES + 1)
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError,
                    NotImplementedError) as error:  # fmt: skip
                skipped.append(Skipped(inner, f"cannot be unpacked: {error}"))
