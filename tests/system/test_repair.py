"""A board that cannot run its application gets what is missing, over real sockets: modules of
Device OS that the operator imported, and the assets of a bundle."""

from hashlib import sha256
from pathlib import Path

import httpx

from cyan.wire.bundle import BundledAsset, encode_bundle
from cyan.wire.describe import Asset, ModuleDependency
from cyan.wire.describe.system import SYSTEM_PART, USER_PART
from cyan.wire.module import encode_module
from tests.firmware.systems import ARGON, bootloader, make_bootloader, make_system
from tests.system.people import logged_in
from tests.system.processes import Server, done, serving, simulating, wait_until

NEEDS_NEWER = encode_module(
    b"needs a newer Device OS" * 30,
    platform_id=ARGON,
    function=USER_PART,
    version=6,
    dependencies=(ModuleDependency(SYSTEM_PART, 1, 6200),),
    product_version=2,
)


def import_system(server: Server, folder: Path) -> None:
    """The operator has Device OS 6.2.0, which needs a boot loader that the board has not."""
    folder.mkdir()
    parts = {
        "argon-system-part1@6.2.0.bin": make_system(6200, bootloader(3100), platform_id=ARGON),
        "argon-bootloader@6.2.0.bin": make_bootloader(3100, platform_id=ARGON),
    }
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    done("firmware", "import", folder, "--data", server.data)


def updates(client: httpx.Client, device_id: str) -> list[tuple[str, str, str]]:
    """Cause, file and state of each, the oldest first."""
    found = client.get(f"/v1/devices/{device_id}/firmware/updates").json()["updates"]
    return [(each["cause"], each["file"], each["state"]) for each in reversed(found)]


def flash(client: httpx.Client, device_id: str, name: str, data: bytes) -> None:
    answer = client.put(f"/v1/devices/{device_id}", files={"file": (name, data)})
    assert answer.status_code == 200, answer.text


def status_of(client: httpx.Client, device_id: str) -> str:
    status: str = client.get(f"/v1/devices/{device_id}").json()["status"]
    return status


def test_an_application_that_needs_a_newer_device_os_gets_it(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server,
        simulating(
            server.key_file(), "--mix", "argon:5.4:1", "--state", tmp_path / "sim"
        ) as simulator,
        logged_in(server, "ada@example.com") as client,
    ):
        import_system(server, tmp_path / "6.2.0")
        (device_id,) = simulator.wait_until_ready()
        client.post("/v1/devices", json={"id": device_id}).raise_for_status()
        flash(client, device_id, "needs.bin", NEEDS_NEWER)
        wait_until(lambda: len(updates(client, device_id)) == 3, "both parts are sent", 60)
        wait_until(
            lambda: {state for _, _, state in updates(client, device_id)} == {"done"},
            "all is done",
            60,
        )
        assert [(cause, name) for cause, name, _ in updates(client, device_id)] == [
            ("flash", "needs.bin"),
            ("repair", "argon-bootloader@6.2.0.bin"),
            ("repair", "argon-system-part1@6.2.0.bin"),
        ]
        shown = client.get(f"/v1/devices/{device_id}").json()
        assert (shown["status"], shown["system_firmware_version"]) == ("normal", "6.2.0")
        assert server.logged_events("spark/safe-mode-updater/updating") == ["0", "1"]


def test_without_the_modules_the_board_stays_in_safe_mode_and_the_log_says_which(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server,
        simulating(server.key_file(), "--mix", "argon:5.4:1") as simulator,
        logged_in(server, "ada@example.com") as client,
    ):
        (device_id,) = simulator.wait_until_ready()
        client.post("/v1/devices", json={"id": device_id}).raise_for_status()
        flash(client, device_id, "needs.bin", NEEDS_NEWER)
        wait_until(lambda: bool(server.logged("repair.modules_missing")), "it is logged", 60)
        (line, *_) = server.logged("repair.modules_missing")
        assert (line["device_id"], line["platform_id"]) == (device_id, ARGON)
        assert line["missing"] == [f"function {SYSTEM_PART} index 1 version 6200"]
        wait_until(lambda: status_of(client, device_id) == "safe_mode", "it says so")
        assert updates(client, device_id) == [("flash", "needs.bin", "done")]


def test_a_bundle_brings_the_application_and_its_assets(tmp_path: Path) -> None:
    picture = bytes(range(256)) * 20
    application = encode_module(
        b"shows a picture" * 30,
        platform_id=ARGON,
        function=USER_PART,
        version=6,
        assets=(Asset(sha256(picture).digest(), "logo.png"),),
    )
    bundle = encode_bundle(application, (BundledAsset("logo.png", picture),))
    with (
        serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server,
        simulating(server.key_file(), "--count", "1", "--state", tmp_path / "sim") as simulator,
        logged_in(server, "ada@example.com") as client,
    ):
        (device_id,) = simulator.wait_until_ready()
        client.post("/v1/devices", json={"id": device_id}).raise_for_status()
        flash(client, device_id, "bundle.zip", bundle)
        wait_until(
            lambda: (
                updates(client, device_id)
                == [("asset", "logo.png", "done"), ("flash", "bundle.zip", "done")]
            ),
            "both are done",
            60,
        )
        wait_until(lambda: status_of(client, device_id) == "normal", "it runs")
