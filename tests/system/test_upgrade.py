"""`cyan upgrade`: a backup, then the schema of this version; or nothing at all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cyan.core.db import migrate
from tests.storage.test_migrations import at_revision
from tests.system.processes import cyan, done, migrated, refused, serving


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder of the version before the last schema, with a session in it."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    at_revision(data / "cyan.db", "0002")
    (data / "secrets.key").write_bytes(bytes(32))
    with closing(sqlite3.connect(data / "cyan.db")) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "INSERT INTO gateway_session VALUES"
            " (x'0102030405060708', NULL, 1, x'00', 'main', 1, 0, x'00', 0, 0, x'00', 1, 0, 0)"
        )
    return data


def _sessions(data: Path) -> int:
    with closing(sqlite3.connect(data / "cyan.db")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM gateway_session").fetchone()
        return int(count)


def _refused_after_backup(data: Path) -> str:
    """The line that an upgrade ends with which failed after its backup."""
    ended = cyan("upgrade", "--data", data)
    assert ended.returncode == 2
    assert "Wrote a backup" in ended.stdout
    (line,) = ended.stderr.strip().splitlines()
    return line


def test_the_schema_is_brought_up_to_date_after_a_backup_and_sessions_stay(old: Path) -> None:
    told = done("upgrade", "--data", old)
    (file,) = (old / "backups").iterdir()
    assert file.name.startswith(f"before-{migrate.head()}-")
    assert str(file) in told
    assert f"from 0002 to {migrate.head()}" in told
    assert migrate.current(old / "cyan.db") == migrate.head()
    assert _sessions(old) == 1
    assert sorted(path.name for path in old.iterdir()) == [
        "backups",
        "cyan.db",
        "secrets.key",
        "server.lock",
    ]
    assert (old / "cyan.db").stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(old / "cyan.db")) as connection:
        entries = connection.execute("SELECT actor, action FROM audit_entry").fetchall()
    assert entries == [("operator", "server.upgraded")]


def test_its_backup_can_be_restored_and_upgraded_and_served(old: Path, tmp_path: Path) -> None:
    file, restored = tmp_path / "before.tar", tmp_path / "restored"
    done("upgrade", "--backup", file, "--data", old)
    assert "run `cyan upgrade`" in done("restore", file, "--data", restored)
    assert migrate.current(restored / "cyan.db") == "0002"
    assert _sessions(restored) == 0
    done("upgrade", "--data", restored)
    with serving(restored):
        pass


def test_the_second_time_nothing_is_done(old: Path) -> None:
    done("upgrade", "--data", old)
    assert "nothing was done" in done("upgrade", "--data", old)
    assert len(list((old / "backups").iterdir())) == 1


def test_a_failure_leaves_the_data_as_it_was(old: Path) -> None:
    with closing(sqlite3.connect(old / "cyan.db")) as connection, connection:
        # In the way of the last step, when the others have been done.
        connection.execute("CREATE TABLE gateway_journal (odd TEXT)")
    before = (old / "cyan.db").read_bytes()
    told = _refused_after_backup(old)
    assert "the data is as it was" in told
    assert (old / "cyan.db").read_bytes() == before
    assert migrate.current(old / "cyan.db") == "0002"
    assert {path.name for path in old.iterdir()} == {
        "backups",
        "cyan.db",
        "secrets.key",
        "server.lock",
    }


def test_another_program_that_holds_the_database_open_is_told(old: Path) -> None:
    with closing(sqlite3.connect(old / "cyan.db")) as other:
        assert other.execute("SELECT count(*) FROM gateway_session").fetchone() == (1,)
        assert "Another program has" in _refused_after_backup(old)
    assert migrate.current(old / "cyan.db") == "0002"


def test_a_running_server_is_not_upgraded(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        assert "Another server uses this data folder" in refused("upgrade", "--data", server.data)


def test_a_folder_without_a_database_is_told(tmp_path: Path) -> None:
    assert "There is no database in" in refused("upgrade", "--data", tmp_path / "data")


def test_a_newer_schema_is_not_touched(tmp_path: Path) -> None:
    data = migrated(tmp_path / "data")
    with closing(sqlite3.connect(data / "cyan.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "does not know: it is newer" in refused("upgrade", "--data", data)
    assert not (data / "backups").exists()
