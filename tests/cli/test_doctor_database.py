"""What the doctor says of a database that is missing, damaged, of another version or held."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cyan.cli.doctoring import database
from cyan.cli.doctoring.finding import Finding
from cyan.core.db import migrate
from tests.cli.doctor import (
    another_user,
    as_root,
    doctor,
    found_by,
    installation,
    levels,
    reachable_folder,
)
from tests.system.processes import done, migrated


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return migrated(tmp_path / "data")


def _file(data: Path) -> Finding:
    (found,) = found_by(database.check_file, installation(data)).values()
    return found


@contextmanager
def _open(data: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(data / "cyan.db", isolation_level=None)) as connection:
        yield connection


def test_a_good_database_tells_its_version_and_what_is_in_it(data: Path) -> None:
    done("user", "add", "ada@example.com", "--random-password", "--data", data)
    done("device", "add", "0123456789abcdef01234567", "--data", data)
    place = installation(data)
    assert migrate.head() in _file(data).found
    assert levels(found_by(database.check_integrity, place)) == {"database.integrity": "ok"}
    assert levels(found_by(database.check_writer, place)) == {"database.locked": "ok"}
    assert found_by(database.check_wal, place) == {}
    found = found_by(database.check_contents, place)
    assert levels(found) == {"database.contents": "ok"}
    assert "1 account, 1 device, 0 sessions, about 0 events" in found["database.contents"].found


def test_events_are_counted_by_their_positions(data: Path) -> None:
    with _open(data) as connection:
        for position in (7, 8, 9):
            connection.execute(
                "INSERT INTO events_event(position, end_byte, name, published_at_ms, origin,"
                " content_format, ttl_s, version) VALUES (?, ?, 'e', 1, 'api', 0, 60, 0)",
                (position, position * 10),
            )
    found = found_by(database.check_contents, installation(data))
    assert "about 3 events" in found["database.contents"].found


def test_sessions_that_come_near_their_limit_are_a_warning(data: Path) -> None:
    with _open(data) as connection:
        columns = connection.execute("PRAGMA table_info(gateway_session)").fetchall()
        names = ", ".join(row[1] for row in columns)
        marks = ", ".join("?" for _ in columns)
        for number in range(9):
            connection.execute(
                f"INSERT INTO gateway_session({names}) VALUES ({marks})",
                [bytes([number]) if row[1] == "connection_id" else 0 for row in columns],
            )
    enough = found_by(database.check_contents, installation(data, max_sessions=11))
    assert "database.sessions" not in enough
    found = found_by(database.check_contents, installation(data, max_sessions=10))
    assert levels(found)["database.sessions"] == "warning"
    assert "9 sessions of at most 10" in found["database.sessions"].found


def test_without_an_account_nobody_can_log_in(data: Path) -> None:
    found = found_by(database.check_contents, installation(data))
    assert levels(found)["database.accounts"] == "warning"
    assert "cyan user add" in str(found["database.accounts"].next_step)


def test_a_folder_without_a_database_names_the_command_that_makes_one(tmp_path: Path) -> None:
    found = _file(tmp_path)
    assert found.level.value == "problem"
    assert "`cyan migrate`" in str(found.next_step)
    assert not (tmp_path / "cyan.db").exists()


def test_an_older_schema_names_the_command_that_makes_a_backup_first(data: Path) -> None:
    with _open(data) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    found = _file(data)
    assert "has the schema 0001; this version needs" in found.found
    assert "`cyan upgrade`" in str(found.next_step)


def test_a_newer_schema_asks_for_the_newer_version(data: Path) -> None:
    with _open(data) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    found = _file(data)
    assert found.level.value == "problem"
    assert "newer" in found.found


def test_a_file_that_is_no_database_is_told(data: Path) -> None:
    (data / "cyan.db").write_bytes(b"no such thing " * 1000)
    found = _file(data)
    assert "is no SQLite database" in found.found
    assert "backup" in str(found.next_step)


def test_a_page_that_was_overwritten_is_found(data: Path) -> None:
    with (data / "cyan.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)
    found = found_by(database.check_integrity, installation(data))
    assert levels(found) == {"database.integrity": "problem"}
    assert "damaged" in found["database.integrity"].found


def test_damage_in_a_table_stops_no_other_check(data: Path) -> None:
    with _open(data) as connection:
        connection.execute("DROP TABLE devices_presence")
    examined = doctor(data)
    assert examined.exit_code == 1
    assert examined.problems == ["clock.newest"]
    assert "no such table: devices_presence" in examined.one("clock.newest")["found"]
    assert examined.one("clock.year")["level"] == "ok"


def test_a_program_that_holds_it_for_writing_is_found(data: Path) -> None:
    with _open(data) as connection:
        connection.execute("BEGIN IMMEDIATE")
        found = found_by(database.check_writer, installation(data))
    assert levels(found) == {"database.locked": "problem"}
    assert "fuser" in str(found["database.locked"].next_step)


def test_a_log_of_changes_that_is_never_emptied_is_a_warning(data: Path) -> None:
    # Its size is all that is looked at; the rest is a hole in the file.
    with (data / "cyan.db-wal").open("wb") as file:
        file.truncate(database.LARGE_WAL_BYTES + 1)
    found = found_by(database.check_wal, installation(data))
    assert levels(found) == {"database.wal": "warning"}


@as_root
def test_a_database_of_another_user_in_an_open_folder_is_told() -> None:
    with reachable_folder() as data:
        migrated(data)
        data.chmod(0o755)
        with another_user():
            place = installation(data)
            found = _file(data)
            assert not database.is_current(place)
            assert found_by(database.check_contents, place) == {}
    assert found.check == "database.rights"
    assert found.level.value == "problem"
