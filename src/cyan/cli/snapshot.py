"""A copy of the database of one moment, and what of that moment must not come back."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from cyan.core.db.engine import BUSY_TIMEOUT_S
from cyan.core.errors import CyanError

SESSION_TABLES: Final = ("gateway_session", "gateway_journal")
"""Sessions of devices. Gone on with from an older state, they would use numbers again that were
used with the same keys, and take a device's old records for new ones (docs/protocol/sessions.md).
"""

CURSOR_KEY: Final = ("events_secret", "cursor")
"""Table and name of the key of cursors. The log gives out positions again that were given out after
the copy was made: readers who hold such a cursor have to begin anew (docs/decisions/0005)."""

MAX_FAULTS: Final = 5
"""Of a damaged database that are told."""


class DatabaseDamagedError(CyanError):
    """The database is damaged."""


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy in one new file, 0600; a running server goes on writing meanwhile.

    Raises DatabaseDamagedError, and OSError when the file cannot be made.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        contextlib.closing(sqlite3.connect(source, timeout=BUSY_TIMEOUT_S)) as live,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        try:
            # In one step, which is one read transaction: in steps it would begin anew with each
            # commit of the server.
            live.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise DatabaseDamagedError(f"{source} cannot be copied: {error}.") from error
        _refuse_damaged(source, copy, "PRAGMA quick_check")


def forget_the_moment(path: Path) -> None:
    """Take out of a copy what must not be gone on with. Sealed keys are overwritten, too."""
    with contextlib.closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA secure_delete=ON")
        there = {
            str(name)
            for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type='table'")
        }
        with copy:
            for table in SESSION_TABLES:
                if table in there:
                    copy.execute(f"DELETE FROM {table}")  # noqa: S608  (a name of ours)
            table, name = CURSOR_KEY
            if table in there:
                copy.execute(f"DELETE FROM {table} WHERE name = ?", (name,))  # noqa: S608


def examine(path: Path) -> None:
    """Look at every page, index and reference. Raises DatabaseDamagedError."""
    with contextlib.closing(sqlite3.connect(path)) as copy:
        _refuse_damaged(path, copy, "PRAGMA integrity_check")
        astray = copy.execute("PRAGMA foreign_key_check").fetchmany(MAX_FAULTS)
    if astray:
        tables = ", ".join(sorted({str(row[0]) for row in astray}))
        raise DatabaseDamagedError(f"{path} has rows that refer to none: in {tables}.")


def _refuse_damaged(path: Path, connection: sqlite3.Connection, check: str) -> None:
    try:
        faults = [str(row[0]) for row in connection.execute(check).fetchmany(MAX_FAULTS)]
    except sqlite3.DatabaseError as error:
        faults = [str(error)]
    if faults != ["ok"]:
        told = " ".join("; ".join(faults).split())  # SQLite writes several lines
        raise DatabaseDamagedError(f"{path} is damaged: {told}.")
