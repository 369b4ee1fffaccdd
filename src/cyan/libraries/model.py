"""A version of a library as a value: what its `library.properties` says, and who has it here
(rest-api-core.md §14)."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from cyan.core.errors import InvalidError, NotFoundError

MAX_ARCHIVE_BYTES: Final = 4 * 1024 * 1024
"""Of an upload, packed; ours. The largest public libraries have about one."""

MAX_UNPACKED_BYTES: Final = 24 * 1024 * 1024
MAX_FILES: Final = 2000
"""In one archive; ours."""

MAX_UPLOADS: Final = 200
"""Versions of libraries that one account keeps here; ours."""

MAX_PROPERTIES_BYTES: Final = 32 * 1024
MAX_VALUE_CHARACTERS: Final = 4000

PROPERTIES_FILE: Final = "library.properties"
_REQUIRED: Final = ("name", "version", "author", "sentence")
_DEPENDENCY: Final = "dependencies."
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}\Z")
_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})\Z")


class InvalidLibraryError(InvalidError):
    """This is no library: a tar.gz with library.properties and src/ in it."""


class NameTakenError(InvalidError):
    """There is a public library of this name already, and it is not yours. Choose another name."""


class VersionExistsError(InvalidError):
    """This version is here already. Raise `version` in library.properties."""


class TooManyUploadsError(InvalidError):
    """An account keeps 200 versions of libraries here. Delete one that you do not need."""


class UnknownLibraryError(NotFoundError):
    """There is no such library."""


class Properties(msgspec.Struct, frozen=True):
    """What `library.properties` says."""

    name: str
    version: str
    fields: dict[str, str] = {}
    dependencies: dict[str, str] = {}

    @property
    def architectures(self) -> list[str]:
        listed = self.fields.get("architectures", "")
        return [each.strip() for each in listed.split(",") if each.strip()]

    @property
    def order(self) -> tuple[int, ...]:
        """By which versions are newer and older."""
        return version_order(self.version)


class Library(msgspec.Struct, frozen=True):
    """One version of a library that a caller may see."""

    properties: Properties
    download: str
    """The path of its archive."""
    is_public: bool = True
    is_official: bool = False
    """From the operator's folder."""
    is_mine: bool = False
    at_ms: int = 0
    """When it came here."""

    @property
    def name(self) -> str:
        return self.properties.name


def version_order(version: str) -> tuple[int, ...]:
    """1.2.10 is newer than 1.2.9."""
    match = _VERSION.match(version)
    return tuple(int(part) for part in match.groups()) if match else ()


def read_properties(content: bytes) -> Properties:
    """Reads the lines `key=value`. Raises InvalidLibraryError, which says what is missing."""
    if len(content) > MAX_PROPERTIES_BYTES:
        raise InvalidLibraryError(f"{PROPERTIES_FILE} has more than {MAX_PROPERTIES_BYTES} bytes.")
    fields: dict[str, str] = {}
    dependencies: dict[str, str] = {}
    for line in content.decode(errors="replace").splitlines():
        key, equals, value = line.partition("=")
        key, value = key.strip(), value.strip()[:MAX_VALUE_CHARACTERS]
        if not equals or key.startswith("#"):
            continue
        if key.startswith(_DEPENDENCY):
            dependencies[key.removeprefix(_DEPENDENCY)] = value
        else:
            fields[key] = value
    _check(fields)
    return Properties(fields.pop("name"), fields.pop("version"), fields, dependencies)


def _check(fields: Mapping[str, str]) -> None:
    for name in _REQUIRED:
        if not fields.get(name):
            raise InvalidLibraryError(f"{PROPERTIES_FILE} has no {name}.")
    if not _NAME.match(fields["name"]):
        raise InvalidLibraryError(
            "The name of a library has letters, digits, -, _ and +, at most 64, and begins with a"
            " letter or digit."
        )
    if not _VERSION.match(fields["version"]):
        raise InvalidLibraryError("The version of a library is three numbers, like 1.0.2.")
