"""The database: whole, of the version that this program knows, and free to be written."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from cyan.cli.doctoring import store
from cyan.cli.doctoring.finding import Finding, counted, ok, problem, shown_bytes, warning
from cyan.cli.doctoring.installation import Installation
from cyan.core.db import migrate
from cyan.core.db.engine import WAL_AUTOCHECKPOINT_PAGES, Database

LOCK_WAIT_S: Final = 2.0
"""For the writer's place. The server's own writes take milliseconds."""

CHECK_WITHIN_S: Final = 30.0
"""For reading the whole file through; what a check has not seen by then, it leaves."""

_STEPS_BETWEEN_LOOKS: Final = 100_000
"""Of SQLite's machine, between two looks at the clock: some milliseconds."""

CROWDED_SESSIONS: Final = 0.9
"""Of max_sessions: time to do something before devices are turned away."""

_FAULTS_SHOWN: Final = 3

_PAGE_BYTES: Final = 4096
LARGE_WAL_BYTES: Final = 8 * WAL_AUTOCHECKPOINT_PAGES * _PAGE_BYTES
"""The log of changes is emptied into the database each 16 MiB. When it has grown to a multiple of
that, some reader keeps it from being emptied."""


def check_file(installation: Installation) -> Iterator[Finding]:
    """It is there, may be read and written, and has the schema of this version."""
    path = installation.config.database_path.absolute()
    if not installation.is_open_to_us:
        return
    if path.exists() and not _is_ours(path):
        yield problem(
            "database.rights",
            f"{path} may not be read and written by this user.",
            "Run every command as the user that serves; see the data folder's owner above.",
        )
        return
    try:
        migrate.check(path)
    except migrate.NotADatabaseError:
        yield problem(
            "database.schema",
            f"{path} is no SQLite database, or damaged at its beginning.",
            "Stop the server, keep a copy of the whole folder, and bring back the last backup.",
        )
    except migrate.SchemaMissingError:
        yield problem(
            "database.schema",
            f"there is no database in {path.parent}.",
            "Name the right folder with --data or CYAN_DATA; for a new server, `cyan migrate`.",
        )
    except migrate.SchemaOldError:
        yield problem(
            "database.schema",
            f"{path} has the schema {migrate.current(path)}; this version needs {migrate.head()}.",
            "Stop the server, then `cyan upgrade`: it makes a backup first.",
        )
    except migrate.SchemaUnknownError:
        yield problem(
            "database.schema",
            f"{path} has the schema {migrate.current(path)}, which this version does not know: a "
            "newer one has been here.",
            "Use that newer version again, or the backup from before it.",
        )
    else:
        size = shown_bytes(path.stat().st_size)
        yield ok("database.schema", f"schema {migrate.head()}, {size}")


def check_integrity(installation: Installation) -> Iterator[Finding]:
    """What SQLite finds when it reads the whole file through."""
    path = installation.config.database_path
    if not _is_database(path):
        return
    deadline = time.monotonic() + CHECK_WITHIN_S
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_S)) as connection:
            connection.set_progress_handler(
                lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS
            )
            rows = connection.execute(f"PRAGMA quick_check({_FAULTS_SHOWN})").fetchall()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        yield ok("database.integrity", f"looked through for {CHECK_WITHIN_S:.0f} s, not to the end")
        return
    except sqlite3.DatabaseError as error:
        rows = [(str(error),)]
    faults = [str(row[0]) for row in rows if row[0] != "ok"]
    if faults:
        told = " ".join("; ".join(faults).split())
        yield problem(
            "database.integrity",
            f"{path.absolute()} is damaged: {told}.",
            "Stop the server, keep a copy of the whole folder, and bring back the last backup; "
            "without one, `sqlite3 cyan.db .recover` saves what can be read. Then look after the "
            "disk.",
        )
    else:
        yield ok("database.integrity", "SQLite finds no damage")


def check_writer(installation: Installation) -> Iterator[Finding]:
    """Nobody sits in the writer's place."""
    path = installation.config.database_path
    if not _is_database(path) or not _is_ours(path):
        return
    uri = f"{path.absolute().as_uri()}?mode=rw"
    try:
        with closing(
            sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_S, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        yield problem(
            "database.locked",
            f"another program has held {path.absolute()} for writing for {LOCK_WAIT_S:.0f} s or "
            "more; meanwhile the server can keep nothing.",
            f"`fuser -v {path.absolute()}` shows who has it open: end an open sqlite3 shell or "
            "copying program there.",
        )
    else:
        yield ok("database.locked", "nobody holds it for writing")


def check_wal(installation: Installation) -> Iterator[Finding]:
    """The log of changes is emptied into the database from time to time."""
    path = installation.config.database_path.absolute()
    if not installation.is_open_to_us:
        return
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size > LARGE_WAL_BYTES:
        yield warning(
            "database.wal",
            f"{wal} has grown to {shown_bytes(size)}: a program that reads the database all the "
            "time keeps it from being emptied, or the last server was killed.",
            f"`fuser -v {path}` shows who has it open. If that is the server alone, restart it.",
        )


def check_contents(installation: Installation) -> Iterator[Finding]:
    """How much there is, and whether anybody can use it."""
    if not is_current(installation):
        return
    with closing(Database(installation.config.database_path)) as db:
        counts = store.count_all(db)
    shown = [
        counted(counts.accounts, "account"),
        counted(counts.devices, "device"),
        counted(counts.sessions, "session"),
        f"about {counted(counts.events, 'event')}",
    ]
    yield ok("database.contents", ", ".join(shown))
    most = installation.config.max_sessions
    if counts.sessions >= CROWDED_SESSIONS * most:
        yield warning(
            "database.sessions",
            f"{counted(counts.sessions, 'session')} of at most {most:,} are taken. When all are, "
            "no other device gets in.",
            "Raise max_sessions; a session takes about 5 kB of memory.",
        )
    if counts.accounts == 0:
        yield warning(
            "database.accounts", "nobody can log in: there is no account.", "`cyan user add <name>`"
        )


def is_current(installation: Installation) -> bool:
    """Whether the database can be used as the other commands use it."""
    path = installation.config.database_path
    if not _is_database(path) or not _is_ours(path):
        return False
    try:
        migrate.check(path)
    except (migrate.SchemaOldError, migrate.SchemaUnknownError, migrate.NotADatabaseError):
        return False
    return True


def _is_ours(path: Path) -> bool:
    """Whether this user may read and write it."""
    return os.access(path, os.R_OK | os.W_OK, effective_ids=True)


def _is_database(path: Path) -> bool:
    """Whether the file can be opened and begins as SQLite's do."""
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False
