"""Cloud compile over REST (rest-api-core.md §13)."""

import asyncio

import pytest

from cyan.audit.store import list_entries
from cyan.firmware import binaries
from cyan.firmware.compiling import service
from cyan.wire.module import parse_module
from cyan.wire.simulated import Function, Image, Variable, decode_image
from tests.firmware.compiling.world import ARGON, BASE, BLINK, World

BROKEN = b"void setup() {\n  blink()\n}\nvoid loop() {}\n"
FAILED = "Compiler timed out or encountered an error"


async def test_sources_become_a_module_that_says_what_they_declare(world: World) -> None:
    made = await world.compile()
    assert made["ok"] is True
    assert made["binary_url"] == f"{BASE}/{made['binary_id']}"
    assert made["build_target_version"] == "6.2.0"
    names, sizes = made["sizeInfo"].splitlines()[:2]
    assert names.split()[:3] == ["text", "data", "bss"]
    answer = await world.get(made["binary_url"])
    assert answer.headers["content-type"] == "application/binary"
    assert answer.headers["content-disposition"] == "attachment; filename=firmware.bin"
    module = parse_module(answer.content)
    assert int(sizes.split()[0]) == len(answer.content)
    assert (module.platform_id, module.name) == (ARGON, "user part 1")
    assert (module.product_id, module.product_version) == (ARGON, 3)
    assert module.has_right_sha256
    assert module.dependencies == ()
    assert decode_image(module.body) == Image(
        3, (Variable("answer", "int", 42),), (Function("set", {}, 1),)
    )


async def test_a_chosen_release_becomes_the_dependency(world: World) -> None:
    made = await world.compile(build_target_version="4.2.0")
    assert made["build_target_version"] == "4.2.0"
    module = parse_module((await world.get(made["binary_url"])).content)
    (needs,) = module.dependencies
    assert (needs.function, needs.index, needs.version) == (4, 1, 4200)


async def test_a_project_with_folders_and_a_library_is_compiled(world: World) -> None:
    files = {
        "project.properties": b"name=porch\ndependencies.lamp=1.0.0\n",
        "src/porch.ino": b'#include "lamp.h"\nvoid setup() { Particle.function("lamp", lamp); }',
        "src/other.cpp": b"void loop() {}",
        "lib/lamp/src/lamp.h": b"#pragma once\nint lamp(String arg);\n",
        "lib/lamp/src/lamp.cpp": b"int lamp(String arg) { return 7; }\n",
        "lib/lamp/library.properties": b"name=lamp\n",
    }
    answer = await world.send(files)
    assert answer.status_code == 200, answer.text
    module = parse_module((await world.get(answer.json()["binary_url"])).content)
    assert decode_image(module.body).functions == (Function("lamp", {}, 7),)


async def test_what_cannot_be_read_is_a_warning_beside_the_binary(world: World) -> None:
    source = b'void setup() { if (x()) Particle.publish("e"); }\nvoid loop() {}'
    answer = await world.send({"a.ino": source})
    assert answer.status_code == 200
    assert answer.json()["stdout"].startswith("a.ino:1:34: warning: ")


async def test_errors_come_in_the_compiler_s_words(world: World) -> None:
    answer = await world.send({"src/a.ino": BROKEN})
    assert answer.status_code == 406
    assert answer.json() == {
        "ok": False,
        "code": 200,
        "output": FAILED,
        "stdout": "",
        "errors": ["src/a.ino:2:9: error: expected ';' before '}' token"],
    }
    assert world.binaries.needed_images() == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"platform_id": "4"}, "This server has no compiler for platform-4; it compiles for core,"),
        ({"platform_id": "99999"}, "no compiler for platform-99999"),
        ({"platform_id": "100000"}, "platform_id is the number of a platform"),
        ({"platform_id": "argon"}, "platform_id is the number of a platform"),
        ({"build_target_version": "9.9.9"}, "not compile for argon with Device OS 9.9.9, but with"),
        ({"build_target_version": "x" * 9999}, "not compile for argon with Device OS xxxx"),
    ],
)
async def test_what_cannot_be_compiled_for_is_refused_with_what_can(
    world: World, fields: dict[str, str], said: str
) -> None:
    answer = await world.send({"a.ino": BLINK}, None, **fields)
    assert answer.status_code == 400
    assert said in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.bin": b"\0"}, "a.bin is compiled already"),
        ({"a/../b.ino": BLINK}, "is no path in a project"),
        ({"a.ino": BLINK, "A.INO": BLINK}, "There are two files named A.INO."),
        ({"a.ino": BLINK, "a.ino/b.ino": BLINK}, "a.ino is a file and a folder"),
    ],
)
async def test_files_that_are_no_sources_are_refused(
    world: World, files: dict[str, bytes], said: str
) -> None:
    answer = await world.send(files)
    assert answer.status_code == 400
    assert said in answer.json()["error_description"]


