"""Bundles: an application with the assets that it needs, in one zip (device-protocol.md section
5.5): the application's module at the top, `assets/NAME` for each asset.

The application's module says in its suffix which assets it needs, by name and SHA-256; a bundle
has all of them and no others.
"""

import io
import zipfile
import zlib
from hashlib import sha256
from typing import Final

import msgspec

from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.module import MAX_ASSET_BYTES, MAX_MODULE_BYTES, Module, parse_module
from cyan.wire.module.extensions import MAX_NAME_BYTES

MAX_BUNDLE_BYTES: Final = 16 * 1024 * 1024
"""Of the zip; ours: the largest module and asset store, and some."""
MAX_BUNDLED_ASSETS: Final = 512
"""Blocks of the largest asset store, in which each asset takes one or more (section 5.5)."""
MAX_ASSETS_BYTES: Final = 2 * MAX_ASSET_BYTES
"""Of all assets, unpacked; ours: they are stored compressed."""
MAX_ENTRIES: Final = MAX_BUNDLED_ASSETS + 64
"""Of the zip, with folders and what else lies there."""

APPLICATION_NAME: Final = "application.bin"
_FOLDER: Final = "assets/"
_ZIP_MAGIC: Final = b"PK\x03\x04"
_FIXED_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The first that a zip can tell."""
_ENCRYPTED: Final = 0x01
_ENTRY_MAGIC: Final = b"PK\x01\x02"
_MAX_ENTRY_MAGICS: Final = 20_000
"""In a bundle, with those of zips among its assets: what the directory of a zip costs to read."""


class BundledAsset(msgspec.Struct, frozen=True):
    """One asset: its name and raw data."""

    name: str
    data: bytes


class Bundle(msgspec.Struct, frozen=True):
    """An application and its assets, in the order in which the application lists them."""

    application: Module
    assets: tuple[BundledAsset, ...] = ()


def is_bundle(data: bytes | memoryview) -> bool:
    """Whether it begins like a zip; a module does not."""
    return bytes(data[:4]) == _ZIP_MAGIC


def read_bundle(data: bytes) -> Bundle:
    """Reads a zip whose application has all the assets that it lists.

    Folders other than `assets/` are left aside. Raises MalformedError, which says which file is
    missing, too much or wrong.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise MalformedError(f"bundle: {len(data)} bytes, and at most {MAX_BUNDLE_BYTES} are taken")
    if data.count(_ENTRY_MAGIC) > _MAX_ENTRY_MAGICS:
        raise MalformedError(f"bundle: at most {MAX_ENTRIES} files are taken, and it has far more")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError,
            RuntimeError, UnicodeError, LookupError, MemoryError) as error:  # fmt: skip
        if isinstance(error, MalformedError):
            raise
        raise MalformedError(f"bundle: the zip cannot be read: {error}") from error


def encode_bundle(application: bytes, assets: tuple[BundledAsset, ...] = ()) -> bytes:
    """The zip, always the same for the same files.

    Raises MisuseError unless the application is a module and `assets` are those that it lists.
    """
    try:
        listed = _in_order(parse_module(application), {each.name: each.data for each in assets})
    except MalformedError as error:
        raise MisuseError(str(error)) from error
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(zipfile.ZipInfo(APPLICATION_NAME, _FIXED_DATE), application,
                         zipfile.ZIP_DEFLATED)  # fmt: skip
        for each in listed:
            archive.writestr(zipfile.ZipInfo(_FOLDER + each.name, _FIXED_DATE), each.data,
                             zipfile.ZIP_DEFLATED)  # fmt: skip
    return out.getvalue()


def _read(archive: zipfile.ZipFile) -> Bundle:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise MalformedError(f"bundle: {len(entries)} files, and at most {MAX_ENTRIES} are taken")
    applications: list[zipfile.ZipInfo] = []
    assets: dict[str, bytes] = {}
    left = MAX_ASSETS_BYTES
    for entry in entries:
        if entry.is_dir():
            continue
        folder, _, name = entry.filename.rpartition("/")
        if not folder:
            applications.append(entry)
        elif folder == _FOLDER.rstrip("/"):
            _check_name(name)
            if name in assets:
                raise MalformedError(f"bundle: the asset {name!r} is there twice")
            assets[name] = _unpack(archive, entry, min(left, MAX_ASSET_BYTES))
            left -= len(assets[name])
    if len(applications) != 1:
        raise MalformedError(
            f"bundle: {len(applications)} files at its top, and one is right: the application"
        )
    module = parse_module(_unpack(archive, applications[0], MAX_MODULE_BYTES))
    return Bundle(module, _in_order(module, assets))


def _check_name(name: str) -> None:
    if not (0 < len(name.encode()) <= MAX_NAME_BYTES and name.isprintable()) or name in (".", ".."):
        raise MalformedError(
            f"bundle: the name of an asset has 1 to {MAX_NAME_BYTES} bytes that can be printed, not"
            f" {name[:40]!r}"
        )


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """The content, at most `limit` bytes of it, whatever the zip says of its size."""
    shown = entry.filename[:80]
    if entry.flag_bits & _ENCRYPTED:
        raise MalformedError(f"bundle: {shown!r} is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise MalformedError(f"bundle: {shown!r} is packed by a method other than store or deflate")
    with archive.open(entry) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise MalformedError(f"bundle: {shown!r} has more than {limit} bytes when unpacked")
    return content


def _in_order(application: Module, assets: dict[str, bytes]) -> tuple[BundledAsset, ...]:
    listed: dict[str, BundledAsset] = {}
    for needed in application.assets:
        data = assets.get(needed.name)
        if data is None:
            raise MalformedError(f"bundle: the asset {needed.name!r} is listed and not there")
        if sha256(data).digest() != needed.hash:
            raise MalformedError(
                f"bundle: the asset {needed.name!r} has another SHA-256 than the application lists"
            )
        listed[needed.name] = BundledAsset(needed.name, data)
    if extra := sorted(assets.keys() - listed.keys()):
        raise MalformedError(f"bundle: the application does not list the asset {extra[0]!r}")
    return tuple(listed.values())
