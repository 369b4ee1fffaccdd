"""Each migration over the data of the version before it, there and back."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from cyan.core.db import migrate

LAMP = "e00fce680000000000000001"


def run(path: Path, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.commit()
        connection.close()


def at_revision(path: Path, revision: str) -> None:
    """A database of an earlier version of the server."""
    config = migrate._alembic(path)
    command.upgrade(config, revision)
    config.attributes["engine"].dispose()


def tables(path: Path) -> set[str]:
    return {row[0] for row in run(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_0002_keeps_the_devices_of_0001_and_knows_nothing_of_their_firmware(
    tmp_path: Path,
) -> None:
    path = tmp_path / "server.db"
    at_revision(path, "0001")
    run(
        path,
        "INSERT INTO devices_device (id, name, owner_id, registered_at_ms, key_fingerprint)"
        " VALUES (?, 'lamp', 'aa', 1, 'ff')",
        (LAMP,),
    )
    assert migrate.upgrade(path) == "0001"
    assert run(
        path,
        "SELECT name, owner_id, key_fingerprint, application_hash, max_message_bytes,"
        " max_binary_bytes, ota_chunk_bytes, cc3000_patch_version FROM devices_device",
    ) == [("lamp", "aa", "ff", None, None, None, None, None)]
    assert {"devices_claim_code", "devices_refusal", "health_vitals"} <= tables(path)


def test_0002_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    at_revision(path, "0001")
    before = tables(path)
    run(path, "INSERT INTO devices_device (id, registered_at_ms) VALUES (?, 1)", (LAMP,))
    migrate.upgrade(path)
    config = migrate._alembic(path)
    command.downgrade(config, "0001")
    config.attributes["engine"].dispose()
    assert tables(path) == before
    assert run(path, "SELECT id FROM devices_device") == [(LAMP,)]


def test_0005_keeps_devices_and_knows_no_label_of_them(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    at_revision(path, "0004")
    run(
        path,
        "INSERT INTO devices_device (id, name, owner_id, registered_at_ms, imei)"
        " VALUES (?, 'lamp', 'aa', 1, '352')",
        (LAMP,),
    )
    at_revision(path, "0005")
    assert run(
        path,
        "SELECT name, owner_id, imei, serial_number, mobile_secret, mac_wifi, development,"
        " forces_updates FROM devices_device",
    ) == [("lamp", "aa", "352", None, None, None, None, None)]
    assert {"devices_transfer", "devices_registrar"} <= tables(path)


def test_0005_lets_a_serial_number_be_there_once(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    migrate.upgrade(path)
    insert = "INSERT INTO devices_device (id, registered_at_ms, serial_number) VALUES (?, 1, ?)"
    run(path, insert, ("1" * 24, "P046"))
    run(path, insert, ("2" * 24, None))
    run(path, insert, ("3" * 24, None))
    with pytest.raises(sqlite3.IntegrityError):
        run(path, insert, ("4" * 24, "P046"))


def test_0005_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    at_revision(path, "0004")
    before = tables(path)
    run(path, "INSERT INTO devices_device (id, registered_at_ms) VALUES (?, 1)", (LAMP,))
    at_revision(path, "0005")
    run(path, "UPDATE devices_device SET serial_number = 'P046'")
    config = migrate._alembic(path)
    command.downgrade(config, "0004")
    config.attributes["engine"].dispose()
    assert tables(path) == before
    assert run(path, "SELECT id FROM devices_device") == [(LAMP,)]


def test_0003_gives_sessions_a_journal_and_leaves_them_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    at_revision(path, "0002")
    run(
        path,
        "INSERT INTO gateway_session (connection_id, device_id, format, cold, holder, adoption,"
        " highest_received, replay_window, device_message_id, next_message_id, address, settled,"
        " heard_at_ms, established_at_ms) VALUES (x'01', ?, 2, x'02', 'main', 3, 4, x'05', 6, 7,"
        " x'08', 1, 9, 10)",
        (LAMP,),
    )
    session = run(path, "SELECT * FROM gateway_session")
    assert migrate.upgrade(path) == "0002"
    assert run(path, "SELECT * FROM gateway_session") == session
    assert run(path, "SELECT * FROM gateway_journal") == []
    config = migrate._alembic(path)
    command.downgrade(config, "0002")
    config.attributes["engine"].dispose()
    assert run(path, "SELECT * FROM gateway_session") == session
    assert "gateway_journal" not in tables(path)


ADA = "5f0000000000000000000001"


def test_0004_keeps_people_and_their_tokens_and_has_room_for_what_is_theirs(
    tmp_path: Path,
) -> None:
    path = tmp_path / "server.db"
    at_revision(path, "0003")
    run(path, "INSERT INTO accounts_user VALUES (?, 'ada@example.com', 'h', 0, 1, NULL)", (ADA,))
    run(
        path,
        "INSERT INTO accounts_token (id, sha256, user_id, client_id, created_at_ms)"
        " VALUES ('t', x'01', ?, 'particle-cli', 1)",
        (ADA,),
    )
    at_revision(path, "0004")
    run(path, "INSERT INTO accounts_profile VALUES (?, 'Ada', 'L', 0, '')", (ADA,))
    run(path, "INSERT INTO accounts_reset VALUES (?, x'02', 1, 2)", (ADA,))
    assert run(path, "SELECT username, password_hash FROM accounts_user") == [
        ("ada@example.com", "h")
    ]
    assert run(path, "SELECT id FROM accounts_token") == [("t",)]


def test_0004_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    at_revision(path, "0003")
    before = tables(path)
    run(path, "INSERT INTO accounts_user VALUES (?, 'ada@example.com', 'h', 0, 1, NULL)", (ADA,))
    at_revision(path, "0004")
    run(path, "INSERT INTO accounts_profile VALUES (?, 'Ada', 'L', 0, '')", (ADA,))
    config = migrate._alembic(path)
    command.downgrade(config, "0003")
    config.attributes["engine"].dispose()
    assert tables(path) == before
    assert run(path, "SELECT id FROM accounts_user") == [(ADA,)]


def test_0010_keeps_people_and_knows_no_session_of_them(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    at_revision(path, "0009")
    before = tables(path)
    run(
        path,
        "INSERT INTO accounts_user (id, username, is_operator, created_at_ms)"
        " VALUES ('aa', 'ada@example.com', 0, 1)",
    )
    at_revision(path, "0010")
    assert run(path, "SELECT username FROM accounts_user") == [("ada@example.com",)]
    run(
        path,
        "INSERT INTO console_session VALUES ('bb', x'00', 'aa', 0, 1, 1, 2, 'a browser')",
    )
    config = migrate._alembic(path)
    command.downgrade(config, "0009")
    config.attributes["engine"].dispose()
    assert tables(path) == before
    assert run(path, "SELECT username FROM accounts_user") == [("ada@example.com",)]
