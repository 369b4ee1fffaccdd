"""The schema: a fresh one equals a migrated one, and an unknown one is refused."""

import importlib
import pkgutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

import cyan
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata

pytestmark = pytest.mark.usefixtures("db")  # which imports every table


def shape(path: Path) -> dict[str, object]:
    """Tables with their columns, types, defaults, keys and indexes."""
    engine = create_engine(f"sqlite:///{path}")
    inspector = inspect(engine)
    found: dict[str, object] = {}
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        columns = [
            (c["name"], str(c["type"]), c["nullable"], c["default"], c.get("primary_key"))
            for c in inspector.get_columns(table)
        ]
        found[table] = {
            "columns": columns,
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted(
                tuple(u["column_names"]) for u in inspector.get_unique_constraints(table)
            ),
            "foreign": sorted(
                (tuple(f["constrained_columns"]), f["referred_table"])
                for f in inspector.get_foreign_keys(table)
            ),
            "indexes": sorted(
                (i["name"], tuple(i["column_names"]), bool(i["unique"]))
                for i in inspector.get_indexes(table)
            ),
        }
    engine.dispose()
    return found


def test_a_fresh_schema_equals_a_migrated_one(db: Database, tmp_path: Path) -> None:
    migrated = tmp_path / "migrated.db"
    migrate.upgrade(migrated)
    assert shape(migrated) == shape(db.path)
    assert len(shape(migrated)) >= 10


def test_the_migrations_leave_nothing_to_do(tmp_path: Path) -> None:
    migrated = tmp_path / "migrated.db"
    migrate.upgrade(migrated)
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_each_table_begins_with_its_features_word() -> None:
    words = {package.name for package in pkgutil.iter_modules(cyan.__path__) if package.ispkg}
    assert {table.name.split("_", 1)[0] for table in metadata.sorted_tables} <= words
    for table in metadata.sorted_tables:
        importlib.import_module(f"cyan.{table.name.split('_', 1)[0]}")


def test_an_upgrade_is_done_once(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    assert migrate.upgrade(path) is None
    assert migrate.current(path) == migrate.head()
    assert migrate.upgrade(path) == migrate.head()
    migrate.check(path)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_database_without_a_schema_is_refused_naming_the_command(
    tmp_path: Path, is_there: bool
) -> None:
    path = tmp_path / "server.db"
    if is_there:
        path.touch()
    with pytest.raises(migrate.SchemaOldError, match="cyan migrate"):
        migrate.check(path)


def test_a_schema_of_the_future_is_refused_by_check_and_by_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    migrate.upgrade(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    for refuse in (migrate.check, migrate.upgrade):
        with pytest.raises(migrate.SchemaUnknownError, match="newer"):
            refuse(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    path.write_bytes(b"this is a diary, not a database" * 200)
    for refuse in (migrate.check, migrate.upgrade):
        with pytest.raises(migrate.NotADatabaseError, match=r"server\.db"):
            refuse(path)
    assert path.read_bytes().startswith(b"this is a diary")


def test_a_path_with_a_percent_sign_works(tmp_path: Path) -> None:
    folder = tmp_path / "100%data"
    folder.mkdir()
    migrate.upgrade(folder / "cyan.db")
    migrate.check(folder / "cyan.db")


def test_migrating_keeps_the_data(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    migrate.upgrade(path)
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO accounts_user VALUES ('u', 'ada@example.com', NULL, 0, 1, NULL)"
    )
    connection.execute(
        "INSERT INTO events_event VALUES (1, 90, 'n', x'00', 1, 'o', 'u', 0, 60, NULL, 0, x'01', 7)"
    )
    connection.commit()
    connection.close()
    assert migrate.upgrade(path) == migrate.head()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT username FROM accounts_user").fetchall() == [
        ("ada@example.com",)
    ]
    assert connection.execute("SELECT message_id FROM events_event").fetchall() == [(7,)]
    connection.close()
