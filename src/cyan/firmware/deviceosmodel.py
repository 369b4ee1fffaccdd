"""Modules of Device OS releases as values: what the operator imported, and how versions compare."""

import re
from typing import Final

import msgspec

from cyan.core.errors import InvalidError, NotFoundError
from cyan.firmware.images import KeptImage
from cyan.wire.describe import ModuleDependency
from cyan.wire.describe.system import (
    BOOTLOADER,
    MONOLITHIC,
    NCP_FIRMWARE,
    RADIO_STACK,
    SYSTEM_PART,
)
from cyan.wire.module import FUNCTION_NAMES, platform_name

NO_RELEASE: Final = ""
"""Of a module whose release nobody tells: it repairs devices, and is not listed as a version."""

FILE_WORDS: Final = {
    BOOTLOADER: "bootloader",
    MONOLITHIC: "monolithic",
    SYSTEM_PART: "system-part",
    NCP_FIRMWARE: "ncp",
    RADIO_STACK: "softdevice",
}
"""Functions of Device OS, and how the names of their files say them."""

_RELEASE: Final = re.compile(
    r"(?<![\d.])(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:-([a-z]{1,8})\.(\d{1,3}))?(?!\d|\.\d)"
)

ReleaseOrder = tuple[int, int, int, bool, str, int]
"""Its three numbers, whether it is final, word and number of a candidate."""


class NoReleaseError(InvalidError):
    """A release of Device OS is like 6.2.0 or 6.3.0-rc.1."""


class UnknownReleaseError(NotFoundError):
    """Device OS version not found (404). The operator imports them by `cyan firmware import`."""

    # The CLI looks for the number in the text, and then says it in its own words.


class SystemModule(msgspec.Struct, frozen=True):
    """One module of Device OS for one platform, its file kept."""

    platform_id: int
    release: str
    function: int
    index: int
    version: int
    """As the module counts: 6200 for the system of 6.2.0, boot loaders on their own."""
    image: KeptImage
    crc32: int
    dependencies: tuple[ModuleDependency, ...]
    imported_at_ms: int = 0

    @property
    def file_name(self) -> str:
        """As releases name their files: `boron-system-part1@6.2.0.bin`."""
        number = ""
        if self.function == SYSTEM_PART:
            number = str(self.index)
        elif self.index:
            number = f"-{self.index}"
        what = FILE_WORDS.get(self.function, f"module{self.function}") + number
        return f"{platform_name(self.platform_id)}-{what}@{self.release or self.version}.bin"

    @property
    def name(self) -> str:
        """For people, as `boron system part 1`."""
        told = FUNCTION_NAMES.get(self.function, f"function {self.function}")
        return f"{platform_name(self.platform_id)} {told}{f' {self.index}' if self.index else ''}"


def find_release(text: str) -> str | None:
    """The release that a name of a file or folder tells, as `6.2.0` or `6.3.0-rc.1`."""
    match = _RELEASE.search(text)
    return match.group(0) if match else None


def release_order(release: str) -> ReleaseOrder:
    """By which releases are newer and older: 6.3.0 is newer than 6.3.0-rc.2.

    Raises NoReleaseError.
    """
    match = _RELEASE.fullmatch(release)
    if match is None:
        raise NoReleaseError(
            f"A release of Device OS is like 6.2.0 or 6.3.0-rc.1, not {release[:40]!r}."
        )
    major, minor, patch, word, number = match.groups()
    return (int(major), int(minor), int(patch), word is None, word or "", int(number or 0))


def is_final(release: str) -> bool:
    """Whether it is no candidate."""
    return "-" not in release
