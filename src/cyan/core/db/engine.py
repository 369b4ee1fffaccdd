"""SQLite with one writer thread and group commit.

Writes are functions of a connection; the writer takes all that wait, runs them in one transaction
and commits once (synchronous=FULL: when a write is done, it is on disk). When one of them fails,
all run again, each in a savepoint: so a write is run twice at times, and has no effect but on the
connection.

Reads are short and run where they are called, on a connection of their own (6 µs for a point read,
where a thread hop would make it 55; performance-floors.md §4.2).
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import ClauseElement, Connection, Executable, Row, create_engine
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.compiler import SQLCompiler

from cyan.core.db.turns import TurnReader
from cyan.core.errors import DiskFullError

T = TypeVar("T")
Work = Callable[[Connection], T]
Done = Callable[[Any, BaseException | None], None]
Outcome = tuple[Done, Any, BaseException | None]

MAX_GROUP = 512
"""Units in one commit at most, so that the first one does not wait for a crowd."""

GROUP_INTERVAL_S = 0.004
"""Least time from one commit's start to the next one's. A commit costs a few hundred microseconds
and some switches of threads, however small it is; a lone write after a pause does not wait."""

BUSY_TIMEOUT_S = 10.0
"""How long SQLite waits for another process's lock: `cyan user add` beside a running server."""

OTHERS_COUNT_WITHIN_S = 0.05
"""How often it is asked whether another process has written: twenty times a second cost nothing."""

WRITER_CACHE_KIB = 8 * 1024
READER_CACHE_KIB = 32 * 1024
"""Of the writer, and of each of two readers, as far as there is so much to keep. The system's own
cache of the file is behind them; to ask it for the two pages of a device costs half as much as to
read the device."""

WAL_AUTOCHECKPOINT_PAGES = 4000
"""16 MiB of log between checkpoints: fewer fsyncs of the main file, still a quick start."""

_log = structlog.get_logger(__name__)


class DatabaseClosedError(RuntimeError):
    """The database was closed before this write could run."""


def _connect(path: Path, cache_kib: int = WRITER_CACHE_KIB) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size=-{cache_kib}")
    connection.execute(f"PRAGMA wal_autocheckpoint={WAL_AUTOCHECKPOINT_PAGES}")
    return connection


