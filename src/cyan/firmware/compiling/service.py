"""The compilers of a server: chosen by platform and release, not too many at a time."""

import asyncio
import contextlib
import re
import shlex
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog
from prometheus_client import Counter

from cyan.core.config import Config
from cyan.core.errors import ConfigError
from cyan.core.ids import UserId
from cyan.core.metrics import REGISTRY
from cyan.firmware.compiling.model import (
    COMPILE_GUIDE,
    LATEST,
    BuildTarget,
    Compiled,
    CompileError,
    Compiler,
    CompilerBusyError,
    NoCompilerError,
    Sources,
    Target,
)
from cyan.firmware.compiling.program import Limits, ProgramCompiler
from cyan.firmware.compiling.simulated import ALL, ONLY_GCC, simulated_compiler
from cyan.wire.module import PLATFORM_NAMES, platform_name

MAX_RUNNING: Final = 2
"""Compilations at the same time; each keeps a processor busy."""
MAX_WAITING: Final = 20
MAX_WAIT_S: Final = 10.0
"""For one's turn; with what a compiler may take it is less than clients wait for an answer."""
MAX_OF_ONE_ACCOUNT: Final = 2
"""Running and waiting; ours. One person's script leaves room for others."""

MAX_TARGETS: Final = 200
"""In the setting; ours."""

_MIB: Final = 1024 * 1024
_VERSION: Final = re.compile(r"v?(\d{1,4}(?:\.\d{1,4}){2}(?:-[A-Za-z0-9.]{1,20})?)\Z")
_IDS: Final = {name: number for number, name in PLATFORM_NAMES.items()}

_done = Counter(
    "cyan_firmware_compilations",
    "Compilations of firmware, by how they ended: made, errors, busy.",
    ("outcome",),
    registry=REGISTRY,
)

_log = structlog.get_logger(__name__)


class Compilers:
    """All that compile here. Where several have a platform and release, the first does it."""

    def __init__(self, compilers: Sequence[Compiler]) -> None:
        self._compilers = tuple(compilers)
        self._running = asyncio.Semaphore(MAX_RUNNING)
        self._of_account: dict[UserId, int] = {}

    @property
    def targets(self) -> list[BuildTarget]:
        """Releases and platforms, the newest release first."""
        found: dict[str, tuple[set[int], str]] = {}
        for compiler in self._compilers:
            for target in compiler.targets:
                platforms, _ = found.setdefault(target.version, (set(), target.vendor))
                platforms.update(target.platforms)
        return [
            BuildTarget(version, tuple(sorted(found[version][0])), found[version][1])
            for version in sorted(found, key=version_order, reverse=True)
        ]

    async def compile(
        self, user_id: UserId, sources: Sources, platform_id: int, version: str | None = None
    ) -> Compiled:
        """A module for the platform and release, the newest that there is where none is named.

        Raises NoCompilerError, CompileError, CompilerBusyError.
        """
        compiler, target = self._choose(platform_id, version)
        count = self._of_account.get(user_id, 0)
        if count >= MAX_OF_ONE_ACCOUNT or sum(self._of_account.values()) >= (
            MAX_WAITING + MAX_RUNNING
        ):
            _done.labels("busy").inc()
            raise CompilerBusyError
        self._of_account[user_id] = count + 1
        try:
            async with self._turn():
                made = await compiler.compile(sources, target)
        except CompileError as error:
            _done.labels("errors").inc()
            first = error.errors.partition("\n")[0][:200]
            _log.info("compiler.errors", user_id=user_id, platform_id=platform_id, first=first)
            raise
        finally:
            self._of_account[user_id] -= 1
            if not self._of_account[user_id]:
                del self._of_account[user_id]
        _done.labels("made").inc()
        _log.info(
            "compiler.made", user_id=user_id, platform_id=platform_id, size_bytes=len(made.data)
        )
        return made

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(MAX_WAIT_S):
                await self._running.acquire()
        except TimeoutError:
            _done.labels("busy").inc()
            raise CompilerBusyError from None
        try:
            yield
        finally:
            self._running.release()

    def _choose(self, platform_id: int, version: str | None) -> tuple[Compiler, Target]:
        if version in ("", LATEST):
            version = None
        match = _VERSION.match(version) if version is not None else None
        wanted = match[1] if match else version
        have: list[str] = []
        for compiler in self._compilers:
            versions = [t.version for t in compiler.targets if platform_id in t.platforms]
            have += versions
            if versions and wanted is None:
                newest = max(versions, key=version_order)
                return compiler, Target(platform_id, newest, is_chosen=False)
            if wanted in versions:
                assert wanted is not None
                return compiler, Target(platform_id, wanted, is_chosen=True)
        raise NoCompilerError(self._missing(platform_id, wanted, have))

    def _missing(self, platform_id: int, wanted: str | None, have: list[str]) -> str:
        name = platform_name(platform_id)
        if have:
            versions = ", ".join(sorted(set(have), key=version_order, reverse=True))
            return (
                f"This server does not compile for {name} with Device OS {(wanted or '')[:40]}, but"
                f" with {versions}."
            )
        others = {number for target in self.targets for number in target.platforms}
        names = ", ".join(platform_name(number) for number in sorted(others)) or "no platform"
        return (
            f"This server has no compiler for {name}; it compiles for {names}. Compile on your"
            f" computer and flash the binary, or attach a compiler: {COMPILE_GUIDE} tells how."
        )


def open_compilers(config: Config) -> Compilers:
    """The compilers that the configuration names. Raises ConfigError."""
    found: list[Compiler] = []
    if config.compiler_command:
        try:
            command = shlex.split(config.compiler_command)
        except ValueError as error:
            raise ConfigError(f"compiler_command cannot be read: {error}.") from error
        limits = Limits(config.compiler_timeout_s, config.compiler_memory_mib * _MIB)
        found.append(ProgramCompiler(command, read_targets(config.compiler_targets), limits))
    elif config.compiler_targets:
        raise ConfigError("compiler_targets needs compiler_command, the program that compiles.")
    if config.simulated_compiler in (ALL, ONLY_GCC):
        found.append(simulated_compiler(config.simulated_compiler))
    return Compilers(found)


def read_targets(text: str) -> tuple[BuildTarget, ...]:
    """`6.2.0: argon boron; 5.8.2: p2` as targets, the newest first. Raises ConfigError."""
    found: list[BuildTarget] = []
    for piece in filter(str.strip, text.split(";")):
        version, _, names = piece.partition(":")
        match = _VERSION.match(version.strip())
        platforms = [_IDS.get(name) for name in names.replace(",", " ").split()]
        numbers = tuple(number for number in platforms if number is not None)
        if not match or not numbers or len(numbers) != len(platforms):
            raise ConfigError(
                "compiler_targets are releases with their platforms, like `6.2.0: argon boron;"
                f" 5.8.2: p2`, not {piece.strip()[:80]!r}."
            )
        found.append(BuildTarget(match[1], numbers))
    if not found or len(found) > MAX_TARGETS:
        raise ConfigError(
            "compiler_command needs compiler_targets: what it compiles for, like `6.2.0: argon"
            " boron`."
        )
    return tuple(sorted(found, key=lambda target: version_order(target.version), reverse=True))


def version_order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Orders releases as they followed each other; one with a suffix came before the plain one."""
    numbers, _, suffix = version.partition("-")
    parts = tuple(int(part) for part in numbers.split(".") if part.isdecimal())
    return parts, not suffix, suffix
