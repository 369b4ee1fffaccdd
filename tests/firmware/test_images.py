"""Files of firmware: kept once, mapped once, checked, and removed when nobody needs them."""

import gc
import mmap
import os
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from cyan.core.metrics import REGISTRY
from cyan.firmware.images import FOLDER, GRACE_MS, ImageLostError, Images, StorageFullError
from cyan.wire.describe.system import BOOTLOADER, USER_PART
from cyan.wire.module import combine_modules, decompress_module, encode_asset, encode_module
from tests.clock import HandClock

APPLICATION = encode_module(b"code " * 300, platform_id=13, function=USER_PART)
OTHER = encode_module(b"other" * 300, platform_id=13, function=USER_PART)
NAME = sha256(APPLICATION).hexdigest()


@pytest.fixture
def images(tmp_path: Path, clock: HandClock) -> Images:
    return Images(tmp_path, clock, reserve_bytes=0)


def _files(data: Path) -> list[str]:
    return sorted(path.name for path in (data / FOLDER).iterdir())


async def test_a_file_that_was_kept_opens_with_its_bytes(images: Images) -> None:
    kept = await images.keep(APPLICATION)
    assert (kept.sha256, kept.size_bytes) == (NAME, len(APPLICATION))
    image = await images.open(kept.sha256)
    assert bytes(image.data) == APPLICATION
    assert image.sha256 == sha256(APPLICATION).digest()
    assert image.module_function == USER_PART


async def test_it_is_there_once_and_for_its_owner_only(images: Images, tmp_path: Path) -> None:
    await images.keep(APPLICATION)
    await images.keep(memoryview(APPLICATION))
    assert _files(tmp_path) == [NAME]
    assert (tmp_path / FOLDER / NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700


async def test_transfers_of_one_file_share_one_mapping(images: Images) -> None:
    await images.keep(APPLICATION)
    found = [await images.open(NAME) for _ in range(100)]
    assert len({id(image.data.obj) for image in found}) == 1
    assert isinstance(found[0].data.obj, mmap.mmap)
    del found
    gc.collect()
    assert bytes((await images.open(NAME)).data) == APPLICATION


async def test_an_asset_says_so_and_a_combined_file_is_its_first_module(images: Images) -> None:
    asset = await images.keep(encode_asset("a", b"data"))
    both = encode_module(b"boot", platform_id=13, function=BOOTLOADER)
    combined = await images.keep(combine_modules([both, APPLICATION]))
    assert (await images.open(asset.sha256)).module_function == 9
    assert (await images.open(combined.sha256)).module_function == BOOTLOADER


@pytest.mark.parametrize("name", [NAME, "..", "../cyan.db", "", NAME.upper()])
async def test_what_is_not_there_is_lost(images: Images, name: str) -> None:
    with pytest.raises(ImageLostError):
        await images.open(name)


async def test_a_damaged_file_is_not_sent_and_is_whole_when_it_is_kept_again(
    images: Images, tmp_path: Path
) -> None:
    await images.keep(APPLICATION)
    (tmp_path / FOLDER / NAME).write_bytes(OTHER[: len(APPLICATION)])
    with pytest.raises(ImageLostError, match="missing or damaged"):
        await images.open(NAME)
    await images.keep(APPLICATION)
    assert bytes((await images.open(NAME)).data) == APPLICATION


async def test_what_is_no_module_is_not_sent(images: Images) -> None:
    kept = await images.keep(b"a text")
    with pytest.raises(ImageLostError):
        await images.open(kept.sha256)


async def test_a_disk_without_room_keeps_what_it_has(tmp_path: Path, clock: HandClock) -> None:
    await Images(tmp_path, clock, reserve_bytes=0).keep(APPLICATION)
    full = Images(tmp_path, clock, reserve_bytes=1 << 62)
    with pytest.raises(StorageFullError, match="no room"):
        await full.keep(OTHER)
    assert _files(tmp_path) == [NAME]
    await full.keep(APPLICATION)
    assert bytes((await full.open(NAME)).data) == APPLICATION


async def test_a_disk_that_fills_up_while_a_file_is_written_leaves_no_part_of_it(
    images: Images, tmp_path: Path
) -> None:
    # The device that is always full: every write to it fails as a full disk does.
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / f"{NAME}.new").symlink_to("/dev/full")
    with pytest.raises(StorageFullError):
        await images.keep(APPLICATION)
    assert _files(tmp_path) == []


