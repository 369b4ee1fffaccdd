"""`cyan restore`: a data folder from a backup."""

import os
import shutil
from pathlib import Path
from typing import Final

import click

from cyan.audit.store import OPERATOR, record
from cyan.cli.archive import Manifest, extract
from cyan.cli.options import data_option
from cyan.cli.running import LOCK_FILE, only_one
from cyan.cli.snapshot import examine, forget_the_moment
from cyan.core.clock import SystemClock, iso_ms
from cyan.core.config import Config, load_config
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from cyan.core.errors import CyanError
from cyan.core.folder import open_data

WORKSHOP: Final = "restoring"
"""Folder below the data folder until all is verified: on the same disk, so that renames suffice."""

_NOT_DATA: Final = frozenset({LOCK_FILE, WORKSHOP, "lost+found"})
"""What an empty data folder may hold."""


class RestoreError(CyanError):
    """The backup cannot be put back here."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_option
def restore(file: Path, data: Path | None) -> None:
    """Put a backup FILE back into an empty or new data folder.

    Files, schema and database are verified first. Devices come back with new handshakes.
    """
    config = load_config({"data": data})
    if not file.is_file():
        raise RestoreError(f"There is no file {file}.")
    folder = open_data(config)
    with only_one(folder):
        _refuse_used(folder)
        workshop = folder / WORKSHOP
        shutil.rmtree(workshop, ignore_errors=True)  # of a restore that was interrupted
        try:
            workshop.mkdir(mode=0o700)
            manifest, is_current = _prepare(config, file, workshop)
            _put_in_place(config, workshop, manifest)
        except OSError as error:
            place = error.filename or folder
            raise RestoreError(f"{place} cannot be read or written: {error.strerror}.") from error
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
    click.echo(
        f"Restored {len(manifest.files)} files of {iso_ms(manifest.created_at_ms)} into"
        f" {folder.absolute()}, schema {manifest.schema}.\n"
        "Devices notice by themselves that their sessions have ended, and come back within 1 to 4"
        " minutes.\n"
        "Accounts, tokens and keys of devices are as they were then: what was revoked since is"
        " valid again."
    )
    if not is_current:
        click.echo(
            f"The schema is older than this version's ({migrate.head()}): run `cyan upgrade`."
        )


def _refuse_used(folder: Path) -> None:
    found = sorted(path.name for path in folder.iterdir() if path.name not in _NOT_DATA)
    if found:
        raise RestoreError(
            f"{folder.absolute()} is not empty: it holds {found[0]}. Name an empty or new folder"
            " with --data, or move what is there away."
        )


def _prepare(config: Config, file: Path, workshop: Path) -> tuple[Manifest, bool]:
    """The archive's files in the workshop, verified, and whether the schema is this version's."""
    manifest = extract(file, workshop)
    database = workshop / config.database_path.name
    if migrate.current(database) is None:
        raise RestoreError(f"{file} holds no database.")
    is_current = True
    try:
        migrate.check(database)
    except migrate.SchemaOldError:
        is_current = False
    except migrate.SchemaUnknownError as error:
        raise RestoreError(
            f"{file} was written by version {manifest.version} with schema {manifest.schema}, which"
            f" this version does not know; its newest is {migrate.head()}."
        ) from error
    examine(database)
    forget_the_moment(database)
    if is_current:
        _note(database, manifest)
    return manifest, is_current


def _put_in_place(config: Config, workshop: Path, manifest: Manifest) -> None:
    """The database last: without it there is no server, only an empty folder that is not."""
    database = config.database_path.name
    for name in [*(name for name in manifest.files if name != database), database]:
        target = config.data / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (workshop / name).rename(target)
    descriptor = os.open(config.data, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _note(database: Path, manifest: Manifest) -> None:
    db = Database(database)
    detail = {"of_ms": manifest.created_at_ms, "version": manifest.version}
    try:
        db.write_blocking(
            lambda connection: record(
                connection,
                OPERATOR,
                "server.restored",
                "server",
                detail,
                at_ms=SystemClock().now_ms(),
            )
        )
    finally:
        db.close()
