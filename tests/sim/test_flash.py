"""What survives of an update: a reset, a power cut, a killed simulator."""

import hashlib
from pathlib import Path

import pytest

from cyan.sim.behaviour import built_in
from cyan.sim.flash import SYNC_BYTES, FileFlash, Flash, FlashError, MemoryFlash, Storage
from cyan.sim.statefolder import StateFolder
from tests.sim.updating import (
    CHUNK,
    call,
    ended,
    hello,
    offset_of,
    send_chunks,
    start_update,
    update,
    user_part,
)
from tests.sim.world import World, online_world

FILE = user_part(bytes(range(256)) * 100)
DIGEST = hashlib.sha256(FILE).digest()


def memories(folder: Path) -> list[Flash]:
    return [MemoryFlash(), FileFlash(folder, "5eed")]


def test_both_memories_keep_what_is_written_anywhere(tmp_path: Path) -> None:
    for flash in memories(tmp_path):
        assert flash.read(0, 10) == b""
        flash.write(4, b"later")
        flash.write(0, b"soon")
        assert flash.read(0, 100) == b"soonlater"
        assert flash.read(2, 4) == b"onla"
        flash.erase()
        assert flash.read(0, 100) == b""
        flash.erase()


def test_a_file_is_gone_with_its_update_and_nobody_else_reads_it(tmp_path: Path) -> None:
    flash = FileFlash(tmp_path, "5eed")
    flash.write(0, b"part")
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    flash.erase()
    assert list(tmp_path.iterdir()) == []


def test_memory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    flash = FileFlash(tmp_path / "missing", "5eed")
    with pytest.raises(FlashError):
        flash.write(0, b"part")
    (tmp_path / "5eed.update").mkdir()
    storage = Storage(FileFlash(tmp_path, "5eed"))
    with pytest.raises(FlashError):
        storage.begin(10, None, 0.0)


def test_what_is_written_down_comes_in_blocks_and_after_a_time() -> None:
    storage = Storage(MemoryFlash())
    storage.begin(len(FILE), DIGEST, 0.0)
    assert storage.partial is not None
    storage.write(0, FILE[:CHUNK], CHUNK, 1.0)
    assert storage.partial.received == 0
    storage.write(CHUNK, FILE[CHUNK : 2 * CHUNK], 2 * CHUNK, 31.0)
    assert storage.partial.received == 2 * CHUNK
    storage.write(2 * CHUNK, FILE[2 * CHUNK :], len(FILE), 32.0)
    assert storage.partial.received == len(FILE)
    assert storage.digest(32.0) == (DIGEST, True)


def test_a_part_is_used_only_if_it_is_what_was_written() -> None:
    flash = MemoryFlash()
    storage = Storage(flash)
    storage.begin(len(FILE), DIGEST, 0.0)
    storage.write(0, FILE[: 2 * SYNC_BYTES], 2 * SYNC_BYTES, 0.0)
    assert Storage(flash, storage.partial).begin(len(FILE), DIGEST, 0.0) == 2 * SYNC_BYTES
    assert Storage(flash, storage.partial).begin(len(FILE) + 1, DIGEST, 0.0) == 0
    flash.write(0, FILE[: 2 * SYNC_BYTES])
    flash.write(100, b"?")
    assert Storage(flash, storage.partial).begin(len(FILE), DIGEST, 0.0) == 0


def test_a_killed_simulator_goes_on_where_it_had_written_down(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    first = World(flash=FileFlash(tmp_path, "5eed"))
    first.run(0.5)
    start_update(first, FILE)
    for at in range(CHUNK, len(FILE) // 2, CHUNK):
        send_chunks(first, FILE, until=at)
        folder.keep(first.device)
    device_id = first.device.identity.device_id
    stored = folder.load(device_id)
    assert stored is not None
    second = World(stored=stored, flash=FileFlash(tmp_path, "5eed"), cloud=first.cloud)
    second.run(5.0)
    offset = offset_of(start_update(second, FILE))
    assert offset > len(FILE) // 2 - 2 * SYNC_BYTES
    assert offset % CHUNK == 0
    folder.close()


def test_what_was_installed_is_there_after_a_restart_and_gone_after_a_factory_reset(
    tmp_path: Path,
) -> None:
    first = online_world()
    update(first, user_part())
    device_id = first.device.identity.device_id
    folder = StateFolder(tmp_path)
    folder.keep(first.device)
    stored = folder.load(device_id)
    folder.close()
    second = World(built_in(event_interval_s=None), stored=stored, cloud=first.cloud)
    second.run(2.0)
    assert second.handshakes == [True]
    assert call(second, "blink", "fast") == 2

    folder = StateFolder(tmp_path, factory_reset=True)
    folder.keep_exactly(second.device)
    third = World(built_in(event_interval_s=None), stored=folder.load(device_id), cloud=first.cloud)
    folder.close()
    third.run(2.0)
    assert hello(third).product_version == 0xFFFF
    assert call(third, "blink", "fast") is None
    assert call(third, "led", "on") == 1


def test_an_update_is_written_down_once(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    world = online_world()
    update(world, user_part())
    folder.keep(world.device)
    file = tmp_path / f"{world.device.identity.device_id}.json"
    written = file.read_bytes()
    world.run(10.0)
    folder.keep(world.device)
    assert file.read_bytes() == written
    folder.close()


def test_a_device_that_was_never_updated_holds_nothing() -> None:
    world = online_world()
    assert world.device.store().firmware is None
    assert ended(world) == []
