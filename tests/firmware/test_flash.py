"""`PUT /v1/devices/{device}` with firmware: what begins, and what is refused before a byte."""

import asyncio
import io
import zipfile
from hashlib import sha256

import pytest

from cyan.core.ids import DeviceId
from cyan.core.ports import DeviceRefusedError, DeviceTimeoutError, UpdateLimits
from cyan.devices import description
from cyan.firmware.model import UpdateProgressed
from cyan.wire.bundle import BundledAsset, encode_bundle
from cyan.wire.describe import Asset
from cyan.wire.describe.system import USER_PART
from cyan.wire.module import compress_module, encode_module
from cyan.wire.simulated import Image, encode_image
from tests.firmware.boards import refuse
from tests.firmware.doors import Door
from tests.firmware.systems import make_bootloader, make_system
from tests.firmware.world import BORON, LAMP, make_application

DENIED = {
    "error": "Permission Denied",
    "info": "I didn't recognize that device name or ID, try opening /v1/devices",
}
PHOTON = 6
SIMULATED = DeviceId("5eed00000000000000000001")


async def test_a_binary_is_sent_and_the_answer_comes_when_it_starts(door: Door) -> None:
    board = door.works.board()
    board.gate = asyncio.Event()
    answer = await door.flash(("app.bin", make_application()))
    assert (answer.status_code, answer.json()["status"]) == (200, "Update started")
    assert answer.json()["id"] == LAMP
    update = await door.update(answer)
    assert (update["state"], update["file"], update["cause"]) == ("sending", "app.bin", "flash")
    board.gate.set()
    await door.until_idle()
    assert (await door.update(answer))["state"] == "done"
    assert board.sent == [make_application()]


async def test_names_of_files_are_cut_to_their_last_part(door: Door) -> None:
    door.works.board()
    answer = await door.flash(("/home/ada/..\\tmp/app.bin", make_application()))
    assert (await door.update(answer))["file"] == "app.bin"
    await door.until_idle()


async def test_a_module_is_known_by_its_content_whatever_it_is_called(door: Door) -> None:
    board = door.works.board()
    answer = await door.flash(("firmware", make_application()), file_type="binary")
    assert answer.status_code == 200
    await door.until_idle()
    assert board.sent == [make_application()]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            make_application(platform_id=PHOTON),
            "is made for platform 6 (photon)",
        ),
        (make_application()[:-1], "cannot be flashed: "),
        (make_application()[:-40] + bytes(40), "CRC-32"),
        (b"", "cannot be flashed: "),
        (b"PK\x03\x04 and no zip", "bundle"),
        (make_application("x" * 30_000), "bytes, and the device takes at most 1000000."),
        (compress_module(make_application()), "is compressed, which the device cannot read"),
        (
            encode_module(encode_image(Image()), platform_id=BORON, function=USER_PART),
            "is an application for simulated devices, which a board cannot run",
        ),
    ],
)
async def test_what_the_device_cannot_take_is_refused_before_a_byte_is_sent(
    door: Door, data: bytes, said: str
) -> None:
    board = door.works.board()
    answer = await door.flash(("app.bin", data))
    assert answer.status_code == 400
    assert answer.json()["ok"] is False
    assert said in answer.json()["errors"][0]
    assert board.sent == []
    assert await door.updates() == []


async def test_an_image_of_the_simulator_stays_one_when_it_is_compressed(door: Door) -> None:
    door.works.board()
    door.works.boards.limits = UpdateLimits(
        is_current=True, chunk_bytes=512, max_image_bytes=None, takes_compressed=True
    )
    module = encode_module(encode_image(Image()), platform_id=BORON, function=USER_PART)
    answer = await door.flash(("app.bin", compress_module(module)))
    assert "is an application for simulated devices" in answer.json()["errors"][0]


async def test_a_simulated_device_takes_an_image(door: Door) -> None:
    board = door.works.board(SIMULATED)
    module = encode_module(encode_image(Image()), platform_id=BORON, function=USER_PART)
    answer = await door.flash(("app.bin", module), device=SIMULATED)
    assert answer.status_code == 200
    await door.until_idle()
    assert board.sent == [module]


