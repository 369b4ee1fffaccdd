"""Blocked logins in the audit, so that the operator sees who is being guessed at."""

from collections.abc import Callable

import structlog
from sqlalchemy import Connection

from cyan.accounts import store
from cyan.accounts.model import MalformedUsernameError, parse_username
from cyan.audit.store import record
from cyan.core.clock import Clock
from cyan.core.db.engine import Database

_ACTOR = "server"

_log = structlog.get_logger(__name__)


def audit_of_blocks(db: Database, clock: Clock) -> Callable[[str], None]:
    """For `Lockout`. All is done in the writer, behind the answer; a name without an account leaves
    nothing, since it may be a password in the wrong field."""

    def note(what: str) -> None:
        at_ms = clock.now_ms()

        def work(connection: Connection) -> None:
            subject = what if ":" in what else _user_named(connection, what)
            if subject is not None:
                record(connection, _ACTOR, "login.blocked", subject, at_ms=at_ms)

        db.submit(work, _done)

    return note


def _user_named(connection: Connection, username: str) -> str | None:
    try:
        user = store.user_by_name(connection, parse_username(username))
    except MalformedUsernameError:
        return None
    return None if user is None else f"user:{user.id}"


def _done(_result: None, error: BaseException | None) -> None:
    if error is not None:
        _log.error("login.block_not_audited", exc_info=error)
