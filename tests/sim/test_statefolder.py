"""What a fleet keeps over a restart."""

from pathlib import Path

import pytest

from cyan.sim.behaviour import built_in
from cyan.sim.statefolder import BLOCK, StateFolder, StateInUseError, read_seed
from cyan.wire.messages import encode_key_change
from tests.sim.world import World, online_world


def stored_sequence(folder: StateFolder, world: World) -> int:
    stored = folder.load(world.device.identity.device_id)
    assert stored is not None
    assert stored.session is not None
    return stored.session.send_sequence


def current_sequence(world: World) -> int:
    assert world.device.session is not None
    return world.device.session.records.send_sequence


def test_what_is_written_down_is_always_ahead(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    world = online_world(built_in(event_interval_s=0.1))
    for _ in range(30):
        world.run(10.0)
        folder.keep(world.device)
        assert stored_sequence(folder, world) > current_sequence(world) + BLOCK / 2
    assert current_sequence(world) > 2 * BLOCK
    folder.close()


def test_a_block_is_written_once(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    world = online_world(built_in(event_interval_s=1.0))
    folder.keep(world.device)
    file = tmp_path / f"{world.device.identity.device_id}.json"
    written = file.read_bytes()
    world.run(60.0)
    folder.keep(world.device)
    assert file.read_bytes() == written
    folder.close()


def test_a_graceful_end_is_written_exactly(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    world = online_world()
    folder.keep(world.device)
    folder.keep_exactly(world.device)
    assert stored_sequence(folder, world) == current_sequence(world)
    assert folder.load(world.device.identity.device_id) == world.device.store()
    folder.close()


def test_a_lost_session_is_not_kept(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    world = online_world()
    folder.keep(world.device)
    world.deliver(world.cloud.request(encode_key_change))
    folder.keep(world.device)
    stored = folder.load(world.device.identity.device_id)
    assert stored is not None
    assert stored.session is None
    folder.close()


def test_an_unreadable_file_is_as_good_as_none(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    (tmp_path / "5eed.json").write_text("{")
    assert folder.load("5eed") is None
    assert folder.load("other") is None
    folder.close()


def test_others_cannot_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state"
    folder = StateFolder(path)
    folder.keep(online_world().device)
    assert path.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in path.iterdir())
    folder.close()


def test_a_folder_is_used_by_one_at_a_time(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    with pytest.raises(StateInUseError):
        StateFolder(tmp_path)
    folder.close()
    StateFolder(tmp_path).close()


def test_the_seed_is_kept(tmp_path: Path) -> None:
    seed = read_seed(tmp_path, None)
    assert read_seed(tmp_path, None) == seed
    assert read_seed(tmp_path, "given") == "given"
    assert read_seed(tmp_path, None) == "given"
    assert read_seed(None, None) != read_seed(None, None)
