"""The schema's version: brought up to date on request, checked at start, never guessed."""

import contextlib
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy import URL, create_engine

from cyan.core.errors import ConfigError

_MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaOldError(ConfigError):
    """The database has an older schema than this version. Run `cyan upgrade` or `cyan migrate`."""


class SchemaMissingError(SchemaOldError):
    """There is no database yet. Run `cyan migrate` to make it."""


class SchemaUnknownError(ConfigError):
    """The database has a schema that this version of the server does not know: it is newer."""


class NotADatabaseError(ConfigError):
    """The database file cannot be read: it is no SQLite database, or damaged."""


def _alembic(path: Path) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["engine"] = create_engine(URL.create("sqlite", database=str(path)))
    return config


def head() -> str:
    """The newest revision of this version of the server."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    assert newest is not None
    return newest


def current(path: Path) -> str | None:
    """The revision of a database file; None when it has no schema yet.

    Raises NotADatabaseError.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    connection = sqlite3.connect(path)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    except sqlite3.DatabaseError as error:
        raise NotADatabaseError(f"{path}: {error}.") from error
    finally:
        connection.close()
    return str(row[0]) if row else None


def check(path: Path) -> None:
    """Raises SchemaOldError or SchemaUnknownError unless the schema is the newest known,
    NotADatabaseError when there is none to be found."""
    found = current(path)
    if found == head():
        return
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    if found is None:
        raise SchemaMissingError(
            f"There is no database in {path.parent.absolute()}. Run `cyan migrate` to make one, or "
            "name the right folder with --data or CYAN_DATA."
        )
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found in known:
        raise SchemaOldError
    raise SchemaUnknownError


def upgrade(path: Path) -> str | None:
    """Bring the database up to date; the revision it had before.

    Raises SchemaUnknownError, NotADatabaseError.
    """
    before = current(path)
    if before == head():
        return before
    path.touch(mode=0o600, exist_ok=True)
    if before is not None:
        with contextlib.suppress(SchemaOldError):
            check(path)
    config = _alembic(path)
    try:
        command.upgrade(config, "head")
    finally:
        config.attributes["engine"].dispose()
    return before
