"""The table of secrets and the statements on it."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
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

from cyan.core.db.schema import metadata
from cyan.secrets.model import Secret

secrets_secret = Table(
    "secrets_secret",
    metadata,
    Column("owner_id", String(24), primary_key=True),
    Column("name", String(128), primary_key=True),
    # By the vault, with owner and name bound to it.
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("created_by", String(24), nullable=False),
    Column("updated_by", String(24), nullable=False),
    Column("last_accessed_at_ms", BigInteger),
)

_c = secrets_secret.c
_of_owner = _c.owner_id == bindparam("of_owner_id")
_this = _of_owner & (_c.name == bindparam("of_name"))
_told = (
    _c.name,
    _c.created_at_ms,
    _c.updated_at_ms,
    _c.created_by,
    _c.updated_by,
    _c.last_accessed_at_ms,
)

LIST: Final = select(*_told).where(_of_owner).order_by(_c.name)
GET: Final = select(*_told).where(_this)
SEALED: Final = select(_c.sealed).where(_this)
COUNT: Final = select(func.count()).where(_of_owner)
ADD: Final = insert(secrets_secret)
REPLACE: Final = (
    update(secrets_secret)
    .where(_this)
    .values(
        sealed=bindparam("sealed"),
        updated_at_ms=bindparam("at_ms"),
        updated_by=bindparam("by"),
    )
)
ACCESSED: Final = update(secrets_secret).where(_this).values(last_accessed_at_ms=bindparam("at_ms"))
DELETE: Final = delete(secrets_secret).where(_this)


def to_secret(row: Row[Any]) -> Secret:
    """A row of LIST or GET."""
    return Secret(**row._mapping)
