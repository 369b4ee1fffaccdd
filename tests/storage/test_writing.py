"""The writer: one commit for all that wait, each unit whole or not at all."""

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from cyan.core.db.engine import MAX_GROUP, Database, DatabaseClosedError
from cyan.core.errors import DiskFullError

ALL = text("SELECT word FROM words ORDER BY rowid")


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Database]:
    """A database with one table."""
    database = Database(tmp_path / "words.db")
    database.write_blocking(
        lambda c: c.execute(text("CREATE TABLE words (word TEXT UNIQUE, parent TEXT)"))
    )
    yield database
    database.close()


def put(connection: Connection, word: str) -> str:
    connection.execute(text("INSERT INTO words (word) VALUES (:word)"), {"word": word})
    return word


def all_words(database: Database) -> list[str]:
    return [row.word for row in database.rows(ALL)]


async def test_a_write_is_read_back_after_its_commit(words: Database) -> None:
    assert await words.write(lambda c: put(c, "one")) == "one"
    assert all_words(words) == ["one"]
    other = sqlite3.connect(words.path)
    assert other.execute("SELECT word FROM words").fetchall() == [("one",)]
    other.close()


async def test_what_waits_is_committed_together(words: Database) -> None:
    statements: list[str] = []
    begin, go = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(statements.append)
        begin.set()
        go.wait(10)

    held = asyncio.ensure_future(words.write(hold))
    await asyncio.to_thread(begin.wait, 10)
    writes = [
        asyncio.ensure_future(words.write(lambda c, n=n: put(c, str(n))))  # type: ignore[misc]
        for n in range(100)
    ]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(held, *writes)
    assert len(all_words(words)) == 100
    assert statements.count("COMMIT") == 2, "the one that was held, and all the others"


async def test_a_group_is_bounded_so_that_the_first_does_not_wait_for_a_crowd(
    words: Database,
) -> None:
    begin, go = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        begin.set()
        go.wait(10)

    words.submit(hold, lambda result, error: None)
    await asyncio.to_thread(begin.wait, 10)
    for number in range(MAX_GROUP):
        words.submit(lambda c, n=number: put(c, str(n)), lambda result, error: None)  # type: ignore[misc]
    last = asyncio.ensure_future(words.write(lambda c: len(all_words_of(words))))
    await asyncio.sleep(0)
    go.set()
    assert await last == MAX_GROUP, "the first group was on disk when the second began"


def all_words_of(database: Database) -> list[str]:
    """As another process sees them."""
    other = sqlite3.connect(database.path)
    found = [word for (word,) in other.execute("SELECT word FROM words")]
    other.close()
    return found


async def test_a_unit_that_fails_undoes_only_itself(words: Database) -> None:
    await words.write(lambda c: put(c, "there"))

    def fail_half_way(connection: Connection) -> None:
        put(connection, "half")
        put(connection, "there")

    good, bad, better = await asyncio.gather(
        words.write(lambda c: put(c, "good")),
        words.write(fail_half_way),
        words.write(lambda c: put(c, "better")),
        return_exceptions=True,
    )
    assert (good, better) == ("good", "better")
    assert isinstance(bad, IntegrityError)
    assert all_words(words) == ["there", "good", "better"]