async def test_a_compressed_form_is_the_same_file_each_time(images: Images) -> None:
    await images.keep(APPLICATION)
    packed = await images.keep_compressed(NAME)
    assert packed is not None
    assert packed.size_bytes < len(APPLICATION) // 2
    assert await images.keep_compressed(NAME) == packed
    image = await images.open(packed.sha256)
    assert decompress_module(image.data) == APPLICATION
    assert image.module_function == USER_PART


@pytest.mark.parametrize(
    "data",
    [
        encode_module(b"boot" * 99, platform_id=13, function=BOOTLOADER),
        encode_module(os.urandom(500), platform_id=13, function=USER_PART),
        combine_modules([APPLICATION, OTHER]),
    ],
    ids=["a boot loader", "noise", "two modules"],
)
async def test_what_is_not_sent_compressed_has_no_compressed_form(
    images: Images, data: bytes
) -> None:
    kept = await images.keep(data)
    assert await images.keep_compressed(kept.sha256) is None


async def test_files_that_nobody_needs_go_after_an_hour(
    images: Images, clock: HandClock, tmp_path: Path
) -> None:
    needed = await images.keep(APPLICATION)
    await images.keep(OTHER)
    images.needed_by(lambda: [needed.sha256])
    images.needed_by(tuple)
    assert await images.collect() == 0
    clock.advance(GRACE_MS / 1000 + 1)
    assert await images.collect() == 1
    assert _files(tmp_path) == [NAME]


async def test_a_file_that_is_kept_again_stays_another_hour(
    images: Images, clock: HandClock
) -> None:
    await images.keep(APPLICATION)
    clock.advance(GRACE_MS / 1000 + 1)
    await images.keep(APPLICATION)
    assert await images.collect() == 0


async def test_a_file_that_is_kept_between_the_look_and_the_removal_stays(
    images: Images, clock: HandClock, tmp_path: Path
) -> None:
    await images.keep(APPLICATION)
    clock.advance(GRACE_MS / 1000 + 1)

    def keep_meanwhile() -> list[str]:
        images.keep_blocking(APPLICATION)
        return []

    images.needed_by(keep_meanwhile)
    assert await images.collect() == 0
    assert _files(tmp_path) == [NAME]


async def test_what_a_killed_process_left_behind_goes_and_strange_files_stay(
    images: Images, clock: HandClock, tmp_path: Path
) -> None:
    assert await images.collect() == 0
    await images.keep(APPLICATION)
    for name in (f"{NAME}.new", "README"):
        (tmp_path / FOLDER / name).write_bytes(b"")
        os.utime(tmp_path / FOLDER / name, (0, 0))
    assert await images.collect() == 1
    assert _files(tmp_path) == ["README", NAME]


async def test_an_open_file_may_be_removed_and_goes_on_being_sent(
    images: Images, clock: HandClock
) -> None:
    await images.keep(APPLICATION)
    image = await images.open(NAME)
    clock.advance(GRACE_MS / 1000 + 1)
    assert await images.collect() == 1
    assert bytes(image.data) == APPLICATION


def test_many_that_keep_the_same_file_at_once_do_not_disturb_each_other(
    images: Images, tmp_path: Path
) -> None:
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                images.keep_blocking(APPLICATION)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert _files(tmp_path) == [NAME]


async def test_how_much_lies_there_is_counted(images: Images, clock: HandClock) -> None:
    await images.keep(APPLICATION)
    await images.keep(OTHER)
    await images.collect()
    assert REGISTRY.get_sample_value("cyan_firmware_files") == 2
    assert REGISTRY.get_sample_value("cyan_firmware_bytes") == len(APPLICATION) + len(OTHER)
