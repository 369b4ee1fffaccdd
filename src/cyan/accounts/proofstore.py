"""The SQL of what proves somebody beside the password: second factors, invitations, resets."""

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from cyan.accounts.store import invitations, resets, totp
from cyan.core.db.engine import Database
from cyan.core.ids import UserId

_TOTP = select(totp.c.sealed_secret, totp.c.last_step).where(totp.c.user_id == bindparam("of"))
_USE_STEP = (
    update(totp).where(totp.c.user_id == bindparam("of")).values(last_step=bindparam("step"))
)
_DELETE_TOTP = delete(totp).where(totp.c.user_id == bindparam("of"))
_INVITATION = select(invitations.c.username).where(
    invitations.c.sha256 == bindparam("sha256"), invitations.c.expires_at_ms > bindparam("now_ms")
)
_DELETE_INVITATIONS = delete(invitations).where(
    (invitations.c.username == bindparam("name"))
    | (invitations.c.expires_at_ms <= bindparam("now_ms"))
)
_RESET = select(resets.c.user_id).where(
    resets.c.sha256 == bindparam("sha256"), resets.c.expires_at_ms > bindparam("now_ms")
)
_RESET_MADE_AT = select(resets.c.created_at_ms).where(resets.c.user_id == bindparam("of"))
_DELETE_RESET = delete(resets).where(resets.c.user_id == bindparam("of"))


def has_totp(db: Database, user_id: UserId) -> bool:
    return db.row(_TOTP, {"of": user_id}) is not None


def totp_of(connection: Connection, user_id: UserId) -> tuple[bytes, int] | None:
    """The sealed secret, and the last time step of which a code was used."""
    row = connection.execute(_TOTP, {"of": user_id}).first()
    return None if row is None else (row.sealed_secret, row.last_step)


def add_totp(
    connection: Connection, user_id: UserId, sealed: bytes, last_step: int, at_ms: int
) -> None:
    values = {
        "user_id": user_id,
        "sealed_secret": sealed,
        "enabled_at_ms": at_ms,
        "last_step": last_step,
    }
    connection.execute(insert(totp), values)


def use_totp_step(connection: Connection, user_id: UserId, step: int) -> None:
    connection.execute(_USE_STEP, {"of": user_id, "step": step})


def delete_totp(connection: Connection, user_id: UserId) -> bool:
    """Whether there was one."""
    return connection.execute(_DELETE_TOTP, {"of": user_id}).rowcount > 0


def add_invitation(
    connection: Connection, sha256: bytes, username: str, at_ms: int, expires_at_ms: int
) -> None:
    values = {
        "sha256": sha256,
        "username": username,
        "created_at_ms": at_ms,
        "expires_at_ms": expires_at_ms,
    }
    connection.execute(insert(invitations), values)


def invitation(connection: Connection, sha256: bytes, now_ms: int) -> str | None:
    """The username that a living invitation is for."""
    values = {"sha256": sha256, "now_ms": now_ms}
    found: str | None = connection.execute(_INVITATION, values).scalar()
    return found


def has_invitation(db: Database, sha256: bytes, now_ms: int) -> bool:
    return db.row(_INVITATION, {"sha256": sha256, "now_ms": now_ms}) is not None


def delete_invitations(connection: Connection, username: str, now_ms: int) -> None:
    """Those for this username, and those that have ended."""
    connection.execute(_DELETE_INVITATIONS, {"name": username, "now_ms": now_ms})


def reset_made_at_ms(connection: Connection, user_id: UserId) -> int | None:
    """When the newest password reset of a user was asked for."""
    found: int | None = connection.execute(_RESET_MADE_AT, {"of": user_id}).scalar()
    return found


def set_reset(
    connection: Connection, user_id: UserId, sha256: bytes, at_ms: int, expires_at_ms: int
) -> None:
    """In place of an earlier one."""
    connection.execute(_DELETE_RESET, {"of": user_id})
    values = {
        "user_id": user_id,
        "sha256": sha256,
        "created_at_ms": at_ms,
        "expires_at_ms": expires_at_ms,
    }
    connection.execute(insert(resets), values)


def reset_user(connection: Connection, sha256: bytes, now_ms: int) -> UserId | None:
    """Whose password this reset may set."""
    found = connection.execute(_RESET, {"sha256": sha256, "now_ms": now_ms}).scalar()
    return None if found is None else UserId(found)


def has_reset(db: Database, sha256: bytes, now_ms: int) -> bool:
    return db.row(_RESET, {"sha256": sha256, "now_ms": now_ms}) is not None


def delete_reset(connection: Connection, user_id: UserId) -> None:
    connection.execute(_DELETE_RESET, {"of": user_id})
