"""The people of the tests: Ada owns what there is, Cleo is a stranger, nobody has no token."""

from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher

from cyan.accounts.passwords import Passwords
from cyan.accounts.people import create_user
from cyan.accounts.tokens import issue_token
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import UserId
from tests.clock import HandClock


@dataclass(frozen=True, slots=True)
class Person:
    """An account with a token that works."""

    user_id: UserId
    username: str
    password: str
    token: str
    token_id: str

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.token)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everyone, in one database."""

    ada: Person
    cleo: Person
    operator: Person
    expired_token: str
    """A token of Ada's that ended a day before the cast was made."""


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def quick_passwords() -> Passwords:
    """Real argon2, at its lowest cost."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def make_cast(db: Database, clock: Clock, passwords: Passwords) -> Cast:
    ada = _person(db, clock, passwords, "ada@example.com", "ada's password")
    past = HandClock(clock.now() - timedelta(days=2))
    expired = issue_token(db, ada.user_id, "particle-cli", 24 * 3600, clock=past)
    return Cast(
        ada=ada,
        cleo=_person(db, clock, passwords, "cleo@example.com", "cleo's password"),
        operator=_person(db, clock, passwords, "root@example.com", "the operator's", operator=True),
        expired_token=expired.access_token,
    )


def _person(
    db: Database,
    clock: Clock,
    passwords: Passwords,
    username: str,
    password: str,
    *,
    operator: bool = False,
) -> Person:
    user_id = create_user(
        db, username, password, passwords=passwords, is_operator=operator, clock=clock
    )
    new = issue_token(db, user_id, "particle-cli", clock=clock)
    return Person(user_id, username, password, new.access_token, new.token.id)
