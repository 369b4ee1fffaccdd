"""Compilers that are programs: what they are given, what they may do, and how they end."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from cyan.core.config import Config
from cyan.core.errors import ConfigError
from cyan.firmware.compiling import program
from cyan.firmware.compiling.model import BuildTarget, CompileError, Target
from cyan.firmware.compiling.program import Limits, ProgramCompiler
from cyan.firmware.compiling.service import open_compilers, read_targets
from cyan.firmware.compiling.simulated import simulated_compiler
from cyan.wire.module import encode_module
from tests.firmware.compiling.world import write_program

ARGON = Target(12, "6.2.0", is_chosen=True)
MODULE = encode_module(b"code" * 8, platform_id=12, function=5)
MAKE = f"module.write_bytes(bytes.fromhex('{MODULE.hex()}'))\n"
GIB = 1 << 30


def compiler(folder: Path, code: str, seconds: int = 20) -> ProgramCompiler:
    command = write_program(folder, code)
    return ProgramCompiler(command, (BuildTarget("6.2.0", (12,)),), Limits(seconds, GIB))


async def test_a_program_gets_the_sources_and_says_what_it_made(tmp_path: Path) -> None:
    code = (
        MAKE
        + """
        print((sources / "src/a.ino").read_text(), platform, platform_id, version)
        print(f"{sources}/src/a.ino:1:1: warning: odd", file=sys.stderr)
        module.with_name(module.name + ".size").write_text("text data bss\\n1 2 3\\n")
    """
    )
    # The lines of MAKE are not indented.
    code = "\n".join(line.strip() for line in code.splitlines())
    made = await compiler(tmp_path, code).compile({"src/a.ino": b"loop"}, ARGON)
    assert made.data == MODULE
    assert made.output == "loop argon 12 6.2.0\nsrc/a.ino:1:1: warning: odd"
    assert made.size_info == "text data bss\n1 2 3\n"


async def test_where_no_release_was_chosen_the_program_is_told_so(tmp_path: Path) -> None:
    target = Target(12, "6.2.0", is_chosen=False)
    made = await compiler(tmp_path, MAKE + "print(version)").compile({"a.ino": b""}, target)
    assert made.output == "latest"


async def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    code = 'print("log"); sys.exit(f"{sources}/a.ino:1:1: error: no")'
    with pytest.raises(CompileError) as raised:
        await compiler(tmp_path, code).compile({"a.ino": b""}, ARGON)
    assert (raised.value.errors, raised.value.output) == ("a.ino:1:1: error: no", "log")


async def test_a_program_has_nothing_of_the_server_s_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYAN_SMTP_PASSWORD", "secret")
    code = MAKE + "print(sorted(os.environ), os.getcwd() == os.environ['HOME'], sys.stdin.read())"
    made = await compiler(tmp_path, code).compile({"a.ino": b""}, ARGON)
    assert made.output == "['HOME', 'LANG', 'LC_CTYPE', 'PATH', 'TMPDIR'] True" or (
        made.output == "['HOME', 'LANG', 'PATH', 'TMPDIR'] True"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", "The compiler made no module, and said no error."),
        ("module.write_bytes(b'no module')", "The compiler made no valid module"),
        ("os.symlink('/etc/passwd', module)", "The compiler made no module"),
        ("bytearray(2 << 30)", "MemoryError"),
        ("sys.exit(3)", "The compiler ended with 3."),
        ("os.kill(os.getpid(), 9)", "The compiler ended with -9."),
    ],
)
async def test_a_program_that_makes_no_module_fails(tmp_path: Path, code: str, said: str) -> None:
    with pytest.raises(CompileError) as raised:
        await compiler(tmp_path, code).compile({"a.ino": b""}, ARGON)
    assert said in raised.value.errors


@pytest.mark.parametrize(("platform_id", "function"), [(13, 5), (12, 4)])
async def test_a_module_for_something_else_is_not_taken(
    tmp_path: Path, platform_id: int, function: int
) -> None:
    other = encode_module(b"code" * 8, platform_id=platform_id, function=function)
    with pytest.raises(CompileError) as raised:
        code = f"module.write_bytes(bytes.fromhex('{other.hex()}'))"
        await compiler(tmp_path, code).compile({"a.ino": b""}, ARGON)
    assert "which is not what was asked for" in raised.value.errors


async def test_sources_that_do_not_fit_into_the_memory_are_too_large() -> None:
    sources = {"a.ino": b"void setup() {}\nvoid loop() {}\n//" + b"x" * 9_000_000}
    with pytest.raises(CompileError) as raised:
        await simulated_compiler("all").compile(sources, ARGON)
    assert raised.value.errors == (
        "error: these sources are larger than the compiler for simulated devices can read"
    )


async def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = ProgramCompiler(["/no/such/gcc"], (BuildTarget("6.2.0", (12,)),), Limits(20, GIB))
    with pytest.raises(CompileError) as raised:
        await missing.compile({"a.ino": b""}, ARGON)
    assert raised.value.errors == "/no/such/gcc cannot be started: No such file or directory"


async def test_a_program_that_does_not_end_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"""
pid = os.fork()
if pid:
    pathlib.Path({str(told)!r}).write_text(str(pid))
