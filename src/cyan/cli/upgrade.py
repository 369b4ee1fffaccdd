"""`cyan upgrade`: a backup, then the schema of this version; or nothing at all."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

import click

from cyan import __version__
from cyan.audit.store import OPERATOR, record
from cyan.cli.backup import BACKUPS_FOLDER, told_size, write_backup
from cyan.cli.options import data_option
from cyan.cli.running import only_one
from cyan.cli.snapshot import copy_database, examine
from cyan.core.clock import SystemClock, iso_ms
from cyan.core.config import Config, load_config
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from cyan.core.errors import CyanError
from cyan.core.folder import open_data

_WORKSHOP: Final = ".upgrading"
"""Added to the name of the database whose schema is being changed, until it takes its place."""


class UpgradeError(CyanError):
    """The schema could not be brought up to date."""


@click.command()
@click.option(
    "--backup",
    "file",
    type=click.Path(path_type=Path),
    help="Where the backup goes; by default into the folder `backups` of the data folder.",
)
@data_option
def upgrade(file: Path | None, data: Path | None) -> None:
    """Make a backup, then bring the database up to date with this version.

    The server must not run. When anything fails, the data is as it was.
    """
    config = load_config({"data": data})
    with only_one(open_data(config)):
        before, after = migrate.current(config.database_path), migrate.head()
        if before == after:
            click.echo(f"The schema is up to date ({after}): nothing was done.")
            return
        with contextlib.suppress(migrate.SchemaOldError):
            migrate.check(config.database_path)
        file = file or _place_of_backup(config, after)
        write_backup(config, file)
        click.echo(f"Wrote a backup to {file} ({told_size(file)}).")
        _change(config, file)
    click.echo(
        f"The schema went from {before} to {after}; version {__version__} can serve it.\n"
        f"To go back, install the former version and `cyan restore {file}` into an empty folder."
    )


def _place_of_backup(config: Config, after: str) -> Path:
    folder = config.data / BACKUPS_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    stamp = iso_ms(SystemClock().now_ms()).replace(":", "").replace("-", "").partition(".")[0]
    return folder / f"before-{after}-{stamp}.tar"


def _change(config: Config, file: Path) -> None:
    """Change the schema of a copy, sessions and all, and put that in the place of the database.

    SQLite could undo a change that fails, but not the one before it, and not a killed process's.
    """
    database = config.database_path
    workshop = database.with_name(database.name + _WORKSHOP)
    workshop.unlink(missing_ok=True)
    try:
        _settle(database)
        copy_database(database, workshop)
        before = migrate.upgrade(workshop)
        examine(workshop)
        _note(workshop, before, file)
        _settle(workshop)
        workshop.replace(database)
    except CyanError:
        raise
    except Exception as error:
        raise UpgradeError(
            f"The upgrade failed, and the data is as it was: {str(error).splitlines()[0]}."
            f" The backup in {file} can be deleted."
        ) from error
    finally:
        for end in ("", "-wal", "-shm", "-journal"):
            workshop.with_name(workshop.name + end).unlink(missing_ok=True)
    descriptor = os.open(config.data, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle(database: Path) -> None:
    """Bring all into the one file, so that a new one can take its place. Raises UpgradeError."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    left = database.with_name(database.name + "-wal")
    if left.exists():  # SQLite removes it when the last connection closes
        raise UpgradeError(
            f"Another program has {database} open: a command of cyan, or a browser for databases."
            " End it, then try again."
        )


def _note(database: Path, before: str | None, file: Path) -> None:
    db = Database(database)
    detail: dict[str, object] = {"from": before, "to": migrate.head(), "backup": str(file)}
    try:
        db.write_blocking(
            lambda connection: record(
                connection,
                OPERATOR,
                "server.upgraded",
                "server",
                detail,
                at_ms=SystemClock().now_ms(),
            )
        )
    finally:
        db.close()
