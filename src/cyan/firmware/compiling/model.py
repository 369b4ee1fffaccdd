"""Sources, targets and results of compilation, and what can go wrong."""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from cyan.core.errors import CyanError, InvalidError

Sources = Mapping[str, bytes]
"""The files of a project by their paths in it, as `sources.clean_sources` made them."""

COMPILE_GUIDE: Final = "docs/howto/compile-firmware.md"


LATEST: Final = "latest"
"""Stands for the newest release where nobody chose one."""


class BuildTarget(msgspec.Struct, frozen=True):
    """A release of Device OS for which there is a compiler, and the platforms it takes."""

    version: str
    platforms: tuple[int, ...]
    vendor: str = "Particle"


class Target(msgspec.Struct, frozen=True):
    """What is compiled for. Where nobody chose the release, `is_chosen` is False and `version` the
    newest that the compiler has."""

    platform_id: int
    version: str
    is_chosen: bool


class Compiled(msgspec.Struct, frozen=True):
    """A module, what the compiler said of it (warnings), and its sizes as `size` prints them."""

    data: bytes
    target: Target
    output: str = ""
    size_info: str | None = None


class InvalidSourcesError(InvalidError):
    """These files cannot be compiled."""


class NoCompilerError(InvalidError):
    """There is no compiler for this platform on this server."""


class CompilerBusyError(CyanError):
    """Too many compilations are waiting. Try again in a moment."""


class CompileError(InvalidError):
    """The sources do not compile."""

    def __init__(self, errors: str, output: str = "") -> None:
        super().__init__()
        self.errors = errors
        """What the compiler wrote to its standard error."""
        self.output = output


class Compiler(Protocol):
    """Makes modules for the platforms and releases of its targets."""

    @property
    def targets(self) -> tuple[BuildTarget, ...]:
        """The newest release first."""
        ...

    async def compile(self, sources: Sources, target: Target) -> Compiled:
        """A valid module for one of the targets. Raises CompileError."""
        ...
