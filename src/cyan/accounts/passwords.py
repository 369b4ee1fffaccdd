"""Hashing passwords: argon2id in threads of its own, so that the event loop never waits for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cyan.core.errors import CyanError

WORKERS = 2
"""Hashes at a time. Each takes 64 MiB and 50 to 100 ms of a core (RFC 9106 §4, second choice)."""

MAX_WAITING = 64
"""Logins that may wait for a worker; more are refused, or a flood of them would take the memory and
make everyone wait for minutes."""


class TooManyLoginsError(CyanError):
    """Too many logins are waiting. Try again in a moment."""


class Passwords:
    """Makes and checks password hashes. `close` when done."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="cyan-passwords")
        self._waiting = 0
        self._nobodys = self._hasher.hash("the password of no account")

    def hash_blocking(self, password: str) -> str:
        return self._hasher.hash(password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one behind `stored`.

        None (no such account, or one without password) never matches, but takes as long, so that
        the time does not tell who has an account. Raises TooManyLoginsError.
        """
        if self._waiting >= MAX_WAITING:
            raise TooManyLoginsError
        self._waiting += 1
        try:
            right = await asyncio.get_running_loop().run_in_executor(
                self._pool, self._verify, stored or self._nobodys, password
            )
        finally:
            self._waiting -= 1
        return right and stored is not None

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