async def test_a_device_that_reads_compressed_modules_gets_them_so(door: Door) -> None:
    board = door.works.board()
    door.works.boards.limits = UpdateLimits(
        is_current=True, chunk_bytes=512, max_image_bytes=None, takes_compressed=True
    )
    data = make_application("x" * 200)
    answer = await door.flash(("app.bin", data))
    assert (await door.update(answer))["size"] == len(compress_module(data))
    await door.until_idle()
    assert (await door.update(answer))["state"] == "done"
    assert board.sent == [compress_module(data)]


async def test_an_offline_device_answers_as_clients_expect(door: Door) -> None:
    door.works.board().is_online = False
    answer = await door.flash(("app.bin", make_application()))
    assert answer.status_code == 500
    assert answer.json() == {
        "ok": False,
        "code": 500,
        "errors": ["Request Timed Out"],
        "info": "The device is not connected.",
    }
    assert await door.updates() == []


async def test_a_device_that_goes_offline_in_the_last_moment_answers_alike(door: Door) -> None:
    board = door.works.board()

    def go(fact: UpdateProgressed) -> None:
        board.is_online = False

    door.works.bus.subscribe(UpdateProgressed, go)
    answer = await door.flash(("app.bin", make_application()))
    assert (answer.status_code, answer.json()["errors"]) == (500, ["Request Timed Out"])
    (update,) = await door.updates()
    assert (update["state"], update["reason"]) == ("failed", "offline")


async def test_an_application_that_switches_updates_off_in_the_last_moment_is_not_overridden(
    door: Door,
) -> None:
    door.works.board()

    def switch_off(fact: UpdateProgressed) -> None:
        door.works.db.write_blocking(
            lambda connection: description.store_updates(
                connection, LAMP, enabled=False, forced=False
            )
        )

    door.works.bus.subscribe(UpdateProgressed, switch_off)
    answer = await door.flash(("app.bin", make_application()))
    assert answer.status_code == 409
    assert "does not take updates now" in answer.json()["errors"][0]
    (update,) = await door.updates()
    assert (update["state"], update["reason"]) == ("failed", "disabled")


async def test_a_device_that_does_not_agree_in_time_answers_alike(door: Door) -> None:
    board = door.works.board()
    board.acts.append(refuse(DeviceTimeoutError("It does not answer.")))
    answer = await door.flash(("app.bin", make_application()))
    assert (answer.status_code, answer.json()["errors"]) == (500, ["Request Timed Out"])
    (update,) = await door.updates()
    assert (update["state"], update["reason"], update["detail"]) == (
        "failed", "timeout", "It does not answer.",
    )  # fmt: skip


async def test_one_update_of_a_device_at_a_time(door: Door) -> None:
    board = door.works.board()
    board.gate = asyncio.Event()
    assert (await door.flash(("app.bin", make_application()))).status_code == 200
    answer = await door.flash(("other.bin", make_application("other")))
    assert answer.status_code == 409
    assert answer.json()["errors"] == [
        "An update of this device is under way. Wait for its end, or cancel it."
    ]
    board.gate.set()
    await door.until_idle()
    assert board.sent == [make_application()]
    settling = await door.flash(("other.bin", make_application("other")))
    assert settling.status_code == 200


