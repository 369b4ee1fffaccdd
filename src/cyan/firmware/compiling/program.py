"""A compiler that is a program of its own, started for each compilation.

It gets the folder of the sources, the path where the module belongs, the name and the id of the
platform, and the release of Device OS. It ends with 0 when the module is there; what it writes to
its standard error is shown to the person. It may write its sizes, as `size` prints them, to the
module's path with `.size` behind. It runs without a shell, in a new folder, with an environment
that has nothing of the server's in it, and within limits of time, memory, and what it writes.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from cyan.firmware.compiling import limited
from cyan.firmware.compiling.model import (
    LATEST,
    BuildTarget,
    Compiled,
    CompileError,
    Sources,
    Target,
)
from cyan.wire.describe.system import MONOLITHIC, USER_PART
from cyan.wire.errors import MalformedError
from cyan.wire.module import MAX_MODULE_BYTES, parse_module, platform_name

MAX_OUTPUT_BYTES: Final = 256 * 1024
"""Of each stream; more is read and forgotten."""
MAX_SIZE_INFO_BYTES: Final = 4096
MAX_WRITTEN_BYTES: Final = 256 * 1024 * 1024
"""Of one file; objects with everything for the debugger in them are large."""

_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_READ_BYTES: Final = 64 * 1024

_log = structlog.get_logger(__name__)


class Limits(msgspec.Struct, frozen=True):
    """What one compilation may take."""

    seconds: int
    memory_bytes: int


class ProgramCompiler:
    """Runs `command` for each compilation."""

    def __init__(
        self, command: Sequence[str], targets: tuple[BuildTarget, ...], limits: Limits
    ) -> None:
        self._command = list(command)
        self._limits = limits
        self.targets = targets

    async def compile(self, sources: Sources, target: Target) -> Compiled:
        """The module that the program made. Raises CompileError."""
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="cyan-compile-"))
        try:
            await asyncio.to_thread(_write, folder / "sources", sources)
            module = folder / "firmware.bin"
            output, errors, code = await self._run(folder, module, target)
            if code != 0:
                raise CompileError(errors or output or f"The compiler ended with {code}.", output)
            data, size_info = await asyncio.to_thread(_read, module)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        _check(data, target)
        return Compiled(data, target, "\n".join(filter(None, (output, errors))), size_info)

    async def _run(self, folder: Path, module: Path, target: Target) -> tuple[str, str, int]:
        """What it wrote to both streams, and how it ended."""
        limits = self._limits
        bounds = (limits.seconds, limits.memory_bytes, MAX_WRITTEN_BYTES)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            limited.__file__,
            *map(str, bounds),
            *self._command,
            str(folder / "sources"),
            str(module),
            platform_name(target.platform_id),
            str(target.platform_id),
            target.version if target.is_chosen else LATEST,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=folder,
            env={"PATH": _PATH, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(limits.seconds):
                output, errors = await _outputs(process)
                code = await process.wait()
        except TimeoutError:
            raise CompileError(
                f"The compiler took longer than {limits.seconds} s and was stopped."
            ) from None
        finally:
            # The whole group: a program that ended may have left others behind.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        return _shown(output, folder), _shown(errors, folder), code


async def _outputs(process: Process) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    return await asyncio.gather(_drain(process.stdout), _drain(process.stderr))


async def _drain(stream: asyncio.StreamReader) -> bytes:
    kept = bytearray()
    while piece := await stream.read(_READ_BYTES):
        kept += piece[: MAX_OUTPUT_BYTES - len(kept)]
    return bytes(kept)


def _shown(output: bytes, folder: Path) -> str:
    """Text as a person may see it: nothing of where the server keeps its files."""
    text = output.decode(errors="replace").replace("\x00", "")
    return text.replace(f"{folder}/sources/", "").replace(str(folder), "").strip()


def _write(folder: Path, sources: Sources) -> None:
    folder.mkdir()
    for path, content in sources.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _read(module: Path) -> tuple[bytes, str | None]:
    """A link instead of a file would be one to the server's own files."""
    if module.is_symlink() or not module.is_file():
        raise CompileError("The compiler made no module, and said no error.")
    with module.open("rb") as file:
        data = file.read(MAX_MODULE_BYTES + 1)
    sizes = module.with_name(module.name + ".size")
    if sizes.is_symlink() or not sizes.is_file():
        return data, None
    with sizes.open("rb") as file:
        return data, file.read(MAX_SIZE_INFO_BYTES).decode(errors="replace")


def _check(data: bytes, target: Target) -> None:
    """What is no module, or one for another board, never gets to a device."""
    try:
        module = parse_module(data)
    except MalformedError as error:
        _log.error("compiler.bad_module", platform_id=target.platform_id, error=str(error))
        raise CompileError(f"The compiler made no valid module: {error}") from error
    if module.platform_id != target.platform_id or (module.function not in (USER_PART, MONOLITHIC)):
        _log.error("compiler.other_module", platform_id=target.platform_id)
        raise CompileError(
            f"The compiler made a module of platform {module.platform_id} and function"
            f" {module.function}, which is not what was asked for."
        )