time.sleep(600)
"""
    with pytest.raises(CompileError) as raised:
        await compiler(tmp_path, code, seconds=2).compile({"a.ino": b""}, ARGON)
    assert raised.value.errors == "The compiler took longer than 2 s and was stopped."
    await _until_gone(int(told.read_text()))


async def test_output_without_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MAX_OUTPUT_BYTES", 1000)
    made = await compiler(tmp_path, MAKE + "print('x' * 3_000_000)").compile({"a": b""}, ARGON)
    assert made.output == "x" * 1000


async def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    await compiler(tmp_path, MAKE).compile({"a.ino": b""}, ARGON)
    with pytest.raises(CompileError):
        await compiler(tmp_path, "sys.exit(1)").compile({"a.ino": b""}, ARGON)
    assert list(scratch.iterdir()) == []


def test_targets_are_read_from_the_setting() -> None:
    assert read_targets("5.8.2: p2; v6.2.0: argon, boron") == (
        BuildTarget("6.2.0", (12, 13)),
        BuildTarget("5.8.2", (32,)),
    )


@pytest.mark.parametrize("text", ["", ";", "6.2.0", "6.2.0:", "6.2: argon", "6.2.0: toaster"])
def test_targets_that_make_no_sense_stop_the_start(text: str) -> None:
    with pytest.raises(ConfigError, match="compiler_"):
        read_targets(text)


def test_the_configuration_decides_which_compilers_there_are() -> None:
    def versions(**settings: str) -> dict[str, tuple[int, ...]]:
        targets = open_compilers(Config(**settings)).targets  # type: ignore[arg-type]
        return {target.version: target.platforms for target in targets}

    assert versions() == {"6.2.0": (3,)}
    assert 12 in versions(simulated_compiler="all")["6.2.0"]
    assert versions(simulated_compiler="off") == {}
    attached = {"compiler_command": "gcc --fast", "compiler_targets": "6.3.0: argon"}
    assert versions(**attached) == {"6.3.0": (12,), "6.2.0": (3,)}
    with pytest.raises(ConfigError, match="needs compiler_command"):
        versions(compiler_targets="6.2.0: argon")
    with pytest.raises(ConfigError, match="cannot be read"):
        versions(compiler_command='"', compiler_targets="6.2.0: argon")


async def _until_gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                os.kill(pid, 0)
                stat = await asyncio.to_thread(Path(f"/proc/{pid}/stat").read_text)
            except (ProcessLookupError, FileNotFoundError):
                return
            if stat.rpartition(")")[2].split()[0] == "Z":
                return
            await asyncio.sleep(0.05)
