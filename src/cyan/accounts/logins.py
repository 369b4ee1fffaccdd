"""Proving who one is: by password, and by one-time code where that is on; guesses are counted."""

from cyan.accounts.lockout import Lockout
from cyan.accounts.model import MAX_PASSWORD_CHARACTERS, User
from cyan.accounts.people import People
from cyan.accounts.secondfactor import SecondFactors
from cyan.core.ids import UserId

MAX_CODES_IN_A_ROW = 10
"""Wrong one-time codes of an account, whose guesser has its password: at 3 valid codes of a million
and 10 tries in half an hour, a day of guessing succeeds once in 700."""


class Logins:
    """Every check of a password or code that a caller sends goes through here.

    All raise LockedOutError and BusyAddressError (`lockout.py`), and TooManyLoginsError. Unknown
    names and wrong passwords take as long and count alike.
    """

    def __init__(self, people: People, second_factors: SecondFactors, lockout: Lockout) -> None:
        self._people = people
        self._second_factors = second_factors
        self._lockout = lockout

    async def by_password(self, username: str, password: str, host: str) -> tuple[User, str] | None:
        """The account and the hash that was checked. When it has a second factor, `by_code` must
        follow, and nothing counts as passed before."""
        with self._lockout.attempt(host, username) as attempt:
            found = None
            if len(password) <= MAX_PASSWORD_CHARACTERS:
                found = await self._people.by_password(username, password)
            if found is None:
                attempt.failed()
            elif not self._second_factors.is_on(found[0].id):
                attempt.passed()
            return found

    async def by_code(self, user: User, code: str, host: str) -> bool:
        """The second step, for an account whose password was right just before."""
        with self._lockout.attempt(host, _codes_of(user), MAX_CODES_IN_A_ROW) as attempt:
            right = await self._second_factors.uses(user.id, code)
            if right:
                attempt.passed()
            else:
                attempt.failed()
        if right:
            with self._lockout.attempt(host, user.username) as whole:
                whole.passed()
        return right

    async def by_both(self, username: str, password: str, code: str, host: str) -> User | None:
        """Password, and code if it is on, in one request (HTTP Basic and `?otp=`)."""
        found = await self.by_password(username, password, host)
        if found is None:
            return None
        if self._second_factors.is_on(found[0].id) and not await self.by_code(found[0], code, host):
            return None
        return found[0]

    async def is_password_of(self, user_id: UserId, password: str, host: str) -> bool:
        """Whether somebody who is logged in knows their password."""
        user = self._people.find(user_id)
        if user is None:
            return False
        with self._lockout.attempt(host, user.username) as attempt:
            found = None
            if len(password) <= MAX_PASSWORD_CHARACTERS:
                found = await self._people.by_password(user.username, password)
            if found is None:
                attempt.failed()
            else:
                attempt.passed()
            return found is not None

    def unblock(self, user_id: UserId) -> None:
        """Forget the failures of an account; the operator asked for it."""
        user = self._people.find(user_id)
        if user is not None:
            self._lockout.unblock(user.username)
            self._lockout.unblock(_codes_of(user))


def _codes_of(user: User) -> str:
    """Under what the codes of an account are counted; no username has a colon."""
    return f"user:{user.id}"
