"""Extensions of a module's prefix and suffix: type, length, data (device-protocol.md section 7.2).

    0  u16  type
    2  u16  length, with these four bytes
    4       data

All little endian. Layouts of the data as binary-version-reader 3.1 writes them: DEPENDENCY has four
bytes for a target behind its version, hashes have their kind (0 is SHA-256) and size in front.
"""

import struct
from collections.abc import Iterable
from typing import Final

import msgspec

from cyan.wire.describe.system import Asset, ModuleDependency
from cyan.wire.errors import MalformedError, MisuseError

END: Final = 0x0000
PRODUCT_DATA: Final = 0x0001
DYNAMIC_LOCATION: Final = 0x0002
DEPENDENCY: Final = 0x0003
HASH: Final = 0x0010
NAME: Final = 0x0011
ASSET_DEPENDENCY: Final = 0x0012
SECURITY_MODE: Final = 0x0013
ASSET_TYPE: Final = 0x0014
INVALID: Final = 0xFFFF

MAX_EXTENSIONS: Final = 1100
"""Of a prefix or suffix: an application has at most 1024 assets (wire/describe/system.py)."""

MAX_NAME_BYTES: Final = 255
"""Of an asset: its module is stored as a file of this name (ours)."""

_HEADER: Final = struct.Struct("<HH")
_DEPENDENCY: Final = struct.Struct("<BBHI")
_SHA256: Final = 0
_HASH_BYTES: Final = 32
_MAX_LENGTH: Final = 0xFFFF


class Extension(msgspec.Struct, frozen=True):
    """One extension; `data` without type and length."""

    type: int
    data: bytes = b""

    def encode(self) -> bytes:
        """Raises MisuseError when the data is too long."""
        length = _HEADER.size + len(self.data)
        if length > _MAX_LENGTH:
            raise MisuseError(f"An extension has at most {_MAX_LENGTH} bytes, not {length}.")
        return _HEADER.pack(self.type, length) + self.data

    def as_dependency(self) -> ModuleDependency | None:
        """The dependency that it tells, if it is one. Raises MalformedError."""
        if self.type != DEPENDENCY:
            return None
        if len(self.data) < _DEPENDENCY.size - 4:
            raise MalformedError(f"dependency extension: {len(self.data)} bytes of data, not 8")
        return ModuleDependency(
            self.data[0], self.data[1], int.from_bytes(self.data[2:4], "little")
        )

    def as_asset(self) -> Asset | None:
        """The asset that it tells, if it is one and its hash a SHA-256."""
        if self.type != ASSET_DEPENDENCY or self.data[:2] != bytes((_SHA256, _HASH_BYTES)):
            return None
        name = self.data[2 + _HASH_BYTES :].decode(errors="replace")
        return Asset(self.data[2 : 2 + _HASH_BYTES], name)

    def as_hash(self) -> bytes | None:
        """The SHA-256 that it tells, if it is one."""
        is_hash = self.type == HASH and self.data[:2] == bytes((_SHA256, _HASH_BYTES))
        return self.data[2:] if is_hash and len(self.data) == 2 + _HASH_BYTES else None


def dependency(needed: ModuleDependency) -> Extension:
    """A dependency beyond the two of the prefix."""
    return Extension(DEPENDENCY, _DEPENDENCY.pack(needed.function, needed.index, needed.version, 0))


def asset_dependency(asset: Asset) -> Extension:
    """Raises MisuseError unless the hash is a SHA-256 and the name has 1 to 255 bytes."""
    return Extension(ASSET_DEPENDENCY, hash_of(asset.hash).data + name_of(asset.name).data)


def hash_of(digest: bytes) -> Extension:
    """Raises MisuseError unless it is a SHA-256."""
    if len(digest) != _HASH_BYTES:
        raise MisuseError(f"A SHA-256 has {_HASH_BYTES} bytes, not {len(digest)}.")
    return Extension(HASH, bytes((_SHA256, _HASH_BYTES)) + digest)


def name_of(name: str) -> Extension:
    """Raises MisuseError unless it has 1 to 255 bytes in UTF-8."""
    encoded = name.encode()
    if not 1 <= len(encoded) <= MAX_NAME_BYTES:
        raise MisuseError(f"The name of an asset has 1 to {MAX_NAME_BYTES} bytes.")
    return Extension(NAME, encoded)


def product_data(product_id: int, product_version: int) -> Extension:
    """The last four bytes lie where older modules have them without an extension."""
    return Extension(PRODUCT_DATA, struct.pack("<HHH", 0xFFFF, product_id, product_version))


def encode_all(extensions: Iterable[Extension]) -> bytes:
    """One after the other. Raises MisuseError when one is too long."""
    return b"".join(each.encode() for each in extensions)


def take_extensions(data: memoryview, what: str) -> tuple[tuple[Extension, ...], int]:
    """The extensions that `data` begins with, and how many bytes they take: up to the end of the
    list, which may be an END, padding, or that of the data. `what` names them in errors.

    Raises MalformedError.
    """
    found: list[Extension] = []
    at = 0
    while at + _HEADER.size <= len(data):
        type_, length = _HEADER.unpack_from(data, at)
        if type_ == INVALID:
            break
        if not _HEADER.size <= length <= len(data) - at:
            raise MalformedError(
                f"{what}: extension 0x{type_:04x} at {at} says {length} bytes, and"
                f" {len(data) - at} are left"
            )
        if len(found) == MAX_EXTENSIONS:
            raise MalformedError(f"{what}: more than {MAX_EXTENSIONS} extensions")
        found.append(Extension(type_, bytes(data[at + _HEADER.size : at + length])))
        at += length
        if type_ == END:
            break
    return tuple(found), at
