"""The SQL of accounts: users and their tokens."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Row,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from cyan.accounts.model import Token, User
from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata
from cyan.core.ids import UserId

users = Table(
    "accounts_user",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("username", String(254), nullable=False, unique=True),
    Column("password_hash", String(255)),
    Column("is_operator", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("password_changed_at_ms", BigInteger),
)

tokens = Table(
    "accounts_token",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("user_id", String(24), ForeignKey("accounts_user.id"), nullable=False, index=True),
    Column("client_id", String(64), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("refresh_sha256", LargeBinary(32), unique=True),
    Column("refresh_expires_at_ms", BigInteger),
)

_USER_COLUMNS = (
    users.c.id,
    users.c.username,
    users.c.is_operator,
    users.c.password_hash,
    users.c.created_at_ms,
)
_TOKEN_COLUMNS = (
    tokens.c.id,
    tokens.c.user_id,
    tokens.c.client_id,
    tokens.c.created_at_ms,
    tokens.c.expires_at_ms,
)

_USER_BY_NAME = select(*_USER_COLUMNS).where(users.c.username == bindparam("username"))
_USER_BY_ID = select(*_USER_COLUMNS).where(users.c.id == bindparam("user_id"))
_ALL_USERS = select(*_USER_COLUMNS).order_by(users.c.username)
_PASSWORD_HASH = select(users.c.password_hash).where(users.c.id == bindparam("user_id"))
_SET_PASSWORD = (
    update(users)
    .where(users.c.id == bindparam("of"))
    .values(password_hash=bindparam("hash"), password_changed_at_ms=bindparam("at_ms"))
)

_LIVING = (tokens.c.expires_at_ms.is_(None)) | (tokens.c.expires_at_ms > bindparam("now_ms"))
_LIVING_OF_USER = (
    select(*_TOKEN_COLUMNS)
    .where(tokens.c.user_id == bindparam("user_id"), _LIVING)
    .order_by(tokens.c.created_at_ms, tokens.c.id)
)
_COUNT_LIVING = (
    select(func.count())
    .select_from(tokens)
    .where(tokens.c.user_id == bindparam("user_id"), _LIVING)
)
_BY_SHA256 = select(*_TOKEN_COLUMNS).where(tokens.c.sha256 == bindparam("sha256"))
_BY_REFRESH = select(*_TOKEN_COLUMNS, tokens.c.refresh_expires_at_ms).where(
    tokens.c.refresh_sha256 == bindparam("sha256")
)
_OF_USER = select(*_TOKEN_COLUMNS).where(tokens.c.user_id == bindparam("user_id"))
_DELETE_TOKEN = delete(tokens).where(tokens.c.id == bindparam("token_id"))
_DELETE_ENDED = delete(tokens).where(
    tokens.c.user_id == bindparam("user_id"), tokens.c.expires_at_ms < bindparam("before_ms")
)

AUTHENTICATE = (
    "SELECT t.user_id, u.username, t.id, t.client_id, t.expires_at_ms, u.is_operator"
    " FROM accounts_token t JOIN accounts_user u ON u.id = t.user_id WHERE t.sha256 = ?"
)
"""The read of every request, hand-written: 6 µs on the loop (performance-floors.md §4.2)."""


def find_user(db: Database, username: str) -> tuple[User, str | None] | None:
    """The account and its password hash."""
    row = db.row(_USER_BY_NAME, {"username": username})
    return None if row is None else (_user(row), row.password_hash)


def find_user_by_id(db: Database, user_id: UserId) -> User | None:
    row = db.row(_USER_BY_ID, {"user_id": user_id})
    return None if row is None else _user(row)


def list_users(db: Database) -> list[User]:
    return [_user(row) for row in db.rows(_ALL_USERS)]


def user_by_name(connection: Connection, username: str) -> User | None:
    """As `find_user`, inside a transaction."""
    row = connection.execute(_USER_BY_NAME, {"username": username}).first()
    return None if row is None else _user(row)


def add_user(
    connection: Connection,
    user_id: UserId,
    username: str,
    password_hash: str | None,
    is_operator: bool,
    at_ms: int,
) -> None:
    connection.execute(
        insert(users),
        {
            "id": user_id,
            "username": username,
            "password_hash": password_hash,
            "is_operator": is_operator,
            "created_at_ms": at_ms,
            "password_changed_at_ms": at_ms,
        },
    )


def password_hash(connection: Connection, user_id: UserId) -> str | None:
    found: str | None = connection.execute(_PASSWORD_HASH, {"user_id": user_id}).scalar()
    return found


def set_password(connection: Connection, user_id: UserId, hashed: str, at_ms: int) -> None:
    connection.execute(_SET_PASSWORD, {"of": user_id, "hash": hashed, "at_ms": at_ms})


def add_token(
    connection: Connection,
    token: Token,
    sha256: bytes,
    refresh_sha256: bytes,
    refresh_expires_at_ms: int,
) -> None:
    connection.execute(
        insert(tokens),
        {
            "id": token.id,
            "sha256": sha256,
            "user_id": token.user_id,
            "client_id": token.client_id,
            "created_at_ms": token.created_at_ms,
            "expires_at_ms": token.expires_at_ms,
            "refresh_sha256": refresh_sha256,
            "refresh_expires_at_ms": refresh_expires_at_ms,
        },
    )


def list_living(db: Database, user_id: UserId, now_ms: int) -> list[Token]:
    """The tokens of a user that still work, oldest first."""
    return [_token(row) for row in db.rows(_LIVING_OF_USER, {"user_id": user_id, "now_ms": now_ms})]


def count_living(connection: Connection, user_id: UserId, now_ms: int) -> int:
    parameters = {"user_id": user_id, "now_ms": now_ms}
    return int(connection.execute(_COUNT_LIVING, parameters).scalar_one())


def by_sha256(connection: Connection, sha256: bytes) -> Token | None:
    row = connection.execute(_BY_SHA256, {"sha256": sha256}).first()
    return None if row is None else _token(row)


def by_refresh_sha256(connection: Connection, sha256: bytes) -> tuple[Token, int] | None:
    """The token that this refresh token renews, and until when it can."""
    row = connection.execute(_BY_REFRESH, {"sha256": sha256}).first()
    return None if row is None else (_token(row), row.refresh_expires_at_ms)


def of_user(connection: Connection, user_id: UserId) -> list[Token]:
    """All tokens of a user, ended ones too."""
    return [_token(row) for row in connection.execute(_OF_USER, {"user_id": user_id})]


def delete_token(connection: Connection, token_id: str) -> None:
    connection.execute(_DELETE_TOKEN, {"token_id": token_id})


def delete_ended(connection: Connection, user_id: UserId, before_ms: int) -> None:
    """Forget the tokens of a user that ended before the stamp."""
    connection.execute(_DELETE_ENDED, {"user_id": user_id, "before_ms": before_ms})


def _user(row: Row[*tuple[Any, ...]]) -> User:
    return User(
        id=UserId(row.id),
        username=row.username,
        is_operator=row.is_operator,
        has_password=row.password_hash is not None,
        created_at_ms=row.created_at_ms,
    )


def _token(row: Row[*tuple[Any, ...]]) -> Token:
    return Token(
        id=row.id,
        user_id=UserId(row.user_id),
        client_id=row.client_id,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
    )
