"""The page on compiling: its source, its program and its settings do what it says."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from cyan.core.config import Config
from cyan.firmware.compiling.model import CompileError, Target
from cyan.firmware.compiling.program import Limits, ProgramCompiler
from cyan.firmware.compiling.service import open_compilers, read_targets
from cyan.firmware.wiring.reader import read_project
from cyan.wire.module import encode_module
from cyan.wire.simulated import (
    MAGIC,
    Event,
    Function,
    Image,
    Piece,
    Variable,
    decode_image,
)
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/howto/compile-firmware.md"
GIB = 1 << 30


def test_the_source_on_the_page_is_read_as_the_page_says() -> None:
    reading = read_project({"thermometer.ino": blocks(PAGE, "cpp")[0].encode()})
    assert reading.messages == ()
    assert reading.image == Image(
        product_version=2,
        variables=(
            Variable("celsius", "double", 21.5),
            Variable("turns", "int", 0, step=1.0, every_s=5.0),
            Variable("lamp", "bool", False),
        ),
        functions=(Function("lamp", {"on": 1, "off": 0}, -1, into="lamp"),),
        events=(
            Event("thermometer/started"),
            Event(
                "thermometer/celsius",
                (Piece("", "celsius"), Piece(" after ", "turns"), Piece(" turns")),
                5.0,
            ),
        ),
    )


def test_the_image_on_the_page_of_the_protocol_is_one() -> None:
    page = ROOT / "docs/protocol/simulated-images.md"
    image = decode_image(MAGIC + blocks(page, "json")[0].encode())
    assert image.functions == (Function("lamp", {"on": 1, "off": 0}, -1),)
    assert image.events == (Event("t", (Piece("it is ", "celsius"),), 5.0),)


async def test_the_program_on_the_page_is_a_compiler(tmp_path: Path) -> None:
    """A container of the build tools is not at hand: a stand-in takes its arguments and leaves
    what it leaves."""
    (tmp_path / "module").write_bytes(encode_module(b"code" * 8, platform_id=12, function=5))
    container = tmp_path / "container"
    container.write_text(
        "#!/bin/sh\n"
        'for word; do case "$word" in\n'
        "  *:/input:ro) in=${word%:/input:ro};;\n  *:/output) out=${word%:/output};;\n"
        'esac; done\ntest "$word" = particle/buildpack-particle-firmware:6.2.0-argon || exit 9\n'
        'if grep -q wrong "$in/src/a.ino"; then\n'
        '  echo "a.ino:1:1: error: wrong" > "$out/stderr.log"\n  exit 2\nfi\n'
        f'cp {tmp_path}/module "$out/firmware.bin"; echo "text data bss" > "$out/memory-use.log"\n'
    )
    program = tmp_path / "compile"
    program.write_text(blocks(PAGE, "sh")[0].replace("docker run", f"{container} run"))
    for file in (container, program):
        file.chmod(0o755)
    settings = tomllib.loads(blocks(PAGE, "toml")[0])
    targets = read_targets(settings["compiler_targets"])
    compiler = ProgramCompiler([str(program)], targets, Limits(30, GIB))
    for target in (Target(12, "6.2.0", is_chosen=True), Target(12, "6.2.0", is_chosen=False)):
        made = await compiler.compile({"src/a.ino": b"void loop() {}"}, target)
        assert made.data == (tmp_path / "module").read_bytes()
        assert made.size_info == "text data bss\n"
    failed = await _errors(compiler, {"src/a.ino": b"wrong"})
    assert failed == "a.ino:1:1: error: wrong"


async def _errors(compiler: ProgramCompiler, sources: dict[str, bytes]) -> str:
    with pytest.raises(CompileError) as raised:
        await compiler.compile(sources, Target(12, "6.2.0", is_chosen=True))
    return raised.value.errors


def test_the_shell_understands_the_program_on_the_page() -> None:
    checked = subprocess.run(
        ["sh", "-n"], input=blocks(PAGE, "sh")[0], text=True, capture_output=True, check=False,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_settings_on_the_page_are_taken() -> None:
    settings = tomllib.loads(blocks(PAGE, "toml")[0])
    versions = [target.version for target in open_compilers(Config(**settings)).targets]
    assert versions == ["6.2.0", "2.3.1"]
