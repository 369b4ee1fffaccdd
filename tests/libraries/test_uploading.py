"""Libraries uploaded, published, deleted (rest-api-core.md §14)."""

import gzip
import io
import tarfile

import pytest

from cyan.audit.store import list_entries
from cyan.libraries import archive as archives
from cyan.libraries import service
from tests.libraries.world import BASE, World, archive, library, message_of, properties


async def test_an_upload_is_the_owners_alone_until_it_is_published(world: World) -> None:
    answer = await world.upload(library("lamp"))
    assert answer.status_code == 201
    attributes = answer.json()["data"]["attributes"]
    assert (attributes["visibility"], attributes["mine"]) == ("private", True)
    cleo = world.cast.cleo
    assert await world.names(person=cleo) == ["neopixel"]
    hidden = await world.client.get(f"{BASE}/lamp", headers=cleo.headers)
    unknown = await world.client.get(f"{BASE}/none", headers=cleo.headers)
    assert (hidden.status_code, message_of(hidden)) == (404, "Library lamp not found")
    assert message_of(unknown) == "Library none not found"
    published = await world.publish("lamp")
    assert published.json()["data"]["attributes"]["visibility"] == "public"
    seen = await world.get("/lamp", cleo)
    assert (seen["attributes"]["mine"], seen["attributes"]["official"]) == (False, False)


async def test_the_archive_comes_back_as_it_was_sent_without_a_token(world: World) -> None:
    content = library("lamp")
    link = (await world.upload(content)).json()["data"]["links"]["download"]
    del world.client.headers["authorization"]
    assert (await world.client.get(link)).content == content


async def test_a_new_version_is_seen_by_others_when_it_is_published(world: World) -> None:
    await world.upload(library("lamp", "1.0.0"))
    await world.publish("lamp")
    await world.upload(library("lamp", "1.1.0"))
    cleo = world.cast.cleo
    assert (await world.get("/lamp"))["attributes"]["version"] == "1.1.0"
    assert (await world.get("/lamp", cleo))["attributes"]["version"] == "1.0.0"
    assert len(await world.get("/lamp/versions", cleo)) == 1
    await world.publish("lamp")
    assert (await world.get("/lamp", cleo))["attributes"]["version"] == "1.1.0"


async def test_a_version_is_uploaded_once(world: World) -> None:
    await world.upload(library("lamp"))
    answer = await world.upload(library("lamp"))
    assert answer.status_code == 400
    assert "1.0.0" in message_of(answer)


async def test_a_public_name_is_taken_and_a_private_one_is_not(world: World) -> None:
    cleo = world.cast.cleo
    assert "already" in message_of(await world.upload(library("neopixel", "2.0.0")))
    await world.upload(library("lamp"))
    assert (await world.upload(library("lamp"), cleo)).status_code == 201
    await world.publish("lamp")
    refused = await world.publish("lamp", cleo)
    assert (refused.status_code, "already" in message_of(refused)) == (400, True)
    assert (await world.upload(library("lamp", "2.0.0"), cleo)).status_code == 400
    # Everybody means their own by a name that they have.
    assert (await world.get("/lamp", cleo))["attributes"]["mine"] is True


async def test_a_deleted_library_is_gone(world: World) -> None:
    link = (await world.upload(library("lamp"))).json()["data"]["links"]["download"]
    body = {"force": "token"}
    assert (await world.client.request("DELETE", f"{BASE}/lamp", json=body)).status_code == 204
    assert (await world.client.delete(f"{BASE}/lamp")).status_code == 404
    assert (await world.client.get(link)).status_code == 404


async def test_only_the_owner_publishes_and_deletes(world: World) -> None:
    await world.upload(library("lamp"))
    cleo = world.cast.cleo
    assert (await world.publish("lamp", cleo)).status_code == 404
    gone = await world.client.delete(f"{BASE}/lamp", headers=cleo.headers)
    assert gone.status_code == 404
    assert (await world.client.delete(f"{BASE}/neopixel")).status_code == 404
    assert (await world.get("/lamp"))["attributes"]["visibility"] == "private"


async def test_publishing_asks_for_the_one_visibility(world: World) -> None:
    await world.upload(library("lamp"))
    answer = await world.client.patch(f"{BASE}/lamp", json={"visibility": "hidden"})
    assert (answer.status_code, "public" in message_of(answer)) == (400, True)


GOOD = properties("lamp", "1.0.0")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "tar.gz"),
        (b"no archive", "tar.gz"),
        (gzip.compress(b"no tar" * 200), "tar.gz"),
        (archive({"library.properties": GOOD})[:-9], "tar.gz"),
        (archive({"src/a.h": b""}), "no library.properties"),
        (archive({"library.properties": GOOD}), "no folder src"),
        (archive({"library.properties": GOOD, "src/../../x": b""}), "paths out of it"),
        (archive({"library.properties": GOOD, "/src/x": b""}), "paths out of it"),
        (archive({"library.properties": b"name=lamp", "src/x": b""}), "no version"),
        (library("lamp", "1.0"), "three numbers"),
        (library("lämp"), "letters"),
        (library("lamp", author=""), "no author"),
        (library("lamp", paragraph="x" * 40_000), "bytes"),
    ],
    ids=[
        "nothing",
        "no gzip",
        "no tar",
        "cut short",
        "no properties",
        "no src",
        "a path that climbs out",
        "an absolute path",
        "no version",
        "half a version",
        "a strange name",
        "no author",
        "long properties",
    ],  # an archive has the time in it, and workers have to find the same names
)
async def test_what_is_no_library_is_refused_with_the_reason(
    world: World, content: bytes, words: str
) -> None:
    answer = await world.upload(content)
    assert answer.status_code == 400
    assert words in message_of(answer)
    assert await world.names("?scope=mine") == []


async def test_a_link_in_an_archive_is_refused(world: World) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        info = tarfile.TarInfo("src/secret")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(info)
    assert "links" in message_of(await world.upload(out.getvalue()))


async def test_an_archive_that_unpacks_to_too_much_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 50_000)
    bomb = archive({"library.properties": GOOD, "src/x": bytes(60_000)})
    assert "50000" in message_of(await world.upload(bomb))


async def test_the_number_of_files_and_of_uploads_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 2)
    many = archive({"library.properties": GOOD, "src/x": b"", "src/y": b""})
    assert "2 files" in message_of(await world.upload(many))
    monkeypatch.setattr(service, "MAX_UPLOADS", 1)
    assert (await world.upload(library("one"))).status_code == 201
    assert "200" in message_of(await world.upload(library("two")))


async def test_a_form_without_a_file_is_told_what_to_send(world: World) -> None:
    answer = await world.client.post(BASE, json={"file": "text"})
    assert (answer.status_code, "tar.gz" in message_of(answer)) == (400, True)


async def test_deeds_are_recorded(world: World) -> None:
    await world.upload(library("lamp"))
    await world.publish("lamp")
    await world.client.delete(f"{BASE}/lamp")
    entries = list_entries(world.db, subject="library:lamp")
    assert [(entry.action, entry.detail) for entry in entries] == [
        ("library.deleted", None),
        ("library.published", None),
        ("library.uploaded", {"version": "1.0.0"}),
    ]
