"""`cyan firmware`: an operator brings Device OS releases, beside a running server and without."""

import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from cyan.wire.describe.system import USER_PART
from cyan.wire.module import encode_module
from tests.firmware.systems import ARGON, make_bootloader, make_system
from tests.system.people import logged_in
from tests.system.processes import cyan, done, migrated, refused, serving

APPLICATION = encode_module(b"tinker", platform_id=13, function=USER_PART)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A zip as Device OS is released in."""
    file = tmp_path / "particle_device-os@6.2.0.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("boron/boron-system-part1@6.2.0.bin", make_system(6200))
        archive.writestr("boron/boron-bootloader@6.2.0.bin", make_bootloader(2300))
        archive.writestr("argon/system.bin", make_system(6200, platform_id=ARGON))
        archive.writestr("boron/boron-tinker@6.2.0.bin", APPLICATION)
    return file


def _listed(data: Path) -> list[str]:
    lines = done("firmware", "list", "--data", data).splitlines()
    return ["  ".join(line.split("  ")[:3]) for line in lines]


def test_a_release_is_imported_listed_and_removed(tmp_path: Path, release: Path) -> None:
    data = migrated(tmp_path / "data")
    ended = cyan("firmware", "import", release, "--data", data)
    assert ended.returncode == 0
    assert ended.stderr.splitlines() == [
        f"Left aside {release}/boron/boron-tinker@6.2.0.bin: user part, not a part of Device OS"
    ]
    assert ended.stdout.splitlines()[-1].startswith("Imported 3 modules of Device OS.")
    assert _listed(data) == [
        "6.2.0  argon system part 1  version 6200",
        "6.2.0  boron bootloader  version 2300",
        "6.2.0  boron system part 1  version 6200",
    ]
    assert sorted(path.name for path in (data / "firmware").iterdir()) == sorted(
        sha256(module).hexdigest()
        for module in (
            make_system(6200),
            make_bootloader(2300),
            make_system(6200, platform_id=ARGON),
        )
    )
    assert "Removed 1 modules" in done(
        "firmware", "remove", "6.2.0", "--platform", "argon", "--data", data
    )
    assert len(_listed(data)) == 2
    done("firmware", "remove", "6.2.0", "--data", data)
    assert _listed(data) == []


def test_a_running_server_has_what_was_imported_at_once(tmp_path: Path, release: Path) -> None:
    with (
        serving(tmp_path / "data") as server,
        logged_in(server, "ada@example.com") as ada,
    ):
        path = "/v1/device-os/versions/latest?platform_id=13"
        assert ada.get(path).status_code == 404
        done("firmware", "import", release, "--data", server.data)
        found = ada.get(path).json()
        assert found["version"] == "6.2.0"
        [url] = [
            f"{found['base_url']}/{each['filename']}"
            for each in found["modules"]
            if each["prefixInfo"]["moduleFunction"] == "bootloader"
        ]
        assert ada.get(url).content == make_bootloader(2300)


def test_a_backup_has_the_files_and_a_restored_server_too(tmp_path: Path, release: Path) -> None:
    data, restored = migrated(tmp_path / "data"), tmp_path / "restored"
    done("firmware", "import", release, "--data", data)
    files = {path.name: path.read_bytes() for path in (data / "firmware").iterdir()}
    (data / "firmware" / ("0" * 64 + ".new")).write_bytes(b"half of a file")
    done("backup", tmp_path / "cyan.tar", "--data", data)
    done("restore", tmp_path / "cyan.tar", "--data", restored)
    assert {path.name: path.read_bytes() for path in (restored / "firmware").iterdir()} == files
    assert _listed(restored) == _listed(data)


def test_what_cannot_be_imported_is_told_in_a_line(tmp_path: Path, release: Path) -> None:
    data = migrated(tmp_path / "data")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no module of Device OS" in refused("firmware", "import", empty, "--data", data)
    missing = refused("firmware", "import", tmp_path / "a.bin", "--data", data)
    assert missing == f"Error: {tmp_path}/a.bin cannot be read: No such file or directory."
    wrong = refused("firmware", "import", release, "--release", "newest", "--data", data)
    assert "like 6.2.0 or 6.3.0-rc.1, not 'newest'" in wrong
    assert "There is no release 6.2.0 here" in refused(
        "firmware", "remove", "6.2.0", "--data", data
    )
    assert "Known are core, gcc, photon" in refused(
        "firmware", "remove", "6.2.0", "--platform", "toaster", "--data", data
    )
    assert _listed(data) == []
