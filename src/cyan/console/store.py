"""The SQL of the console: the sessions of people."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    LargeBinary,
    Row,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from cyan.accounts.store import users
from cyan.console.model import Session
from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata
from cyan.core.ids import UserId

sessions = Table(
    "console_session",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("user_id", String(24), nullable=False, index=True),
    Column("password_changed_at_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("agent", String(200), nullable=False),
)

_CHANGED_AT = func.coalesce(users.c.password_changed_at_ms, 0)

_LIVING = (
    select(
        sessions.c.id,
        sessions.c.user_id,
        users.c.username,
        users.c.is_operator,
        sessions.c.created_at_ms,
        sessions.c.used_at_ms,
        sessions.c.expires_at_ms,
        sessions.c.agent,
    )
    # Whoever changes the password, by whatever way: the sessions from before have ended.
    .join(
        users,
        and_(users.c.id == sessions.c.user_id, sessions.c.password_changed_at_ms == _CHANGED_AT),
    )
    .where(sessions.c.expires_at_ms > bindparam("now_ms"))
)
_BY_SHA256 = _LIVING.where(sessions.c.sha256 == bindparam("sha256"))
_BY_ID = _LIVING.where(sessions.c.id == bindparam("session_id"))
_OF_USER = _LIVING.where(sessions.c.user_id == bindparam("of")).order_by(
    sessions.c.used_at_ms.desc(), sessions.c.id
)
_PASSWORD_CHANGED_AT = select(_CHANGED_AT).where(users.c.id == bindparam("of"))
_USE = (
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(used_at_ms=bindparam("at_ms"), expires_at_ms=bindparam("ends_at_ms"))
)
_PROVE = (
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(password_changed_at_ms=bindparam("changed_at_ms"))
)
_DELETE = delete(sessions).where(sessions.c.id == bindparam("session_id"))
_DELETE_ENDED = delete(sessions).where(sessions.c.expires_at_ms <= bindparam("now_ms"))
_IDS_OF_USER = select(sessions.c.id).where(sessions.c.user_id == bindparam("of"))


def find_by_sha256(db: Database, sha256: bytes, now_ms: int) -> Session | None:
    row = db.row(_BY_SHA256, {"sha256": sha256, "now_ms": now_ms})
    return None if row is None else _session(row)


def find_by_id(db: Database, session_id: str, now_ms: int) -> Session | None:
    row = db.row(_BY_ID, {"session_id": session_id, "now_ms": now_ms})
    return None if row is None else _session(row)


def list_of(db: Database, user_id: UserId, now_ms: int) -> list[Session]:
    """Those that have not ended, the last used first."""
    return [_session(row) for row in db.rows(_OF_USER, {"of": user_id, "now_ms": now_ms})]


def living_in(connection: Connection, user_id: UserId, now_ms: int) -> list[Session]:
    """As `list_of`, inside a transaction."""
    found = connection.execute(_OF_USER, {"of": user_id, "now_ms": now_ms})
    return [_session(row) for row in found]


def ids_in(connection: Connection, user_id: UserId) -> list[str]:
    """Of all sessions of a person, ended ones too."""
    return list(connection.execute(_IDS_OF_USER, {"of": user_id}).scalars())


def password_changed_at_ms(connection: Connection, user_id: UserId) -> int:
    """When the person's password was set, 0 when that is not known."""
    return int(connection.execute(_PASSWORD_CHANGED_AT, {"of": user_id}).scalar_one())


def add(
    connection: Connection, session: Session, sha256: bytes, password_changed_at_ms: int
) -> None:
    values = {
        "id": session.id,
        "sha256": sha256,
        "user_id": session.user_id,
        "password_changed_at_ms": password_changed_at_ms,
        "created_at_ms": session.created_at_ms,
        "used_at_ms": session.used_at_ms,
        "expires_at_ms": session.expires_at_ms,
        "agent": session.agent,
    }
    connection.execute(insert(sessions), values)


def use(connection: Connection, session_id: str, at_ms: int, ends_at_ms: int) -> None:
    """Note that it was used, and when it now ends."""
    values = {"session_id": session_id, "at_ms": at_ms, "ends_at_ms": ends_at_ms}
    connection.execute(_USE, values)


def prove(connection: Connection, session_id: str, password_changed_at_ms: int) -> None:
    """Its person has shown the new password too."""
    values = {"session_id": session_id, "changed_at_ms": password_changed_at_ms}
    connection.execute(_PROVE, values)


def delete_one(connection: Connection, session_id: str) -> bool:
    """Whether there was one."""
    return connection.execute(_DELETE, {"session_id": session_id}).rowcount > 0


def delete_ended(connection: Connection, now_ms: int) -> None:
    connection.execute(_DELETE_ENDED, {"now_ms": now_ms})


def _session(row: Row[*tuple[Any, ...]]) -> Session:
    return Session(
        id=row.id,
        user_id=UserId(row.user_id),
        username=row.username,
        is_operator=row.is_operator,
        created_at_ms=row.created_at_ms,
        used_at_ms=row.used_at_ms,
        expires_at_ms=row.expires_at_ms,
        agent=row.agent,
    )
