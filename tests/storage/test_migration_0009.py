"""Migration 0009 over the data of the version before it, there and back."""

from pathlib import Path

from alembic import command

from cyan.core.db import migrate
from tests.storage.test_migrations import ADA, LAMP, at_revision, run, tables

ATTEMPT = (
    f"'6f0000000000000000000001', '{LAMP}', '{ADA}', 'flash', '6f00', 0, 'sending', 'a.bin', 'aa',"
    " 9, '{}', 1, 1, 3, 1, 0, NULL, NULL, NULL, NULL, NULL"
)


def before_it(path: Path) -> set[str]:
    at_revision(path, "0008")
    run(path, "INSERT INTO devices_device (id, registered_at_ms) VALUES (?, 1)", (LAMP,))
    return tables(path)


def test_0009_has_room_for_attempts_and_keeps_devices(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    before = before_it(path)
    at_revision(path, "0009")
    assert tables(path) - before == {"firmware_attempts"}
    run(path, f"INSERT INTO firmware_attempts VALUES ({ATTEMPT})")
    assert run(path, "SELECT device_id, sent_bytes FROM firmware_attempts") == [(LAMP, 3)]
    assert run(path, "SELECT id FROM devices_device") == [(LAMP,)]


def test_0009_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    before = before_it(path)
    at_revision(path, "0009")
    run(path, f"INSERT INTO firmware_attempts VALUES ({ATTEMPT})")
    config = migrate._alembic(path)
    command.downgrade(config, "0008")
    config.attributes["engine"].dispose()
    assert tables(path) == before
    assert run(path, "SELECT id FROM devices_device") == [(LAMP,)]
