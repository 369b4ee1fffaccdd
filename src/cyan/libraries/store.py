"""The table of uploaded libraries and the statements on it."""

from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from cyan.core.db.schema import metadata
from cyan.libraries.model import Library, Properties

libraries_upload = Table(
    "libraries_upload",
    metadata,
    Column("owner_id", String(24), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", String(20), primary_key=True),
    Column("properties", Text, nullable=False),
    Column("archive", LargeBinary, nullable=False),
    # In the path of the archive, which is fetched without a token: it cannot be guessed.
    Column("download_key", String(40), nullable=False, unique=True),
    Column("is_public", Boolean, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index(None, "name"),
)

_c = libraries_upload.c
_told = (_c.owner_id, _c.properties, _c.download_key, _c.is_public, _c.at_ms)
_mine = (_c.owner_id == bindparam("of_owner_id"), _c.name == bindparam("of_name"))

VISIBLE: Final = select(*_told).where(_c.is_public | (_c.owner_id == bindparam("of_owner_id")))
TAKEN: Final = select(_c.name).where(
    _c.is_public, _c.name == bindparam("of_name"), _c.owner_id != bindparam("of_owner_id")
)
EXISTS: Final = select(_c.name).where(*_mine, _c.version == bindparam("of_version"))
COUNT: Final = select(func.count()).where(_c.owner_id == bindparam("of_owner_id"))
ADD: Final = insert(libraries_upload)
PUBLISH: Final = update(libraries_upload).where(*_mine).values(is_public=True)
DELETE: Final = delete(libraries_upload).where(*_mine)
ARCHIVE: Final = select(_c.archive).where(_c.download_key == bindparam("of_key"))


def to_library(row: Row[Any], caller_id: str) -> Library:
    """A row of VISIBLE, as this caller sees it."""
    properties = msgspec.json.decode(row.properties, type=Properties)
    return Library(
        properties,
        f"/libs/{row.download_key}/{properties.name}-{properties.version}.tar.gz",
        is_public=row.is_public,
        is_mine=row.owner_id == caller_id,
        at_ms=row.at_ms,
    )
