"""Migration 0008 over the data of the version before it, there and back."""

from pathlib import Path

from alembic import command

from cyan.core.db import migrate
from tests.storage.test_migrations import at_revision, run, tables

MODULE = f"13, '6.2.0', 4, 1, 6200, '{'ab' * 32}', 700000, 1, '[]', 1"
ROW = f"'{'0a' * 12}', '{'0b' * 12}', 12, '6.2.0', '{'cd' * 32}', 300, 1, 1790000000000"


def before_it(path: Path) -> set[str]:
    at_revision(path, "0007")
    run(path, f"INSERT INTO firmware_system_module VALUES ({MODULE})")
    return tables(path)


def test_0008_has_room_for_binaries_and_keeps_device_os(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    before = before_it(path)
    at_revision(path, "0008")
    assert tables(path) - before == {"firmware_binary"}
    run(path, f"INSERT INTO firmware_binary VALUES ({ROW})")
    assert run(path, "SELECT expires_at_ms FROM firmware_binary") == [(1790000000000,)]
    assert run(path, "SELECT version FROM firmware_system_module") == [(6200,)]


def test_0008_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    before = before_it(path)
    at_revision(path, "0008")
    run(path, f"INSERT INTO firmware_binary VALUES ({ROW})")
    config = migrate._alembic(path)
    command.downgrade(config, "0007")
    config.attributes["engine"].dispose()
    assert tables(path) == before
    assert run(path, "SELECT version FROM firmware_system_module") == [(6200,)]
