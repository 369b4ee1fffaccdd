"""Hashing passwords: argon2id in threads of its own, so that the event loop never waits for it."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cyan.core.errors import CyanError

WORKERS = 2
"""Hashes at a time. Each takes 64 MiB and 50 to 100 ms of a core (RFC 9106 §4, second choice)."""

MAX_WAITING = 64
"""Logins that may wait for a worker; more are refused, or a flood of them would take the memory and
make everyone wait for minutes."""


NICENESS: Final = 5
"""Of the hashing threads and those that argon2 makes for itself: when the machine is busy, the loop
with its devices goes first. Linux keeps niceness by thread."""

T = TypeVar("T")


class TooManyLoginsError(CyanError):
    """Too many logins are waiting. Try again in a moment."""

    wait_s = 5.0


class Passwords:
    """Makes and checks password hashes. `close` when done."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._pool = ThreadPoolExecutor(
            WORKERS, thread_name_prefix="cyan-passwords", initializer=_give_way
        )
        self._waiting = 0
        self._nobodys = self._hasher.hash("the password of no account")

    def hash_blocking(self, password: str) -> str:
        return self._hasher.hash(password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one behind `stored`.

        None (no such account, or one without password) never matches, but takes as long, so that
        the time does not tell who has an account. Raises TooManyLoginsError.
        """
        checked = stored or self._nobodys
        right = await self._in_turn(lambda: self._verify(checked, password))
        return right and stored is not None

    async def hash(self, password: str) -> str:
        """What is stored of a new password. Raises TooManyLoginsError."""
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise TooManyLoginsError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


def _give_way() -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
