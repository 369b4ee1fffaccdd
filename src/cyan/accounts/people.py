"""Accounts: making them, listing them, their passwords, and who somebody is by password."""

from sqlalchemy import Connection

from cyan.accounts import proofstore, store, tokens
from cyan.accounts.model import (
    AccountDeletedError,
    UnknownUserError,
    User,
    UsernameTakenError,
    check_new_password,
    parse_username,
)
from cyan.accounts.passwords import Passwords
from cyan.audit.store import record
from cyan.core.clock import Clock, SystemClock
from cyan.core.db.engine import Database
from cyan.core.errors import InvalidError
from cyan.core.ids import UserId, new_object_id

OPERATOR = "operator"
"""The actor of what a command did, in the audit."""


class People:
    """Knows people by username and password."""

    def __init__(self, db: Database, passwords: Passwords) -> None:
        self._db = db
        self._passwords = passwords

    async def by_password(self, username: str, password: str) -> tuple[User, str] | None:
        """The account and the hash that was checked, or None; both take as long.

        Raises TooManyLoginsError.
        """
        try:
            found = store.find_user(self._db, parse_username(username))
        except InvalidError:
            found = None
        user, hashed = found or (None, None)
        right = await self._passwords.matches(hashed, password)
        return (user, hashed) if right and user is not None and hashed is not None else None

    def find(self, user_id: UserId) -> User | None:
        return store.find_user_by_id(self._db, user_id)

    def password_hash(self, user_id: UserId) -> str | None:
        return store.find_password_hash(self._db, user_id)


def require_account(connection: Connection, user_id: UserId) -> None:
    """For a transaction that gives an account something: it may have been deleted since the request
    was let in, and what is written then would be nobody's for ever. Raises AccountDeletedError."""
    if store.user_in(connection, user_id) is None:
        raise AccountDeletedError


def create_user(
    db: Database,
    username: str,
    password: str,
    *,
    passwords: Passwords | None = None,
    is_operator: bool = False,
    clock: Clock | None = None,
    actor: str = OPERATOR,
) -> UserId:
    """Make an account; waits for the hash and the commit (for commands and threads).

    Raises MalformedUsernameError, PasswordLengthError, UsernameTakenError.
    """
    name = parse_username(username)
    check_new_password(password)
    hashed = _hash(password, passwords)
    at_ms = (clock or SystemClock()).now_ms()
    user_id = UserId(new_object_id())

    def work(connection: Connection) -> None:
        if store.user_by_name(connection, name) is not None:
            raise UsernameTakenError
        store.add_user(connection, user_id, name, hashed, is_operator, at_ms)
        detail: dict[str, object] = {"username": name, "is_operator": is_operator}
        record(connection, actor, "user.created", f"user:{user_id}", detail, at_ms=at_ms)

    db.write_blocking(work)
    return user_id


def list_users(db: Database) -> list[User]:
    """All accounts, by username."""
    return store.list_users(db)


def find_user(db: Database, username: str) -> User | None:
    """The account with this username, in any spelling of case."""
    found = store.find_user(db, parse_username(username))
    return found[0] if found else None


def set_password(
    db: Database,
    username: str,
    password: str,
    *,
    passwords: Passwords | None = None,
    revoke_tokens: bool = False,
    clock: Clock | None = None,
    actor: str = OPERATOR,
) -> UserId:
    """Change a password; waits. Its tokens go on working unless `revoke_tokens`.

    Raises MalformedUsernameError, PasswordLengthError, UnknownUserError.
    """
    name = parse_username(username)
    check_new_password(password)
    hashed = _hash(password, passwords)
    at_ms = (clock or SystemClock()).now_ms()

    def work(connection: Connection) -> UserId:
        user = store.user_by_name(connection, name)
        if user is None:
            raise UnknownUserError
        store.set_password(connection, user.id, hashed, at_ms)
        proofstore.delete_reset(connection, user.id)
        record(connection, actor, "user.password_changed", f"user:{user.id}", at_ms=at_ms)
        if revoke_tokens:
            tokens.revoke_in(connection, store.of_user(connection, user.id), actor, at_ms)
        return user.id

    return db.write_blocking(work)


def _hash(password: str, passwords: Passwords | None) -> str:
    if passwords is not None:
        return passwords.hash_blocking(password)
    own = Passwords()
    try:
        return own.hash_blocking(password)
    finally:
        own.close()
