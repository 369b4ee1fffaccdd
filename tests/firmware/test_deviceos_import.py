"""What `cyan firmware import` makes of an operator's files."""

import zipfile
from pathlib import Path

import pytest

from cyan.firmware import deviceosimport
from cyan.firmware.deviceosimport import (
    AmbiguousModuleError,
    NothingToImportError,
    Reading,
    read_files,
)
from cyan.wire.describe.system import USER_PART
from cyan.wire.module import encode_module
from tests.firmware.systems import ARGON, ELECTRON, make_bootloader, make_ncp, make_system

APPLICATION = encode_module(b"tinker", platform_id=13, function=USER_PART)


def put(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def releases(reading: Reading) -> dict[str, str]:
    return {Path(each.name).name: each.release for each in reading.found}


def test_a_folder_gives_its_modules_with_the_releases_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, "boron/boron-system-part1@6.2.0.bin", make_system(6200))
    put(tmp_path, "boron/boron-bootloader@6.2.0.bin", make_bootloader(2300))
    put(tmp_path, "boron/notes.txt", b"not looked at")
    reading = read_files([tmp_path])
    assert releases(reading) == {
        "boron-system-part1@6.2.0.bin": "6.2.0",
        "boron-bootloader@6.2.0.bin": "6.2.0",
    }
    assert reading.skipped == ()


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("a@6.3.0-rc.1.bin", "6.3.0-rc.1"),
        ("system-part1-0.7.0-photon.bin", "0.7.0"),
        ("v5.8.2/system.bin", "5.8.2"),
        ("5.8.2/6.2.0/system.bin", "6.2.0"),
        ("system-10.200.3.4.bin", "4.0.2"),
        ("system.bin", "4.0.2"),
    ],
)
def test_a_release_is_told_by_the_innermost_name_or_by_the_system(
    tmp_path: Path, name: str, release: str
) -> None:
    put(tmp_path, name, make_system(4006))
    [found] = read_files([tmp_path]).found
    assert found.release == release


def test_a_module_without_a_name_belongs_to_the_system_of_its_platform(tmp_path: Path) -> None:
    put(tmp_path, "a.bin", make_system(6200))
    put(tmp_path, "b.bin", make_bootloader(2300))
    put(tmp_path, "c.bin", make_bootloader(900, platform_id=ARGON))
    assert releases(read_files([tmp_path])) == {"a.bin": "6.2.0", "b.bin": "6.2.0", "c.bin": ""}


def test_the_operator_says_it_better_than_any_name(tmp_path: Path) -> None:
    file = put(tmp_path, "boron-system-part1@6.2.0.bin", make_system(6200))
    [found] = read_files([file], "6.2.1").found
    assert found.release == "6.2.1"


def test_a_zip_is_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "particle_device-os@6.2.0.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("argon/system.bin", make_system(6200, platform_id=ARGON))
        archive.writestr("argon/ncp.bin", make_ncp(5))
        archive.writestr("argon/system.elf", b"not looked at")
    found = read_files([file]).found
    assert {each.release for each in found} == {"6.2.0"}
    assert sorted(each.module.function for each in found) == [4, 7]


def test_a_file_of_a_zip_that_is_damaged_is_left_aside(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bad.bin", b"1234" * 30)
        archive.writestr("good.bin", make_system(6200))
    file.write_bytes(file.read_bytes().replace(b"1234" * 30, b"1235" * 30, 1))
    reading = read_files([file])
    assert [each.name for each in reading.found] == [f"{file}/good.bin"]
    assert "CRC" in reading.skipped[0].reason


def test_applications_and_damaged_files_are_left_aside_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path, "a-system.bin", make_system(6200))
    put(tmp_path, "b-tinker.bin", APPLICATION)
    put(tmp_path, "c-cut.bin", make_system(6200)[:-5])
    reading = read_files([tmp_path])
    assert [each.name for each in reading.found] == [f"{tmp_path.name}/a-system.bin"]
    assert [each.reason.split(":")[0] for each in reading.skipped] == [
        "user part, not a part of Device OS",
        "not firmware",
    ]


def test_where_nothing_is_it_is_said_why(tmp_path: Path) -> None:
    with pytest.raises(NothingToImportError, match="no module of Device OS"):
        read_files([tmp_path])
    file = put(tmp_path, "tinker.bin", APPLICATION)
    with pytest.raises(NothingToImportError, match=r"tinker\.bin: user part"):
        read_files([file])


def test_the_same_module_twice_is_one_and_two_different_are_refused(tmp_path: Path) -> None:
    first = put(tmp_path, "a.bin", make_system(6200, platform_id=ELECTRON))
    second = put(tmp_path, "b.bin", make_system(6200, platform_id=ELECTRON))
    assert len(read_files([first, second]).found) == 1
    put(tmp_path, "b.bin", make_system(6201, platform_id=ELECTRON))
    with pytest.raises(AmbiguousModuleError, match=r"system part 1 .* in 6\.2\.0"):
        read_files([first, second], "6.2.0")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deviceosimport, "MAX_FILES", 1)
    for name in ("a.bin", "b.bin"):
        put(tmp_path, name, make_system(6200))
    with pytest.raises(NothingToImportError, match="more than 1 files"):
        read_files([tmp_path])
