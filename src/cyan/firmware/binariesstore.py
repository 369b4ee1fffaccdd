"""The table of binaries that were compiled here and the statements on it. Their bytes are among
the files of firmware."""

from typing import Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
)

from cyan.core.db.schema import metadata

firmware_binary = Table(
    "firmware_binary",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("owner_id", String(24), nullable=False),
    Column("platform_id", Integer, nullable=False),
    Column("version", String(40), nullable=False),
    Column("image_sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Index(None, "owner_id", "created_at_ms"),
    Index(None, "expires_at_ms"),
)

_c = firmware_binary.c


class Binary(msgspec.Struct, frozen=True):
    """A module that was compiled, until it expires. Stamps are milliseconds since 1970."""

    id: str
    owner_id: str
    platform_id: int
    version: str
    image_sha256: str
    size_bytes: int
    created_at_ms: int
    expires_at_ms: int


ADD: Final = insert(firmware_binary)
FIND: Final = select(firmware_binary).where(
    _c.id == bindparam("of_id"),
    _c.owner_id == bindparam("of_owner_id"),
    _c.expires_at_ms > bindparam("now_ms"),
)
DELETE: Final = delete(firmware_binary).where(
    _c.id == bindparam("of_id"),
    _c.owner_id == bindparam("of_owner_id"),
    _c.expires_at_ms > bindparam("now_ms"),
)
EXPIRE: Final = delete(firmware_binary).where(_c.expires_at_ms <= bindparam("now_ms"))
IMAGES: Final = select(_c.image_sha256).distinct()

_newest = (
    select(_c.id)
    .where(_c.owner_id == bindparam("of_owner_id"))
    .order_by(_c.created_at_ms.desc(), _c.id)
    .limit(bindparam("most"))
)
TRIM: Final = delete(firmware_binary).where(
    _c.owner_id == bindparam("of_owner_id"), _c.id.not_in(_newest)
)