async def test_a_commit_that_fails_is_told_to_every_unit_and_keeps_nothing(
    words: Database,
) -> None:
    await words.write(
        lambda c: c.execute(
            text(
                "CREATE TABLE children (parent TEXT REFERENCES words(word)"
                " DEFERRABLE INITIALLY DEFERRED)"
            )
        )
    )
    begin, go = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        begin.set()
        go.wait(10)

    held = asyncio.ensure_future(words.write(hold))
    await asyncio.to_thread(begin.wait, 10)
    orphan = text("INSERT INTO children VALUES ('nobody')")
    lost = [
        asyncio.ensure_future(words.write(lambda c: put(c, "innocent"))),
        asyncio.ensure_future(words.write(lambda c: c.execute(orphan))),
    ]
    await asyncio.sleep(0)
    go.set()
    await held
    outcomes = await asyncio.gather(*lost, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [sqlite3.IntegrityError] * 2
    assert all_words(words) == []
    assert await words.write(lambda c: put(c, "next")) == "next", "the writer goes on"


async def test_a_callback_that_fails_hurts_no_other(words: Database) -> None:
    def fail(result: object, error: BaseException | None) -> None:
        raise ValueError("broken on purpose")

    words.submit(lambda c: put(c, "one"), fail)
    assert await words.write(lambda c: put(c, "two")) == "two"
    assert all_words(words) == ["one", "two"]


async def test_callbacks_run_in_the_writer_in_the_order_of_submission(words: Database) -> None:
    names: list[str] = []
    for number in range(MAX_GROUP + 10):
        words.submit(
            lambda c: None,
            lambda r, e, n=number: names.append(f"{threading.current_thread().name} {n}"),  # type: ignore[misc]
        )
    await words.write(lambda c: None)
    assert names == [f"cyan-db-writer {number}" for number in range(MAX_GROUP + 10)]


def test_many_threads_write_at_the_same_time(words: Database) -> None:
    def write(thread: int) -> None:
        for number in range(50):
            words.write_blocking(lambda c, n=number: put(c, f"{thread}/{n}"))  # type: ignore[misc]

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(all_words(words)) == sorted(f"{t}/{n}" for t in range(8) for n in range(50))


async def test_a_waiter_that_gave_up_does_not_stop_its_write(words: Database) -> None:
    write = asyncio.ensure_future(words.write(lambda c: put(c, "one")))
    await asyncio.sleep(0)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    await words.write(lambda c: put(c, "two"))
    assert all_words(words) == ["one", "two"]


def test_closing_finishes_what_was_submitted(words: Database) -> None:
    done: list[BaseException | None] = []
    for number in range(20):
        words.submit(
            lambda c, n=number: put(c, str(n)),  # type: ignore[misc]
            lambda result, error: done.append(error),
        )
    words.close()
    assert done == [None] * 20
    other = sqlite3.connect(words.path)
    assert other.execute("SELECT count(*) FROM words").fetchone() == (20,)
    other.close()


async def test_a_closed_database_refuses_writes(words: Database) -> None:
    words.close()
    words.close()
    with pytest.raises(DatabaseClosedError):
        await words.write(lambda c: None)
    with pytest.raises(DatabaseClosedError):
        words.write_blocking(lambda c: None)


def test_no_write_hangs_when_the_database_closes_beside_it(words: Database) -> None:
    outcomes: list[str] = []

    def write() -> None:
        try:
            while True:
                words.write_blocking(lambda c: None)
        except DatabaseClosedError:
            outcomes.append("refused")

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    words.close()
    for thread in threads:
        thread.join(20)
    assert outcomes == ["refused"] * 6


async def test_another_process_that_writes_is_waited_for(words: Database) -> None:
    other = sqlite3.connect(words.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO words (word) VALUES ('theirs')")
    write = asyncio.ensure_future(words.write(lambda c: put(c, "ours")))
    await asyncio.sleep(0.05)
    assert not write.done()
    other.execute("COMMIT")
    assert await write == "ours"
    other.close()
    assert all_words(words) == ["theirs", "ours"]


def test_the_file_is_for_its_owner_only_and_writes_reach_the_disk(words: Database) -> None:
    assert stat.S_IMODE(words.path.stat().st_mode) == 0o600
    pragma = words.driver.execute
    assert pragma("PRAGMA journal_mode").fetchone() == ("wal",)
    settings = words.write_blocking(
        lambda c: [
            c.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "foreign_keys")
        ]
    )
    assert settings == [2, 1], "FULL, on"


def fill(connection: Connection) -> None:
    connection.execute(text("INSERT INTO words (word) VALUES (:word)"), {"word": "x" * 100_000})


def give_room(database: Database, pages: int) -> None:
    """Fewer than there are: those that there are."""
    database.write_blocking(lambda c: c.execute(text(f"PRAGMA max_page_count = {pages}")))


async def test_a_full_disk_is_told_as_such_and_changes_nothing(words: Database) -> None:
    give_room(words, 1)
    with pytest.raises(DiskFullError) as told:
        await words.write(fill)
    assert isinstance(told.value.__cause__, OperationalError)
    assert all_words(words) == []
    give_room(words, 1_000_000)
    assert await words.write(lambda c: put(c, "one")) == "one"


async def test_who_is_told_of_a_commit_has_it_on_a_full_disk_too(words: Database) -> None:
    give_room(words, 1)
    before, filled, after = await asyncio.gather(
        words.write(lambda c: put(c, "before")),
        words.write(fill),
        words.write(lambda c: put(c, "after")),
        return_exceptions=True,
    )
    assert isinstance(filled, DiskFullError)
    assert all_words(words) == [word for word in (before, after) if isinstance(word, str)]