async def test_two_requests_at_once_begin_one_update(door: Door) -> None:
    board = door.works.board()
    answers = await asyncio.gather(
        *(door.flash(("app.bin", make_application(text))) for text in ("one", "two"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    await door.until_idle()
    assert len(board.sent) == 1


async def test_older_updates_are_on_the_next_page(door: Door) -> None:
    door.works.board()
    for number in range(3):
        door.works.clock.advance(60)
        await door.works.ended(await door.works.flash(make_application(str(number))))
    newest = await door.updates()
    path = f"/v1/devices/{LAMP}/firmware/updates"
    headers = door.works.ada.headers
    older = await door.client.get(path, params={"before": str(newest[0]["id"])}, headers=headers)
    assert older.json()["updates"] == newest[1:]
    unknown = await door.client.get(path, params={"before": "0"}, headers=headers)
    assert unknown.status_code == 404


async def test_an_application_that_takes_no_updates_is_not_overridden(door: Door) -> None:
    board = door.works.board()
    door.works.db.write_blocking(
        lambda connection: description.store_updates(connection, LAMP, enabled=False, forced=False)
    )
    answer = await door.flash(("app.bin", make_application()))
    assert answer.status_code == 409
    assert "does not take updates now" in answer.json()["errors"][0]
    assert (board.sent, await door.updates()) == ([], [])


async def test_a_device_that_says_only_now_that_it_takes_none_is_remembered(door: Door) -> None:
    board = door.works.board()
    board.acts.append(refuse(DeviceRefusedError("no", -1380)))
    answer = await door.flash(("app.bin", make_application()))
    assert answer.status_code == 409
    again = await door.flash(("app.bin", make_application()))
    assert (again.status_code, board.sent) == (409, [])
    assert [each["reason"] for each in await door.updates()] == ["disabled"]


async def test_a_protected_device_refuses_in_the_words_that_clients_know(door: Door) -> None:
    board = door.works.board()
    board.acts.append(refuse(DeviceRefusedError("no", -1801)))
    answer = await door.flash(("app.bin", make_application()))
    assert answer.status_code == 400
    assert answer.json()["errors"] == ["Update denied - device protection active (-1801)"]
    assert [each["code"] for each in await door.updates()] == [-1801]


async def test_a_stranger_learns_nothing_of_a_device(door: Door) -> None:
    board = door.works.board()
    answer = await door.flash(("app.bin", make_application()), headers=door.cleo.headers)
    assert (answer.status_code, answer.json()) == (403, DENIED)
    unknown = await door.flash(
        ("app.bin", make_application()), device=DeviceId("0" * 24), headers=door.cleo.headers
    )
    assert (unknown.status_code, unknown.json()) == (403, DENIED)
    path = f"/v1/devices/{LAMP}/firmware/updates"
    for url in (path, f"{path}/0"):
        seen = await door.client.get(url, headers=door.cleo.headers)
        assert (seen.status_code, seen.json()) == (403, DENIED)
    assert board.sent == []


async def test_several_modules_go_lowest_level_first(door: Door) -> None:
    board = door.works.board()
    parts = [make_application(), make_system(6300, platform_id=BORON), make_bootloader(2100)]
    answer = await door.flash(*((f"{number}.bin", part) for number, part in enumerate(parts)))
    assert answer.status_code == 200
    await door.until_idle()
    assert board.sent == parts[::-1]
    assert {each["state"] for each in await door.updates()} == {"done"}


async def test_binaries_and_sources_do_not_mix(door: Door) -> None:
    door.works.board()
    answer = await door.flash(("a.bin", make_application()), ("b.ino", b"void setup() {}"))
    assert answer.status_code == 400
    assert "cannot be flashed together" in answer.json()["errors"][0]


def make_bundle() -> tuple[bytes, bytes]:
    """A bundle with one asset, and its application."""
    asset = b"picture" * 100
    application = encode_module(
        b"shows it" * 20,
        platform_id=BORON,
        function=USER_PART,
        version=6,
        assets=(Asset(sha256(asset).digest(), "logo.png"),),
    )
    return encode_bundle(application, (BundledAsset("logo.png", asset),)), application


async def test_a_bundle_sends_its_application_and_then_its_assets(door: Door) -> None:
    board = door.works.board()
    bundle, application = make_bundle()
    answer = await door.flash(("thing.zip", bundle))
    assert answer.status_code == 200
    await door.until_idle()
    assert board.sent[0] == application
    assert [(each["cause"], each["file"], each["state"]) for each in await door.updates()] == [
        ("flash", "thing.zip", "done"),
        ("asset", "logo.png", "done"),
    ]


async def test_a_bundle_needs_a_device_that_keeps_assets(door: Door) -> None:
    board = door.works.board()
    door.works.boards.limits = UpdateLimits(
        is_current=False, chunk_bytes=512, max_image_bytes=None, takes_compressed=False
    )
    answer = await door.flash(("thing.zip", make_bundle()[0]))
    assert answer.status_code == 400
    assert "they need Device OS 5.5.0 or newer, and it runs 6.2.0" in answer.json()["errors"][0]
    assert board.sent == []


async def test_a_zip_that_is_no_bundle_says_what_is_missing(door: Door) -> None:
    door.works.board()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("assets/readme.txt", "nothing")
    answer = await door.flash(("thing.zip", made.getvalue()))
    assert answer.status_code == 400
    assert "bundle: " in answer.json()["errors"][0]


async def test_sources_are_compiled_and_sent(door: Door) -> None:
    board = door.works.board(SIMULATED)
    source = b'void setup() { Particle.function("led", led); }\nvoid loop() {}\n'
    source = b"int led(String s) { return 7; }\n" + source
    answer = await door.flash(("blink.ino", source), device=SIMULATED)
    body = answer.json()
    assert (answer.status_code, body["ok"], body["message"]) == (200, True, "Update started")
    await door.until_idle()
    assert b'"led"' in board.sent[0]


async def test_sources_that_do_not_compile_answer_with_the_words_of_the_compiler(
    door: Door,
) -> None:
    board = door.works.board(SIMULATED)
    answer = await door.flash(("blink.ino", b"void setup() {\n"), device=SIMULATED)
    body = answer.json()
    assert (answer.status_code, body["ok"]) == (200, False)
    assert body["output"] == "Compiler timed out or encountered an error"
    assert "blink.ino:" in body["errors"][0]
    assert board.sent == []


async def test_without_a_compiler_the_answer_says_how_to_get_one(
    door_without_compilers: Door,
) -> None:
    door = door_without_compilers
    door.works.board()
    answer = await door.flash(("blink.ino", b"void setup() {}\nvoid loop() {}\n"))
    assert answer.status_code == 400
    assert "no compiler for boron" in answer.json()["errors"][0]


async def test_tinker_is_known_for_simulated_devices(door: Door) -> None:
    board = door.works.board(SIMULATED)
    answer = await door.put({"app": "tinker"}, device=SIMULATED)
    assert answer.status_code == 200
    await door.until_idle()
    assert b'"digitalread"' in board.sent[0]


async def test_an_unknown_application_is_not_found(door: Door) -> None:
    door.works.board()
    answer = await door.put({"app": "tinker"})
    assert answer.status_code == 404
    assert answer.json()["errors"] == [
        "There is no application of this name for the device on this server. Send its file."
    ]


async def test_an_unknown_binary_is_not_found(door: Door) -> None:
    door.works.board()
    answer = await door.put({"binary_id": "0" * 24})
    assert answer.status_code == 404
    assert answer.json()["errors"][0].startswith("Binary not found")


async def test_a_binary_that_was_compiled_here_is_sent_by_its_id(door: Door) -> None:
    board = door.works.board(SIMULATED)
    sources = {"a.ino": b"void setup() {}\nvoid loop() {}\n"}
    binary, made = await door.binaries.compile(door.caller, sources, BORON)
    answer = await door.put({"binary_id": binary.id}, device=SIMULATED)
    assert answer.status_code == 200
    await door.until_idle()
    assert board.sent == [made.data]


async def test_an_update_is_cancelled_by_its_id(door: Door) -> None:
    board = door.works.board()
    board.gate = asyncio.Event()
    answer = await door.flash(("app.bin", make_application()))
    url = f"/v1/devices/{LAMP}/firmware/updates/{answer.json()['update_id']}"
    cancelled = await door.client.delete(url, headers=door.works.ada.headers)
    assert cancelled.json()["reason"] == "cancelled"
    again = await door.client.delete(url, headers=door.works.ada.headers)
    assert (again.status_code, again.json()["errors"]) == (409, ["This update has ended already."])
    unknown = await door.client.delete(f"{url[:-4]}0000", headers=door.works.ada.headers)
    assert unknown.status_code == 404
    await door.until_idle()
    assert board.sent == []


async def test_what_an_owner_before_sent_is_not_shown(door: Door) -> None:
    door.works.board()
    answer = await door.flash(("app.bin", make_application()))
    await door.until_idle()
    assert len(await door.updates()) == 1
    door.works.clock.advance(1)
    door.give_to(door.cleo)
    seen = await door.client.get(f"/v1/devices/{LAMP}/firmware/updates", headers=door.cleo.headers)
    assert (seen.status_code, seen.json()) == (200, {"updates": []})
    one = await door.client.get(
        f"/v1/devices/{LAMP}/firmware/updates/{answer.json()['update_id']}",
        headers=door.cleo.headers,
    )
    assert one.status_code == 404
