"""`cyan backup`: everything that lasts, in one file, while the server runs."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from cyan import __version__
from cyan.audit.store import OPERATOR, record
from cyan.cli.archive import Manifest, Writer
from cyan.cli.options import data_option
from cyan.cli.running import LOCK_FILE
from cyan.cli.snapshot import copy_database, forget_the_moment
from cyan.core.clock import SystemClock
from cyan.core.config import Config, load_config
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from cyan.core.errors import CyanError

BACKUPS_FOLDER: Final = "backups"
"""In the data folder; backups hold no backups."""

_SIM_FOLDER: Final = "sim"
_SEED_FILE: Final = "seed"

_UNFINISHED: Final = ".new"
"""How a file ends until it is whole (core/secrets.py)."""


class BackupError(CyanError):
    """The backup cannot be written."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_option
def backup(file: Path, data: Path | None) -> None:
    """Write everything that lasts into one tar FILE, also while the server runs.

    Database, keys and secrets are in it, so only its owner may read it. Sessions of devices are
    not: they must not be gone on with.
    """
    config = load_config({"data": data})
    manifest = write_backup(config, file)
    try:
        migrate.check(config.database_path)
    except (migrate.SchemaOldError, migrate.SchemaUnknownError):
        pass  # the table may not be as this version knows it
    else:
        _note(config, file, manifest)
    click.echo(
        f"Wrote {file} ({told_size(file)}): {len(manifest.files)} files, schema"
        f" {manifest.schema}.\n"
        "It holds keys and secrets: keep it as safe as the data folder, and somewhere else."
    )


def write_backup(config: Config, file: Path) -> Manifest:
    """Write the data folder as it is now to a new file, whole or not at all.

    Raises BackupError, SchemaMissingError, DatabaseDamagedError.
    """
    schema = migrate.current(config.database_path)
    if schema is None:
        raise migrate.SchemaMissingError(
            f"There is no database in {config.data.absolute()}. Name the right folder with --data"
            " or CYAN_DATA."
        )
    if file.exists():
        raise BackupError(f"{file} exists already, and nothing is written over.")
    data, target = config.data.resolve(), file.resolve()
    if target.is_relative_to(data) and not target.is_relative_to(data / BACKUPS_FOLDER):
        raise BackupError(
            f"{file} would lie in the data folder, and be lost with it. Name a place elsewhere."
        )
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as workshop:
            copy = Path(workshop) / config.database_path.name
            copy_database(config.database_path, copy)
            forget_the_moment(copy)
            made = Path(workshop) / file.name
            manifest = _write(config, copy, made)
            made.rename(file)
            _sync_folder(file.parent)
    except OSError as error:
        place = error.filename or file
        raise BackupError(f"{place} cannot be read or written: {error.strerror}.") from error
    return manifest


def told_size(path: Path) -> str:
    """The size of a file for people."""
    return f"{path.stat().st_size / 2**20:.1f} MiB"


def _write(config: Config, copy: Path, made: Path) -> Manifest:
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        writer = Writer(file)
        writer.add(config.database_path.name, copy)
        # After the database: what it has sealed opens with a key that is there by then.
        for path in _lasting_files(config):
            try:
                writer.add(path.relative_to(config.data).as_posix(), path)
            except FileNotFoundError:
                continue  # removed meanwhile, as old mail is
        schema = migrate.current(copy)
        assert schema is not None
        manifest = writer.finish(
            version=__version__, schema=schema, created_at_ms=SystemClock().now_ms()
        )
        file.flush()
        os.fsync(file.fileno())
    return manifest


def _lasting_files(config: Config) -> Iterator[Path]:
    """Every file of the data folder but the database, what belongs to running processes, and
    backups. Of simulated devices only the seed: their sessions are as mortal as the server's."""
    for folder, below, names in os.walk(config.data):
        here = Path(folder)
        if here == config.data:
            below[:] = [name for name in below if name != BACKUPS_FOLDER]
            names = [name for name in names if not _is_passing(config, name)]
        if here == config.data / _SIM_FOLDER:
            names = [name for name in names if name == _SEED_FILE]
        below.sort()
        for path in (here / name for name in sorted(names)):
            if path.suffix != _UNFINISHED and path.is_file():
                yield path


def _is_passing(config: Config, name: str) -> bool:
    """The database with its companions, which is copied apart, and the lock."""
    return name == LOCK_FILE or name.startswith(config.database_path.name)


def _note(config: Config, file: Path, manifest: Manifest) -> None:
    db = Database(config.database_path)
    detail = {"file": str(file), "files": len(manifest.files), "schema": manifest.schema}
    try:
        db.write_blocking(
            lambda connection: record(
                connection,
                OPERATOR,
                "server.backed_up",
                "server",
                detail,
                at_ms=manifest.created_at_ms,
            )
        )
    finally:
        db.close()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
