"""Reads of one turn of the loop see one state; whoever has awaited a write sees it."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from cyan.core.db.engine import Database, Prepared

PATIENCE_S = 20

ALL = Prepared(text("SELECT word FROM words ORDER BY rowid"))


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Database]:
    """A database with one table."""
    database = Database(tmp_path / "words.db")
    database.write_blocking(lambda c: c.execute(text("CREATE TABLE words (word TEXT)")))
    yield database
    database.close()


def put(connection: Connection, word: str) -> None:
    connection.execute(text("INSERT INTO words (word) VALUES (:word)"), {"word": word})


def seen(database: Database) -> list[str]:
    return [word for (word,) in ALL.rows_of_turn(database, {})]


async def test_all_reads_of_a_turn_see_the_same(words: Database) -> None:
    assert seen(words) == []
    committed = threading.Event()
    words.submit(lambda c: put(c, "one"), lambda _result, _error: committed.set())
    assert committed.wait(PATIENCE_S)
    assert seen(words) == []
    assert [word for (word,) in ALL.rows(words, {})] == ["one"]
    await asyncio.sleep(0)
    assert seen(words) == ["one"]


async def test_whoever_has_awaited_a_write_sees_it(words: Database) -> None:
    async def write_and_read(word: str) -> None:
        seen(words)
        writing = asyncio.ensure_future(words.write(lambda c: put(c, word)))
        while not writing.done():
            seen(words)  # others read in each turn meanwhile
            await asyncio.sleep(0)
        assert word in seen(words)

    await asyncio.gather(*(write_and_read(str(n)) for n in range(50)))


async def test_so_does_who_has_waited_for_it_on_the_loop(words: Database) -> None:
    seen(words)
    words.write_blocking(lambda c: put(c, "one"))
    assert seen(words) == ["one"]
    await asyncio.sleep(0)
    assert seen(words) == ["one"]


async def test_no_transaction_is_open_between_turns(words: Database) -> None:
    """Else the log of the database could never begin anew."""
    await words.write(lambda c: put(c, "one"))
    seen(words)
    await asyncio.sleep(0)
    other = sqlite3.connect(words.path)
    busy, _pages, _moved = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert not busy


def test_without_a_loop_each_read_is_by_itself(words: Database) -> None:
    assert seen(words) == []
    words.write_blocking(lambda c: put(c, "one"))
    assert seen(words) == ["one"]


async def test_a_database_may_be_closed_in_the_middle_of_a_turn(words: Database) -> None:
    loop = asyncio.get_running_loop()
    failed: list[object] = []
    loop.set_exception_handler(lambda _loop, context: failed.append(context))
    seen(words)
    words.close()
    await asyncio.sleep(0)
    assert failed == []
