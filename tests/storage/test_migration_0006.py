"""Migration 0006 over the data of the version before it, there and back."""

from pathlib import Path

from alembic import command

from cyan.core.db import migrate
from tests.storage.test_migrations import ADA, LAMP, at_revision, run, tables

LEDGER = "6f0000000000000000000001"
MADE = {
    "secrets_secret": f"'{ADA}', 'KEY', x'00', 1, 1, '{ADA}', '{ADA}', NULL",
    "environment_layer": f"'{ADA}', '{LAMP}', '{{}}', 1, 1, '{ADA}', '{ADA}', NULL, NULL, NULL",
    "ledgers_definition": f"'{LEDGER}', '{ADA}', 'a', '', 'Device', 'Upstream', 1, 1, NULL",
    "ledgers_instance": f"'{LEDGER}', '{LAMP}', 2, '{{}}', 1, 1, 2",
    "ledgers_version": f"'{LEDGER}', '{LAMP}', 1, '{{}}', 1, 1, 1, 2",
    "ledgers_listener": f"'{LAMP}', '00', '[]'",
    "libraries_upload": f"'{ADA}', 'lamp', '1.0.0', '{{}}', x'00', 'key', 0, 1",
}
"""A row of each table that it makes."""


def before_it(path: Path) -> set[str]:
    at_revision(path, "0005")
    run(path, "INSERT INTO accounts_user VALUES (?, 'ada@example.com', 'h', 0, 1, NULL)", (ADA,))
    run(path, "INSERT INTO devices_device (id, registered_at_ms) VALUES (?, 1)", (LAMP,))
    return tables(path)


def test_0006_has_room_for_cloud_data_and_keeps_people_and_devices(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    before = before_it(path)
    at_revision(path, "0006")
    assert tables(path) - before == set(MADE)
    for table, values in MADE.items():
        run(path, f"INSERT INTO {table} VALUES ({values})")
        assert run(path, f"SELECT count(*) FROM {table}") == [(1,)]
    assert run(path, "SELECT id FROM accounts_user") == [(ADA,)]
    assert run(path, "SELECT id FROM devices_device") == [(LAMP,)]


def test_0006_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    before = before_it(path)
    at_revision(path, "0006")
    for table, values in MADE.items():
        run(path, f"INSERT INTO {table} VALUES ({values})")
    config = migrate._alembic(path)
    command.downgrade(config, "0005")
    config.attributes["engine"].dispose()
    assert tables(path) == before
    assert run(path, "SELECT id FROM devices_device") == [(LAMP,)]
