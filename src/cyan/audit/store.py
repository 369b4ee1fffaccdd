"""The audit table: who did what to which thing, and when."""

from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
)

from cyan.core.db.engine import Database, Prepared
from cyan.core.db.schema import metadata

MAX_PAGE = 200
"""Entries of one listing at most."""

MAX_DETAIL_CHARACTERS = 4000
"""A detail that is longer as JSON is replaced by a mark; audit is no place for payloads."""

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("detail", Text, nullable=True),
    Index(None, "actor", "id"),
    Index(None, "subject", "id"),
    sqlite_autoincrement=True,
)

_INSERT = insert(audit_entry)

_BEFORE = (
    select(audit_entry)
    .where(audit_entry.c.id < bindparam("before_id"))
    .order_by(audit_entry.c.id.desc())
    .limit(bindparam("page"))
)
_BEFORE_BY_ACTOR = _BEFORE.where(audit_entry.c.actor == bindparam("actor"))
_BEFORE_BY_SUBJECT = _BEFORE.where(audit_entry.c.subject == bindparam("subject"))

_AFTER = Prepared(
    select(audit_entry.c.id, audit_entry.c.action, audit_entry.c.subject)
    .where(audit_entry.c.actor == bindparam("actor"), audit_entry.c.id > bindparam("after_id"))
    .order_by(audit_entry.c.id)
    .limit(bindparam("page"))
)
_NEWEST = select(func.max(audit_entry.c.id))

_END = 2**63 - 1

OPERATOR = "operator"
"""The actor of what a command did."""


class Entry(msgspec.Struct, frozen=True):
    """One recorded action. `at_ms` is milliseconds since 1970."""

    id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] | None


def record(
    connection: Connection,
    actor: str,
    action: str,
    subject: str,
    detail: dict[str, object] | None = None,
    *,
    at_ms: int,
) -> None:
    """Add an entry in the caller's transaction, so that it stands or falls with the action.

    `actor` is `user:<id>`, `operator`, `device:<id>` or `server`; `action` is feature and past
    participle, like `device.claimed`; `subject` names the thing, like `device:<id>`. `detail` must
    hold no secrets.
    """
    text = None if detail is None else msgspec.json.encode(detail).decode()
    if text is not None and len(text) > MAX_DETAIL_CHARACTERS:
        text = '{"cut":true}'
    connection.execute(
        _INSERT,
        {"at_ms": at_ms, "actor": actor, "action": action, "subject": subject, "detail": text},
    )


def list_entries(
    database: Database,
    *,
    actor: str | None = None,
    subject: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """The newest entries first, of one actor or one subject if given; page by the last one's id."""
    if actor is not None and subject is not None:
        raise ValueError("by actor or by subject, not both")
    parameters: dict[str, object] = {
        "before_id": _END if before_id is None else before_id,
        "page": max(1, min(limit, MAX_PAGE)),
    }
    statement = _BEFORE
    if actor is not None:
        statement, parameters["actor"] = _BEFORE_BY_ACTOR, actor
    elif subject is not None:
        statement, parameters["subject"] = _BEFORE_BY_SUBJECT, subject
    return [_entry(row._mapping) for row in database.rows(statement, parameters)]


def actions_after(
    database: Database, actor: str, after_id: int, limit: int
) -> list[tuple[int, str, str]]:
    """(id, action, subject) of an actor's entries after that id, oldest first."""
    found = _AFTER.rows(database, {"actor": actor, "after_id": after_id, "page": limit})
    return [(int(id_), str(action), str(subject)) for id_, action, subject in found]


def newest_id(database: Database) -> int:
    """The id of the newest entry, 0 when there is none."""
    row = database.row(_NEWEST)
    return 0 if row is None or row[0] is None else int(row[0])


def _entry(row: RowMapping) -> Entry:
    detail = row["detail"]
    return Entry(
        id=row["id"],
        at_ms=row["at_ms"],
        actor=row["actor"],
        action=row["action"],
        subject=row["subject"],
        detail=None if detail is None else msgspec.json.decode(detail, type=dict[str, Any]),
    )