class Prepared:
    """A statement for hot paths: compiled once, run by the driver (4 µs; by SQLAlchemy 25).

    Values go to SQLite as they are, and come back as they are (a boolean as 0 or 1).
    """

    __slots__ = ("_text", "_values")

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=dialect(paramstyle="qmark"))
        assert isinstance(compiled, SQLCompiler)
        self._text = str(compiled)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        self._values = _picker(compiled.positiontup or (), constants)

    def run(self, connection: Connection, parameters: dict[str, Any]) -> sqlite3.Cursor:
        """Inside a unit of the writer; the cursor has the rows, or how many were changed."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver.execute(self._text, self._values(parameters))

    def rows(self, database: "Database", parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of a short SELECT, on the loop, as last committed."""
        return database.driver.execute(self._text, self._values(parameters)).fetchall()

    def rows_of_turn(
        self, database: "Database", parameters: dict[str, Any]
    ) -> list[tuple[Any, ...]]:
        """As `rows`, as committed at the first such read of this turn of the loop."""
        return database.turn.rows(self._text, self._values(parameters))

    def each(self, database: "Database", parameters: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """The rows of a long SELECT one by one, so that they are never in memory all at once."""
        yield from database.driver.execute(self._text, self._values(parameters))


def _picker(
    names: Sequence[str], constants: dict[str, Any]
) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Puts parameters into the order of the question marks: the driver looks for each name anew."""
    if constants:
        pick = _picker(names, {})
        return lambda parameters: pick({**constants, **parameters})
    if len(names) > 1:
        return itemgetter(*names)
    return lambda parameters: tuple(parameters[name] for name in names)


class Database:
    """The server's database file. `close` waits for what was submitted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch(mode=0o600, exist_ok=True)
        self._write_engine = create_engine(
            "sqlite://", creator=lambda: _connect(path), poolclass=StaticPool
        )
        self._read_engine = create_engine(
            "sqlite://", creator=lambda: _connect(path, READER_CACHE_KIB), poolclass=StaticPool
        )
        self._reader = self._read_engine.connect()
        driver = self._reader.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self.driver: Final = driver
        """The reader's own connection, for hand-written SQL on hot paths. Reads only."""
        self.turn: Final = TurnReader(_connect(path, READER_CACHE_KIB))
        self._queue: queue.SimpleQueue[tuple[Work[Any], Done] | None] = queue.SimpleQueue()
        self._commits = 0
        self._others = 0
        self._ask_again_at_s = 0.0
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._write_loop, name="cyan-db-writer", daemon=True)
        self._thread.start()

    def rows(
        self, statement: Executable, parameters: dict[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """All rows of a short SELECT, as last committed."""
        # SQLAlchemy believes in a transaction from the first statement on; there is none, because
        # the driver commits by itself. Ending it after each read would double the read's cost.
        return self._reader.execute(statement, parameters).fetchall()

    def row(
        self, statement: Executable, parameters: dict[str, Any] | None = None
    ) -> Row[Any] | None:
        """The first row of a short SELECT, or None."""
        found = self.rows(statement, parameters)
        return found[0] if found else None

    def version(self) -> tuple[int, int]:
        """Another one after each commit: what was read under a version is so while it is the same.

        A commit of this process counts before it is answered, one of another process, such as a
        command's, at most OTHERS_COUNT_WITHIN_S later. To ask SQLite each time would cost 2 µs.
        """
        now_s = time.monotonic()
        if now_s >= self._ask_again_at_s:
            self._ask_again_at_s = now_s + OTHERS_COUNT_WITHIN_S
            self._others = self.driver.execute("PRAGMA data_version").fetchone()[0]
        return self._commits, self._others

    def submit(self, work: Work[T], done: Callable[[T | None, BaseException | None], None]) -> None:
        """Run `work` in the writer; call `done(result, error)` in the WRITER THREAD afterwards.

        For hot paths, which hand over many rows as one unit and go back to the loop by themselves.
        """
        with self._closing:
            is_open = not self._closed
            if is_open:
                self._queue.put((work, done))
        if not is_open:
            done(None, DatabaseClosedError())

    def write_blocking(self, work: Work[T]) -> T:
        """Run `work` and wait for its commit: for commands and worker threads, not for the loop."""
        future: Future[T] = Future()
        self.submit(work, lambda result, error: _settle(future, result, error))
        try:
            return future.result()
        finally:
            self.turn.end_turn()

    async def write(self, work: Work[T]) -> T:
        """Run `work` in the writer; its result after the commit. Its error undoes only it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def done(result: T | None, error: BaseException | None) -> None:
            loop.call_soon_threadsafe(_settle_unless_done, future, result, error)

        self.submit(work, done)
        return await future

    def close(self) -> None:
        """Finish what was submitted, then close the file."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self.turn.close()
        self._reader.close()
        self._read_engine.dispose()
        self._write_engine.dispose()

    def _write_loop(self) -> None:
        with self._write_engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            going, not_before = True, 0.0
            while going:
                units: list[tuple[Work[Any], Done]] = []
                first = self._queue.get()
                wait_s = not_before - time.monotonic()
                if wait_s > 0 and first is not None:
                    time.sleep(wait_s)
                not_before = time.monotonic() + GROUP_INTERVAL_S
                while first is not None:
                    units.append(first)
                    if len(units) == MAX_GROUP or self._queue.empty():
                        break
                    first = self._queue.get()
                if first is None:
                    going = False
                if units:
                    self._commit_group(connection, driver, units)

    def _commit_group(
        self,
        connection: Connection,
        driver: sqlite3.Connection,
        units: list[tuple[Work[Any], Done]],
    ) -> None:
        outcomes: list[Outcome]
        try:
            try:
                outcomes = self._run_together(connection, driver, units)
            except _UnitFailedError:
                if driver.in_transaction:  # where the disk is full SQLite has ended it itself
                    driver.execute("ROLLBACK")
                outcomes = self._run_apart(connection, driver, units)
        except BaseException as lost:
            _log.exception("db.commit_failed", units=len(units))
            outcomes = [(done, None, lost) for _, done in units]
            # This thread must go on whatever the disk does: everyone waits for it.
            with contextlib.suppress(sqlite3.Error):
                if driver.in_transaction:
                    driver.execute("ROLLBACK")
        # SQLAlchemy counts a transaction of its own around ours; end it, without a statement.
        with contextlib.suppress(Exception):
            connection.rollback()
        self._commits += 1
        for done, result, error in outcomes:
            try:
                done(result, error and _told(error))
            except BaseException:
                _log.exception("db.completion_failed")

    @staticmethod
    def _run_together(
        connection: Connection, driver: sqlite3.Connection, units: list[tuple[Work[Any], Done]]
    ) -> list["Outcome"]:
        """All units without savepoints, which would be two more steps for each of them, and at each
        step this thread waits for the interpreter lock. Raises _UnitFailedError."""
        driver.execute("BEGIN IMMEDIATE")
        try:
            outcomes: list[Outcome] = [(done, work(connection), None) for work, done in units]
        except BaseException as failure:
            raise _UnitFailedError from failure
        driver.execute("COMMIT")
        return outcomes

    @staticmethod
    def _run_apart(
        connection: Connection, driver: sqlite3.Connection, units: list[tuple[Work[Any], Done]]
    ) -> list["Outcome"]:
        """The same, where one of them fails: each in a savepoint, so that it undoes only itself."""
        outcomes: list[Outcome] = []
        driver.execute("BEGIN IMMEDIATE")
        for work, done in units:
            driver.execute("SAVEPOINT unit")
            try:
                outcomes.append((done, work(connection), None))
            except BaseException as failure:
                if not driver.in_transaction:
                    raise  # and with it went what the units before had done
                driver.execute("ROLLBACK TO unit")
                outcomes.append((done, None, failure))
            driver.execute("RELEASE unit")
        driver.execute("COMMIT")
        return outcomes


def _told(error: BaseException) -> BaseException:
    """A full disk as something that people can be told; all else as it is."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode == sqlite3.SQLITE_FULL:
        full = DiskFullError()
        full.__cause__ = error
        return full
    return error


class _UnitFailedError(Exception):
    """A unit of a group failed; nothing of the group is committed yet."""


def _settle(future: Future[T], result: T | None, error: BaseException | None) -> None:
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]


def _settle_unless_done(
    future: "asyncio.Future[T]", result: T | None, error: BaseException | None
) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]
