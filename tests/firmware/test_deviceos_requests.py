"""The routes of Device OS releases: what the stock tools ask and read."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from cyan.core.db.engine import Database
from cyan.firmware import deviceosapi
from cyan.firmware.compiling.model import BuildTarget
from cyan.firmware.deviceos import DeviceOs
from cyan.firmware.deviceosimport import Found, keep_modules
from cyan.firmware.images import FOLDER, Images
from cyan.wire.module import parse_module
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve
from tests.firmware.systems import ARGON, BORON, make_bootloader, make_ncp, make_system

VERSIONS = "/v1/device-os/versions"
UPGRADE = "/v1/system_firmware/upgrade"


@pytest.fixture
def targets() -> list[BuildTarget]:
    """What can be compiled for: nothing, until a test says otherwise."""
    return []


@pytest.fixture
def client(
    db: Database,
    clock: HandClock,
    cast: Cast,
    serve: Serve,
    tmp_path: Path,
    targets: list[BuildTarget],
) -> httpx.AsyncClient:
    """A server with 5.8.0 and 6.2.0 for the Boron, 6.2.0 for the Argon, a candidate of 6.3.0."""
    deviceos, images = DeviceOs(db, clock), Images(tmp_path, clock, reserve_bytes=0)
    for release, modules in {
        "5.8.0": [make_system(5800)],
        "6.2.0": [
            make_system(6200),
            make_bootloader(2300),
            make_system(6200, platform_id=ARGON),
            make_ncp(9),
        ],
        "6.3.0-rc.1": [make_system(6300)],
        "": [make_bootloader(9000)],
    }.items():
        found = [Found("file", parse_module(data), release) for data in modules]
        deviceos.put_blocking(keep_modules(images, found))
    client = serve(deviceosapi.routes(deviceos, images, None, lambda: targets))
    client.headers.update(cast.ada.headers)
    return client


async def ask(client: httpx.AsyncClient, path: str, **query: object) -> Any:
    answer = await client.get(path, params={key: str(value) for key, value in query.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_versions_are_listed_newest_first(client: httpx.AsyncClient) -> None:
    assert await ask(client, VERSIONS, platform_id=BORON, per_page=100) == {
        "versions": [
            {
                "version": version,
                "release_state": state,
                "platform_id": BORON,
                "module_version": number,
                "release_date": None,
            }
            for version, state, number in (
                ("6.3.0-rc.1", "preview", 6300),
                ("6.2.0", "ga", 6200),
                ("5.8.0", "ga", 5800),
            )
        ]
    }


async def test_versions_come_in_pages_and_by_their_number(client: httpx.AsyncClient) -> None:
    async def versions(**query: object) -> list[str]:
        return [each["version"] for each in (await ask(client, VERSIONS, **query))["versions"]]

    assert await versions(platform_id=BORON, per_page=2, page=2) == ["5.8.0"]
    assert await versions(platform_id=BORON, internal_version=6200) == ["6.2.0"]
    assert await versions(platform_id=ARGON) == ["6.2.0"]
    assert await versions(platform_id=3) == []
    assert await versions() == ["6.3.0-rc.1", "6.2.0", "6.2.0", "5.8.0"]
    assert await versions(page=9) == []


async def test_what_can_be_compiled_for_is_listed_too_each_once(
    client: httpx.AsyncClient, targets: list[BuildTarget]
) -> None:
    targets += [
        BuildTarget("6.2.0", (3, BORON)),
        BuildTarget("2.3.1", (3,)),
        BuildTarget("6.3.0-rc.1", (3,)),
        BuildTarget("newest", (3,)),
    ]
    found = (await ask(client, VERSIONS, platform_id=3))["versions"]
    assert [(each["version"], each["release_state"], each["module_version"]) for each in found] == [
        ("6.3.0-rc.1", "preview", None),
        ("6.2.0", "ga", 6200),
        ("2.3.1", "ga", 2302),
    ]
    assert len((await ask(client, VERSIONS, platform_id=BORON))["versions"]) == 3
    by_number = await ask(client, VERSIONS, internal_version=6200)
    assert [each["platform_id"] for each in by_number["versions"]] == [3, ARGON, BORON]


@pytest.mark.parametrize(
    "query", ["platform_id=boron", "page=0", "per_page=-1", "internal_version=65536", "page="]
)
async def test_numbers_that_are_none_are_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{VERSIONS}?{query}")
    assert answer.status_code == 400
    assert query.split("=")[0] in answer.json()["error_description"]


@pytest.mark.parametrize("word", ["latest", "6.2.0", "6200"])
async def test_a_version_has_files_which_are_fetched_without_a_token(
    client: httpx.AsyncClient, word: str
) -> None:
    found = await ask(client, f"{VERSIONS}/{word}", platform_id=BORON)
    assert (found["version"], found["release_state"]) == ("6.2.0", "ga")
    assert found["base_url"] == str(client.base_url) + "/v1/firmware/device-os/v6.2.0"
    assert [
        (each["filename"], each["prefixInfo"]["moduleFunction"], each["prefixInfo"]["platformID"])
        for each in found["modules"]
    ] == [
        ("boron-bootloader@6.2.0.bin", "bootloader", BORON),
        ("boron-system-part1@6.2.0.bin", "system_part", BORON),
    ]
    module = parse_module(make_bootloader(2300))
    assert found["modules"][0]["crc"] == {
        "ok": True,
        "storedCrc": f"{module.crc32:08x}",
        "actualCrc": f"{module.crc32:08x}",
    }
    url = f"{found['base_url']}/{found['modules'][0]['filename']}"
    del client.headers["authorization"]
    answer = await client.get(url)
    assert (answer.status_code, answer.content) == (200, make_bootloader(2300))
    assert answer.headers["content-length"] == str(len(answer.content))


async def test_without_a_platform_a_version_has_the_files_of_all(
    client: httpx.AsyncClient,
) -> None:
    found = await ask(client, f"{VERSIONS}/6.2.0")
    assert {each["prefixInfo"]["platformID"] for each in found["modules"]} == {ARGON, BORON}


@pytest.mark.parametrize(
    "path",
    [
        f"{VERSIONS}/1.2.3",
        f"{VERSIONS}/latest?platform_id=3",
        f"{VERSIONS}/6.2.0?platform_id=10",
        "/v1/firmware/device-os/v6.2.0/boron-system-part2@6.2.0.bin",
        "/v1/firmware/device-os/v6.2.0/..%2F..%2Fcyan.db",
        "/v1/firmware/device-os/9.9.9/boron-bootloader@6.2.0.bin",
        "/v1/firmware/device-os/v/boron-bootloader@9000.bin",
    ],
)
async def test_what_is_not_here_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["ok"]) == (404, False)


async def test_a_file_that_was_lost_is_not_found(client: httpx.AsyncClient, tmp_path: Path) -> None:
    for path in (tmp_path / FOLDER).iterdir():
        path.unlink()
    answer = await client.get("/v1/firmware/device-os/v6.2.0/boron-bootloader@6.2.0.bin")
    assert answer.status_code == 404
    assert "missing or damaged" in answer.json()["error"]


@pytest.mark.parametrize("current", ["5.8.0", "6.2.0-rc.1", "6199", "v1.5.2"])
async def test_an_older_system_is_told_of_the_newest_final_one(
    client: httpx.AsyncClient, current: str
) -> None:
    found = await ask(client, UPGRADE, platform_id=BORON, current_system_firmware_version=current)
    assert found["binary_url"].endswith("/v6.2.0/boron-system-part1@6.2.0.bin")


@pytest.mark.parametrize(
    ("platform_id", "current", "ncp"),
    [(BORON, "6.2.0", ""), (BORON, "6200", "1"), (ARGON, "6.2.0", "9"), (3, "1.0.0", "")],
)
async def test_a_current_system_gets_nothing(
    client: httpx.AsyncClient, platform_id: int, current: str, ncp: str
) -> None:
    answer = await client.get(
        UPGRADE,
        params={
            "platform_id": platform_id,
            "current_system_firmware_version": current,
            "current_ncp_firmware_module_version": ncp,
        },
    )
    assert (answer.status_code, answer.content) == (204, b"")


async def test_an_older_network_processor_is_told_of_a_newer_one(
    client: httpx.AsyncClient,
) -> None:
    found = await ask(
        client,
        UPGRADE,
        platform_id=ARGON,
        current_system_firmware_version="6.2.0",
        current_ncp_firmware_module_version="8",
    )
    assert found["binary_url"].endswith("/v6.2.0/argon-ncp@6.2.0.bin")


@pytest.mark.parametrize("current", ["", "newest", "9" * 5000])
async def test_a_version_that_is_none_is_refused(client: httpx.AsyncClient, current: str) -> None:
    answer = await client.get(
        UPGRADE, params={"platform_id": BORON, "current_system_firmware_version": current}
    )
    assert answer.status_code == 400
