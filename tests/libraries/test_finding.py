"""Libraries listed, searched, viewed, fetched (rest-api-core.md §14)."""

import io
import tarfile

import pytest

from tests.libraries.world import BASE, World, library, message_of, write_library


async def test_a_library_of_the_folder_is_an_item_of_its_newest_version(world: World) -> None:
    item = await world.get("/neopixel")
    assert item == {
        "type": "libraries",
        "id": "neopixel",
        "links": {"download": "/libs/neopixel-1.0.10.tar.gz"},
        "attributes": {
            "name": "neopixel",
            "version": "1.0.10",
            "installs": 0,
            "license": "",
            "author": "Ada",
            "sentence": "Lights in a row",
            "paragraph": "",
            "category": "Display",
            "url": "",
            "repository": "",
            "architectures": [],
            "dependencies": {},
            "visibility": "public",
            "official": True,
            "mine": False,
            "verified": True,
        },
    }
    assert await world.get("") == [item]
    assert await world.get("/neopixel?version=latest") == item


async def test_versions_are_listed_newest_first_and_viewed_by_number(world: World) -> None:
    versions = await world.get("/neopixel/versions")
    assert [item["attributes"]["version"] for item in versions] == ["1.0.10", "1.0.9"]
    item = await world.get("/neopixel?version=1.0.9")
    assert item["links"]["download"] == "/libs/neopixel-1.0.9.tar.gz"


async def test_dependencies_and_architectures_are_read(world: World) -> None:
    more = {"dependencies.neopixel": "1.0.9", "architectures": "particle-photon, boron"}
    write_library(world.data, "lamp", "0.1.0", **more)
    attributes = (await world.get("/lamp"))["attributes"]
    assert attributes["dependencies"] == {"neopixel": "1.0.9"}
    assert attributes["architectures"] == ["particle-photon", "boron"]


async def test_an_archive_is_fetched_without_a_token(world: World) -> None:
    link = (await world.get("/neopixel"))["links"]["download"]
    del world.client.headers["authorization"]
    answer = await world.client.get(link)
    assert answer.status_code == 200
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as packed:
        assert packed.getnames() == ["library.properties", "src/neopixel.h"]
        file = packed.extractfile("src/neopixel.h")
        assert file is not None
        assert file.read() == b"// 1.0.10"


@pytest.mark.parametrize(
    "path",
    [
        "/libs/neopixel-9.9.9.tar.gz",
        "/libs/..-1.tar.gz",
        "/libs/%2e%2e%2fsecrets.key",
        "/libs/0/neopixel-1.0.9.tar.gz",
        f"{BASE}/none",
        f"{BASE}/none/versions",
        f"{BASE}/neopixel?version=2.0.0",
    ],
)
async def test_what_is_not_there_is_told_as_library_commands_read_it(
    world: World, path: str
) -> None:
    answer = await world.client.get(path)
    assert answer.status_code == 404
    assert message_of(answer)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?filter=LIGHTS", ["neopixel"]),
        ("?filter=lamp", ["lamp"]),
        ("?filter=nothing", []),
        ("?scope=mine&sort=name", ["lamp"]),
        ("?scope=private", ["lamp"]),
        ("?scope=official", ["neopixel"]),
        ("?scope=verified", ["neopixel"]),
        ("?scope=public", ["neopixel"]),
        ("?scope=featured", []),
        ("?excludeScopes=mine,featured", ["neopixel"]),
        ("?sort=name", ["lamp", "neopixel"]),
        ("?sort=-name", ["neopixel", "lamp"]),
        ("?scope=all&sort=official,verified,popularity,name", ["neopixel", "lamp"]),
        ("?limit=1&page=2", ["neopixel"]),
        ("?category=Display", ["neopixel"]),
        ("?architectures=boron", ["lamp", "neopixel"]),
        ("?architectures=core", ["neopixel"]),
    ],
)
async def test_a_list_has_what_is_asked_for_in_that_order(
    world: World, query: str, names: list[str]
) -> None:
    await world.upload(library("lamp", architectures="boron,argon"))
    assert await world.names(query) == names


async def test_the_newest_come_first_when_the_cli_sorts_by_date(world: World) -> None:
    await world.upload(library("older"))
    world.clock.advance(60)
    await world.upload(library("newer"))
    mine = await world.names("?scope=mine&sort=-date")
    assert mine == ["newer", "older"]


async def test_bad_pages_are_refused(world: World) -> None:
    answer = await world.client.get(BASE + "?limit=many")
    assert (answer.status_code, "whole numbers" in message_of(answer)) == (400, True)


async def test_what_is_put_into_the_folder_is_seen_at_once(world: World) -> None:
    assert await world.names() == ["neopixel"]
    folder = write_library(world.data, "fresh", "1.0.0")
    assert await world.names() == ["fresh", "neopixel"]
    (folder / "library.properties").unlink()
    assert await world.names() == ["neopixel"]


async def test_a_folder_that_is_no_library_is_passed_over(world: World) -> None:
    folder = write_library(world.data, "broken", "1.0.0")
    (folder / "library.properties").write_text("name=broken")
    write_library(world.data, "moved", "1.0.0").rename(world.data / "libraries" / "moved" / "2.0.0")
    (world.data / "libraries" / "a-file").write_text("")
    assert await world.names() == ["neopixel"]
