"""The stock clients, unchanged: sources compiled in the cloud, and what they show of it."""

from pathlib import Path

import pytest

from cyan.wire.module import parse_module
from cyan.wire.simulated import Function, Variable, decode_image
from tests.compat.clients import ParticleApi, ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server

PORCH = """\
#include "Particle.h"
#include "lamp.h"
PRODUCT_VERSION(7);
int visits = 3;
void setup() {
  Particle.variable("visits", visits);
  Particle.function("lamp", lamp);
}
void loop() {}
"""


@pytest.fixture
def project(cli: ParticleCli) -> ParticleCli:
    """The CLI stands in a project with a library in it."""
    files = {
        "project.properties": "name=porch\n",
        "src/porch.ino": PORCH,
        "lib/lamp/library.properties": "name=lamp\nversion=1.0.0\n",
        "lib/lamp/src/lamp.h": "#pragma once\nint lamp(String arg);\n",
        "lib/lamp/src/lamp.cpp": '#include "lamp.h"\nint lamp(String arg) { return 7; }\n',
        "lib/lamp/examples/broken/broken.ino": "}",
    }
    cli.folder = cli.home / "porch"
    for path, text in files.items():
        file = cli.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return cli


@proves("compile", "binary inspect")
def test_a_project_with_a_library_is_compiled_and_inspected(project: ParticleCli) -> None:
    said = "\n".join(project.succeed("compile", "argon", "--saveTo", "porch.bin"))
    assert "lib/lamp/src/lamp.cpp" in said
    assert "Compile succeeded." in said
    assert "Memory use:" in said
    module = parse_module((project.folder / "porch.bin").read_bytes())
    image = decode_image(module.body)
    assert image.variables == (Variable("visits", "int", 3),)
    assert image.functions == (Function("lamp", {}, 7),)
    inspected = "\n".join(project.succeed("binary", "inspect", "porch.bin"))
    assert "CRC is ok" in inspected
    assert "Compiled for argon" in inspected
    assert "This is an application module number 1" in inspected
    assert "product id 12 at version 7" in inspected
    assert "depends" not in inspected


def test_a_single_file_and_a_chosen_release_are_compiled(cli: ParticleCli) -> None:
    (cli.home / "app.ino").write_text("void setup() {}\nvoid loop() {}\n")
    cli.succeed("compile", "p2", "app.ino", "--saveTo", "app.bin")
    module = parse_module((cli.home / "app.bin").read_bytes())
    assert (module.platform_id, module.product_version) == (32, None)
    said = cli.succeed("compile", "boron", "app.ino", "--saveTo", "app.bin", "--target", "4.2.0")
    assert "Targeting version: 4.2.0" in said
    (needs,) = parse_module((cli.home / "app.bin").read_bytes()).dependencies
    assert needs.version == 4200
    refused = cli.run("compile", "boron", "app.ino", "--target", "9.9.9")
    assert "Invalid build target version" in refused.output + refused.errors


def test_errors_are_shown_as_the_compiler_wrote_them(project: ParticleCli) -> None:
    source = project.folder / "src/porch.ino"
    source.write_text(PORCH.replace("int visits = 3;", "int visits = 3"))
    outcome = project.run("compile", "argon")
    assert outcome.code == 1
    shown = outcome.output + outcome.errors
    assert "src/porch.ino:4:14: error: expected ',' or ';' before 'void'" in shown
    assert "Compiler encountered an error" in shown


def test_a_platform_without_a_compiler_is_told_with_the_way_to_one(cli: ParticleCli) -> None:
    (cli.home / "app.ino").write_text("void setup() {}\nvoid loop() {}\n")
    outcome = cli.run("compile", "xenon", "app.ino")
    assert outcome.code == 1
    shown = outcome.output + outcome.errors
    assert "This server has no compiler for xenon" in shown
    assert "docs/howto/compile-firmware.md" in shown


@proves("compileCode()", "downloadFirmwareBinary()", "listBuildTargets()")
def test_api_js_compiles_and_downloads(api_js: ParticleApi, server: Server, tmp_path: Path) -> None:
    token = server.ready.access_token
    (tmp_path / "app.ino").write_text("PRODUCT_VERSION(2)\nvoid setup() {}\nvoid loop() {}\n")
    files = {"src/app.ino": str(tmp_path / "app.ino")}
    made = api_js.call("compileCode", files=files, platformId=3, auth=token)["body"]
    answer = api_js.call("downloadFirmwareBinary", binaryId=made["binary_id"], auth=token)
    module = parse_module(bytes(answer["body"]["data"] if "body" in answer else answer["data"]))
    assert (module.platform_id, module.product_version) == (3, 2)
    targets = api_js.call("listBuildTargets", onlyFeatured=True, auth=token)["body"]["targets"]
    assert any(12 in target["platforms"] for target in targets)


def test_api_js_is_refused_with_the_errors(
    api_js: ParticleApi, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "app.ino").write_text("void setup() {\n")
    files = {"app.ino": str(tmp_path / "app.ino")}
    refusal = api_js.refusal(
        "compileCode", files=files, platformId=12, auth=server.ready.access_token
    )
    assert refusal["statusCode"] == 406
    assert refusal["body"]["errors"][0].startswith("app.ino:1:14: error: expected '}'")