async def test_a_form_without_files_or_platform_says_what_is_missing(world: World) -> None:
    headers = world.cast.ada.headers
    nothing = await world.client.post(BASE, json={}, headers=headers)
    assert "platform_id is the number" in nothing.json()["error_description"]
    empty = await world.client.post(BASE, json={"platform_id": 12}, headers=headers)
    assert "Send sources as files" in empty.json()["error_description"]


async def test_a_product_of_the_platform_s_own_id_is_the_platform(world: World) -> None:
    answer = await world.client.post(
        BASE,
        files={"file": ("a.ino", BLINK)},
        data={"product_id": "12", "latest": "true"},
        headers=world.cast.ada.headers,
    )
    assert answer.status_code == 200
    other = await world.client.post(
        BASE, files={"file": ("a.ino", BLINK)}, data={"product_id": "4711"},
        headers=world.cast.ada.headers,
    )  # fmt: skip
    assert "Products are not built yet" in other.json()["error_description"]


async def test_a_stranger_sees_not_found(world: World) -> None:
    made = await world.compile()
    for person, path in ((world.cast.cleo, made["binary_url"]), (world.cast.ada, BASE + "/none")):
        answer = await world.get(path, person)
        assert (answer.status_code, answer.json()["ok"]) == (404, False)
        gone = await world.client.delete(path, headers=person.headers)
        assert gone.status_code == 404
    assert (await world.get(made["binary_url"])).status_code == 200


async def test_a_binary_is_deleted(world: World) -> None:
    made = await world.compile()
    deleted = await world.client.delete(made["binary_url"], headers=world.cast.ada.headers)
    assert deleted.json() == {"ok": True}
    assert (await world.get(made["binary_url"])).status_code == 404
    actions = [entry.action for entry in list_entries(world.db)]
    assert actions[:2] == ["firmware.binary_deleted", "firmware.compiled"]


async def test_a_binary_expires_after_a_day(world: World) -> None:
    made = await world.compile()
    assert made["expires_at"].endswith("Z")
    world.clock.advance(24 * 3600 - 1)
    assert (await world.get(made["binary_url"])).status_code == 200
    world.clock.advance(1)
    assert (await world.get(made["binary_url"])).status_code == 404
    assert await world.binaries.expire() == 1
    assert world.binaries.needed_images() == []


async def test_an_account_keeps_so_many_and_the_oldest_give_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "MAX_KEPT", 2)
    hers = await world.compile(world.cast.cleo)
    made = []
    for _ in range(3):
        made.append(await world.compile())
        world.clock.advance(1)
    codes = [(await world.get(each["binary_url"])).status_code for each in made]
    assert codes == [404, 200, 200]
    assert (await world.get(hers["binary_url"], world.cast.cleo)).status_code == 200


async def test_one_account_compiles_so_much_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_OF_ONE_ACCOUNT", 1)
    first = asyncio.create_task(world.send({"a.ino": BLINK}))
    second, hers, made = await asyncio.gather(
        world.send({"a.ino": BLINK}), world.send({"a.ino": BLINK}, world.cast.cleo), first
    )
    assert sorted((second.status_code, made.status_code)) == [200, 429]
    refused = second if second.status_code == 429 else made
    assert refused.headers["retry-after"] == "10"
    assert hers.status_code == 200
    assert (await world.send({"a.ino": BLINK})).status_code == 200


async def test_who_waits_too_long_for_their_turn_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_WAIT_S", 0.0)
    compilers = world.binaries._compilers
    async with compilers._turn(), compilers._turn():
        answer = await world.send({"a.ino": BLINK})
    assert answer.status_code == 429
    assert (await world.send({"a.ino": BLINK})).status_code == 200


async def test_the_build_targets_are_listed_for_everybody(world: World) -> None:
    answer = (await world.client.get("/v1/build_targets?featured=true")).json()
    newest = answer["targets"][0]
    assert (newest["version"], newest["prereleases"]) == ("6.2.0", [])
    assert {3, ARGON} <= set(newest["platforms"])
    assert answer["platforms"]["Argon"] == ARGON
    assert answer["default_versions"][str(ARGON)] == "6.2.0"
    assert answer["default_versions"]["6"] == "2.3.1"
