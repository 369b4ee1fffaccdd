"""Migration 0007 over the data of the version before it, there and back."""

from pathlib import Path

from alembic import command

from cyan.core.db import migrate
from tests.storage.test_migrations import LAMP, at_revision, run, tables

ROW = f"13, '6.2.0', 4, 1, 6200, '{'ab' * 32}', 700000, 4294967295, '[]', 1"


def before_it(path: Path) -> set[str]:
    at_revision(path, "0006")
    run(path, "INSERT INTO devices_device (id, registered_at_ms) VALUES (?, 1)", (LAMP,))
    return tables(path)


def test_0007_has_room_for_modules_of_device_os_and_keeps_devices(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    before = before_it(path)
    at_revision(path, "0007")
    assert tables(path) - before == {"firmware_system_module"}
    run(path, f"INSERT INTO firmware_system_module VALUES ({ROW})")
    assert run(path, "SELECT crc32, release FROM firmware_system_module") == [(0xFFFFFFFF, "6.2.0")]
    assert run(path, "SELECT id FROM devices_device") == [(LAMP,)]


def test_0007_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    before = before_it(path)
    at_revision(path, "0007")
    run(path, f"INSERT INTO firmware_system_module VALUES ({ROW})")
    config = migrate._alembic(path)
    command.downgrade(config, "0006")
    config.attributes["engine"].dispose()
    assert tables(path) == before
    assert run(path, "SELECT id FROM devices_device") == [(LAMP,)]
