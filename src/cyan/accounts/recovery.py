"""What the operator does for people who cannot get in: second factor off, block lifted."""

from sqlalchemy import Connection

from cyan.accounts import store
from cyan.accounts.model import UnknownUserError, User, parse_username
from cyan.accounts.secondfactor import disable_in
from cyan.audit.store import OPERATOR, record
from cyan.core.clock import Clock
from cyan.core.db.engine import Database


def turn_second_factor_off(db: Database, clock: Clock, username: str) -> bool:
    """Whether it was on; waits. Raises MalformedUsernameError, UnknownUserError."""
    name, at_ms = parse_username(username), clock.now_ms()
    return db.write_blocking(
        lambda connection: disable_in(connection, _user(connection, name).id, OPERATOR, at_ms)
    )


def unlock(db: Database, clock: Clock, username: str) -> None:
    """Ask the running server, by an audit entry, to forget an account's failed logins; waits.

    Raises MalformedUsernameError, UnknownUserError.
    """
    name, at_ms = parse_username(username), clock.now_ms()

    def work(connection: Connection) -> None:
        subject = f"user:{_user(connection, name).id}"
        record(connection, OPERATOR, "user.unlocked", subject, at_ms=at_ms)

    db.write_blocking(work)


def _user(connection: Connection, username: str) -> User:
    user = store.user_by_name(connection, username)
    if user is None:
        raise UnknownUserError
    return user
