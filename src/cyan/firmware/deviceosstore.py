"""The table of Device OS modules and the statements on it."""

from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    bindparam,
    delete,
    select,
)
from sqlalchemy.dialects.sqlite import insert

from cyan.core.db.schema import metadata
from cyan.firmware.deviceosmodel import SystemModule
from cyan.firmware.images import KeptImage
from cyan.wire.describe import ModuleDependency

firmware_system_module = Table(
    "firmware_system_module",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("release", String(24), primary_key=True),
    Column("function", Integer, primary_key=True, autoincrement=False),
    Column("module_index", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("image_sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("crc32", BigInteger, nullable=False),
    Column("dependencies", Text, nullable=False),
    Column("imported_at_ms", BigInteger, nullable=False),
    Index(None, "platform_id", "function", "module_index", "version"),
)

_c = firmware_system_module.c

ALL: Final = select(firmware_system_module)
OF_PLATFORM: Final = ALL.where(_c.platform_id == bindparam("of_platform_id"))
OF_RELEASE: Final = ALL.where(_c.release == bindparam("of_release"))
SUFFICIENT: Final = ALL.where(
    _c.platform_id == bindparam("of_platform_id"),
    _c.function == bindparam("of_function"),
    _c.module_index == bindparam("of_index"),
    _c.version >= bindparam("least_version"),
)
IMAGES: Final = select(_c.image_sha256).distinct()

_put = insert(firmware_system_module)
PUT: Final = _put.on_conflict_do_update(
    index_elements=["platform_id", "release", "function", "module_index"],
    set_={
        name: _put.excluded[name]
        for name in (
            "version", "image_sha256", "size_bytes", "crc32", "dependencies", "imported_at_ms",
        )
    },
)  # fmt: skip
REMOVE: Final = delete(firmware_system_module).where(_c.release == bindparam("of_release"))
REMOVE_OF_PLATFORM: Final = REMOVE.where(_c.platform_id == bindparam("of_platform_id"))


def to_row(module: SystemModule) -> dict[str, object]:
    """Parameters of PUT."""
    return {
        "platform_id": module.platform_id,
        "release": module.release,
        "function": module.function,
        "module_index": module.index,
        "version": module.version,
        "image_sha256": module.image.sha256,
        "size_bytes": module.image.size_bytes,
        "crc32": module.crc32,
        "dependencies": msgspec.json.encode(module.dependencies).decode(),
        "imported_at_ms": module.imported_at_ms,
    }


def to_module(row: Row[Any]) -> SystemModule:
    """A row as the value."""
    return SystemModule(
        platform_id=row.platform_id,
        release=row.release,
        function=row.function,
        index=row.module_index,
        version=row.version,
        image=KeptImage(row.image_sha256, row.size_bytes),
        crc32=row.crc32,
        dependencies=msgspec.json.decode(row.dependencies, type=tuple[ModuleDependency, ...]),
        imported_at_ms=row.imported_at_ms,
    )
