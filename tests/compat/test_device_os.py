"""Device OS for the stock tools: listed by particle-api-js, downloaded by the CLI's own code.

`particle update` and `particle flash --local` go on over USB, which no test has; what they ask of a
server is here.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.clients import MAX_RUN_S, NODE, ParticleApi, ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server, running_server
from tests.firmware.systems import bootloader, make_bootloader, make_system

BORON = 13
MODULES = {
    "boron-bootloader@6.2.0.bin": make_bootloader(2300),
    "boron-system-part1@6.2.0.bin": make_system(6200, bootloader(2300)),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that has 6.2.0 for the Boron."""
    folder = tmp_path_factory.mktemp("device-os")
    for name, content in MODULES.items():
        (folder / name).write_bytes(content)
    with running_server(tmp_path_factory.mktemp("server")) as server:
        server.run("firmware", "import", str(folder))
        yield server


def download(cli: ParticleCli, platform_id: int, version: str) -> Any:
    ended = subprocess.run(
        [NODE, Path(__file__).with_name("download.mjs"), str(platform_id), version],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=cli.environment,
        timeout=MAX_RUN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@proves("listDeviceOsVersions()", "getDeviceOsVersion()")
def test_versions_are_listed_and_one_is_looked_at(server: Server, api_js: ParticleApi) -> None:
    token = server.ready.access_token
    listed = api_js.call("listDeviceOsVersions", platformId=BORON, page=1, perPage=100, auth=token)
    # Beside it stands what the compiler for simulated devices can make.
    versions = [each["version"] for each in listed["body"]["versions"]]
    assert (versions[0], versions.count("6.2.0")) == ("6.2.0", 1)
    by_number = api_js.call(
        "listDeviceOsVersions", platformId=BORON, internalVersion=6200, auth=token
    )
    assert by_number["body"]["versions"] == listed["body"]["versions"][:1]
    found = api_js.call("getDeviceOsVersion", version="latest", platformId=BORON, auth=token)
    assert [each["filename"] for each in found["body"]["modules"]] == list(MODULES)
    missing = api_js.refusal("getDeviceOsVersion", version="1.0.0", platformId=BORON, auth=token)
    assert missing["statusCode"] == 404


@pytest.mark.parametrize("version", ["latest", "6.2.0", "6200"])
def test_the_cli_downloads_the_modules_of_a_version(cli: ParticleCli, version: str) -> None:
    files = [Path(file) for file in download(cli, BORON, version)]
    assert {file.name: file.read_bytes() for file in files} == MODULES
    assert [file.parent.relative_to(cli.home / ".particle") for file in files] == [
        Path("device-os-flash/binaries/6.2.0/boron")
    ] * 2


def test_the_cli_finds_intact_what_it_downloaded_before(cli: ParticleCli) -> None:
    files = [Path(file) for file in download(cli, BORON, "6.2.0")]
    for file in files:
        file.chmod(0o400)
    written_ns = [file.stat().st_mtime_ns for file in files]
    assert [Path(file) for file in download(cli, BORON, "6.2.0")] == files
    assert [file.stat().st_mtime_ns for file in files] == written_ns


def test_a_version_that_is_not_here_is_told_as_the_cli_does(cli: ParticleCli) -> None:
    assert download(cli, BORON, "9.9.9") == {
        "error": "Device OS version not found for platform: 13 version: 9.9.9"
    }
