"""Firmware against the stock tools: binary-version-reader reads as we do, and what we make; the
binary commands of the CLI take it."""

import json
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cyan.wire.bundle import BundledAsset, encode_bundle, read_bundle
from cyan.wire.describe import Asset, ModuleDependency
from cyan.wire.describe.system import BOOTLOADER, SYSTEM_PART, USER_PART
from cyan.wire.module import (
    Extension,
    Module,
    combine_modules,
    compress_module,
    decompress_module,
    encode_asset,
    encode_module,
    may_be_compressed,
    parse_module,
    split_modules,
)
from cyan.wire.module.extensions import SECURITY_MODE
from tests.compat.clients import MAX_RUN_S, NODE, ParticleCli
from tests.compat.rows import proves

_HERE = Path(__file__).parent
KNOWN_APPS = _HERE / "node_modules/particle-cli/assets/knownApps"

SOUND, TEXT = BundledAsset("sound.wav", b"RIFF" * 100), BundledAsset("a text.txt", b"1234")
"""Assets of the application that is made here."""

pytestmark = pytest.mark.usefixtures("stock_clients")


def ask(deed: str, *files: Path) -> list[Any]:
    """What binary-version-reader makes of each file."""
    ended = subprocess.run(
        [NODE, _HERE / "modules.mjs", deed, *files],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MAX_RUN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answers: list[Any] = json.loads(ended.stdout)
    return answers


def made(folder: Path, *contents: bytes) -> list[Path]:
    files = [folder / f"{number}.bin" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return files


def application(body: bytes = b"code" * 300, **more: Any) -> bytes:
    settings: dict[str, Any] = {
        "platform_id": 13,
        "function": USER_PART,
        "version": 6,
        "start_address": 0xB4000,
        "dependencies": [ModuleDependency(SYSTEM_PART, 1, 5800)],
        "product_id": 13,
        "product_version": 7,
    }
    return encode_module(body, **(settings | more))


def with_assets(**more: Any) -> bytes:
    listed = [Asset(sha256(each.data).digest(), each.name) for each in (SOUND, TEXT)]
    return application(assets=listed, **more)


def as_reader_says(module: Module) -> dict[str, Any]:
    """What binary-version-reader says of a module, said by us."""
    raw = bytes(module.data)
    first, second = (*module.dependencies, ModuleDependency(0), ModuleDependency(0))[:2]
    no_product = -1 if module.suffix_bytes < 40 else 0xFFFF
    said: dict[str, Any] = {
        "crc": {
            "ok": True,
            "storedCrc": f"{module.crc32:08x}",
            "actualCrc": f"{module.crc32:08x}",
        },
        "prefixInfo": {
            "moduleStartAddy": f"{module.start_address:x}",
            "moduleEndAddy": f"{module.end_address:x}",
            "reserved": module.mcu,
            "moduleFlags": module.flags,
            "moduleVersion": module.version,
            "platformID": module.platform_id,
            "moduleFunction": module.function,
            "moduleIndex": module.index,
            "depModuleFunction": first.function,
            "depModuleIndex": first.index,
            "depModuleVersion": first.version,
            "dep2ModuleFunction": second.function,
            "dep2ModuleIndex": second.index,
            "dep2ModuleVersion": second.version,
            "prefixSize": module.body_offset - module.prefix_offset,
            "prefixOffset": module.prefix_offset,
        },
        "suffixInfo": {
            "productId": no_product if module.product_id is None else module.product_id,
            "productVersion": (
                no_product if module.product_version is None else module.product_version
            ),
            "fwUniqueId": module.sha256.hex(),
            "reserved": int.from_bytes(raw[-40:-38], "little"),
            "suffixSize": module.suffix_bytes,
            "crcBlock": f"{module.crc32:08x}",
        },
    }
    if module.assets:
        said["assets"] = [
            {"hashType": 0, "hash": each.hash.hex(), "name": each.name} for each in module.assets
        ]
    return said


def without_extensions(answer: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """An answer, and the types of the extensions in it, which have a shape of their own."""
    types = []
    for part in ("prefixInfo", "suffixInfo"):
        types += [each["type"] for each in answer[part].pop("extensions", [])]
    return answer, types


def check_agreement(files: list[Path]) -> None:
    for file, answer in zip(files, ask("read", *files), strict=True):
        module = parse_module(file.read_bytes())
        said, types = without_extensions(answer)
        assert said == as_reader_says(module), file
        assert types == [
            each.type for each in module.prefix_extensions + module.suffix_extensions
        ], file


def test_every_binary_that_the_cli_brings_reads_as_the_stock_reader_says() -> None:
    files = sorted(KNOWN_APPS.rglob("*.bin"))
    assert len(files) > 12
    check_agreement(files)


def test_every_binary_that_the_cli_brings_is_intact_and_compresses_there_and_back(
    tmp_path: Path,
) -> None:
    modules = [parse_module(file.read_bytes()) for file in sorted(KNOWN_APPS.rglob("*.bin"))]
    assert all(module.has_right_sha256 for module in modules)
    assert {module.product_version for module in modules} == {2, 3, 4}
    plain = [bytes(module.data) for module in modules if may_be_compressed(module)]
    packed = [compress_module(each) for each in plain]
    assert [decompress_module(each) for each in packed] == plain
    assert ask("unpack", *made(tmp_path, *packed)) == [each.hex() for each in plain]


def test_the_stock_reader_reads_what_we_make(tmp_path: Path) -> None:
    check_agreement(
        made(
            tmp_path,
            application(),
            application(product_id=None, product_version=None),
            application(b"", platform_id=6, vector_table=b"\xff" * 0x184),
            application(function=SYSTEM_PART, vector_table=bytes(0x200)),
            application(b"", platform_id=32, prefix_extensions=[Extension(0x77, b"abc")]),
            application(dependencies=[ModuleDependency(SYSTEM_PART, n, 9) for n in range(1, 6)]),
            with_assets(),
            encode_asset("sound.wav", SOUND.data, compress=False),
            encode_asset("sound.wav", SOUND.data),
            compress_module(application()),
        )
    )


def test_the_stock_reader_takes_combined_files_and_assets_apart(tmp_path: Path) -> None:
    system = application(function=SYSTEM_PART, platform_id=12)
    [combined] = made(tmp_path, combine_modules([system, application()]))
    assert ask("split", combined) == [[system.hex(), application().hex()]]
    assert [bytes(each.body) for each in split_modules(combined.read_bytes())] == [
        bytes(parse_module(each).body) for each in (system, application())
    ]
    assets = made(tmp_path, encode_asset("a", SOUND.data), encode_asset("a", b"", compress=False))
    assert ask("asset", *assets) == [SOUND.data.hex(), ""]


def test_the_stock_reader_opens_our_bundles(tmp_path: Path) -> None:
    file = tmp_path / "bundle.zip"
    file.write_bytes(encode_bundle(with_assets(), (SOUND, TEXT)))
    assert ask("bundle", file) == [
        {
            "application": with_assets().hex(),
            "assets": {each.name: each.data.hex() for each in (SOUND, TEXT)},
        }
    ]


@proves("binary inspect")
def test_the_cli_inspects_what_we_make(fresh_cli: ParticleCli, tmp_path: Path) -> None:
    [file] = made(tmp_path, application())
    lines = fresh_cli.succeed("binary", "inspect", str(file))
    module = parse_module(application())
    assert [line.strip() for line in lines] == [
        "0.bin",
        f"CRC is ok ({module.crc32:08x})",
        "Compiled for boron",
        "This is an application module number 1 at version 6",
        f"It has a UUID of {module.sha256.hex()}",
        "It is firmware for product id 13 at version 7",
        "It depends on a system module number 1 at version 5800",
    ]


def test_the_cli_finds_the_assets_of_our_bundle_right(
    fresh_cli: ParticleCli, tmp_path: Path
) -> None:
    file = tmp_path / "bundle.zip"
    file.write_bytes(encode_bundle(with_assets(), (SOUND, TEXT)))
    lines = fresh_cli.succeed("binary", "inspect", str(file))
    assert [line.strip() for line in lines[-3:]] == [
        "It depends on assets:",
        f"sound.wav (hash {sha256(SOUND.data).hexdigest()})",
        f"a text.txt (hash {sha256(TEXT.data).hexdigest()})",
    ]


@proves("bundle")
def test_a_bundle_that_the_cli_makes_is_read(fresh_cli: ParticleCli, tmp_path: Path) -> None:
    [file] = made(tmp_path, application())
    folder = tmp_path / "assets"
    folder.mkdir()
    for asset in (SOUND, TEXT):
        (folder / asset.name).write_bytes(asset.data)
    fresh_cli.folder.joinpath("project.properties").write_text("name=made\n")
    bundle = tmp_path / "made.zip"
    fresh_cli.succeed("bundle", str(file), "--assets", str(folder), "--saveTo", str(bundle))
    found = read_bundle(bundle.read_bytes())
    assert sorted(found.assets, key=lambda each: each.name) == [TEXT, SOUND]
    assert found.application.product_version == 7
    assert found.application.has_right_sha256


@proves("binary list-assets")
def test_the_cli_lists_the_assets_of_our_application(
    fresh_cli: ParticleCli, tmp_path: Path
) -> None:
    [file] = made(tmp_path, with_assets())
    lines = fresh_cli.succeed("binary", "list-assets", str(file))
    assert f"sound.wav ({sha256(SOUND.data).hexdigest()})" in [line.strip() for line in lines]


@proves("binary strip-assets")
def test_what_the_cli_strips_of_its_assets_is_read(fresh_cli: ParticleCli, tmp_path: Path) -> None:
    [file] = made(tmp_path, with_assets())
    fresh_cli.succeed("binary", "strip-assets", str(file))
    [stripped] = [*tmp_path.glob("*-no-assets.bin"), *fresh_cli.folder.glob("*-no-assets.bin")]
    module = parse_module(stripped.read_bytes())
    assert module.assets == ()
    assert bytes(module.body) == bytes(parse_module(file.read_bytes()).body)


@proves("binary enable-device-protection")
def test_a_boot_loader_that_the_cli_protects_says_so(
    fresh_cli: ParticleCli, tmp_path: Path
) -> None:
    [file] = made(
        tmp_path,
        application(function=BOOTLOADER, index=0, version=3000, vector_table=bytes(0x200)),
    )
    fresh_cli.succeed("binary", "enable-device-protection", str(file))
    module = parse_module((tmp_path / "0-protected.bin").read_bytes())
    assert [each.type for each in module.suffix_extensions[:1]] == [SECURITY_MODE]
    assert module.has_right_sha256
    assert (module.function, module.version, module.prefix_offset) == (BOOTLOADER, 3000, 0x200)
