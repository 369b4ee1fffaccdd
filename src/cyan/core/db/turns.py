"""Short reads of one turn of the event loop, in one transaction.

A read by itself is a transaction of its own, and SQLite takes a lock of the operating system for
it and gives it back: a fifth of what it takes to read a device by its id. With many requests in a
turn they do it once.
"""

import asyncio
import sqlite3
import threading
from typing import Any


class TurnReader:
    """A connection whose reads all see the database as it was at the first one of their turn.

    Whoever has awaited a write sees it: the turn in which its commit is told begins after the end
    of any transaction that is older. What learns of commits in another way must not read here.
    """

    __slots__ = ("_cursor", "_driver", "_end_of_turn", "_thread")

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        self._cursor = driver.cursor()
        self._end_of_turn: asyncio.Handle | None = None
        self._thread = 0

    def rows(self, text: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """All rows of a short SELECT."""
        if not self._driver.in_transaction:
            self._begin()
        return self._cursor.execute(text, values).fetchall()

    def end_turn(self) -> None:
        """For who has waited for a commit in the middle of a turn: what follows sees it."""
        turn = self._end_of_turn
        if turn is not None and self._thread == threading.get_ident():
            turn.cancel()
            self._end()

    def close(self) -> None:
        if self._end_of_turn is not None:
            self._end_of_turn.cancel()
        self._driver.close()

    def _begin(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # a command, or a thread: there is no turn, so each read is by itself
        self._thread = threading.get_ident()
        self._driver.execute("BEGIN")
        self._end_of_turn = loop.call_soon(self._end)

    def _end(self) -> None:
        self._end_of_turn = None
        self._driver.execute("COMMIT")
