"""Binaries that were compiled here: kept for a day, for who had them compiled."""

import asyncio
from typing import Final

import msgspec
import structlog
from sqlalchemy import Connection

from cyan.accounts.people import require_account
from cyan.audit import store as audit
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import NotFoundError
from cyan.core.ids import UserId, new_object_id
from cyan.core.ports import Image
from cyan.firmware import binariesstore as store
from cyan.firmware.binariesstore import Binary
from cyan.firmware.compiling.model import BuildTarget, Compiled, Sources
from cyan.firmware.compiling.service import Compilers
from cyan.firmware.images import Images
from cyan.rest.auth import Caller

LIFETIME_MS: Final = 24 * 3600 * 1000
"""Of a binary (rest-api-core.md §13.1)."""

MAX_KEPT: Final = 50
"""Of one account; ours. The oldest give way."""

INTERVAL_S: Final = 600.0
"""Between two looks for expired ones."""

_log = structlog.get_logger(__name__)


class UnknownBinaryError(NotFoundError):
    """Binary not found: it is kept for 24 hours, for the account that had it compiled."""


class Binaries:
    """What the compilers of this server made."""

    def __init__(self, db: Database, clock: Clock, images: Images, compilers: Compilers) -> None:
        self._db = db
        self._clock = clock
        self._images = images
        self._compilers = compilers

    @property
    def targets(self) -> list[BuildTarget]:
        """For which releases and platforms there is a compiler."""
        return self._compilers.targets

    async def compile(
        self, caller: Caller, sources: Sources, platform_id: int, version: str | None = None
    ) -> tuple[Binary, Compiled]:
        """Compile, and keep what comes out.

        Raises NoCompilerError, CompileError, CompilerBusyError, StorageFullError.
        """
        made = await self._compilers.compile(caller.user_id, sources, platform_id, version)
        kept = await self._images.keep(made.data)
        now_ms = self._clock.now_ms()
        binary = Binary(
            id=new_object_id(),
            owner_id=caller.user_id,
            platform_id=platform_id,
            version=made.target.version,
            image_sha256=kept.sha256,
            size_bytes=kept.size_bytes,
            created_at_ms=now_ms,
            expires_at_ms=now_ms + LIFETIME_MS,
        )
        actor = f"user:{caller.user_id}"

        def work(connection: Connection) -> None:
            require_account(connection, caller.user_id)
            connection.execute(store.ADD, msgspec.structs.asdict(binary))
            connection.execute(store.TRIM, {"of_owner_id": caller.user_id, "most": MAX_KEPT})
            audit.record(
                connection, actor, "firmware.compiled", _subject(binary), _detail(binary),
                at_ms=now_ms,
            )  # fmt: skip

        await self._db.write(work)
        return binary, made

    def get(self, user_id: UserId, binary_id: str) -> Binary:
        """One of the person's own. Raises UnknownBinaryError."""
        values = {"of_id": binary_id, "of_owner_id": user_id, "now_ms": self._clock.now_ms()}
        row = self._db.row(store.FIND, values)
        if row is None:
            raise UnknownBinaryError
        return Binary(**row._mapping)

    async def open(self, user_id: UserId, binary_id: str) -> Image:
        """Its bytes. Raises UnknownBinaryError, ImageLostError."""
        return await self._images.open(self.get(user_id, binary_id).image_sha256)

    async def delete(self, caller: Caller, binary_id: str) -> None:
        """Raises UnknownBinaryError."""
        now_ms = self._clock.now_ms()
        binary = self.get(caller.user_id, binary_id)
        values = {"of_id": binary_id, "of_owner_id": caller.user_id, "now_ms": now_ms}
        actor = f"user:{caller.user_id}"

        def work(connection: Connection) -> None:
            if connection.execute(store.DELETE, values).rowcount < 1:
                raise UnknownBinaryError
            audit.record(
                connection, actor, "firmware.binary_deleted", _subject(binary), _detail(binary),
                at_ms=now_ms,
            )  # fmt: skip

        await self._db.write(work)

    def needed_images(self) -> list[str]:
        """The files that binaries name, for `Images.needed_by`."""
        return [row.image_sha256 for row in self._db.rows(store.IMAGES, {})]

    async def expire(self) -> int:
        """Forget what has expired; how many."""
        values = {"now_ms": self._clock.now_ms()}
        return await self._db.write(lambda c: int(c.execute(store.EXPIRE, values).rowcount))

    async def run(self) -> None:
        """Forget for as long as the server runs."""
        while True:
            try:
                await self.expire()
            except Exception:
                _log.exception("firmware.expire_failed")
            await asyncio.sleep(INTERVAL_S)


def _subject(binary: Binary) -> str:
    return f"binary:{binary.id}"


def _detail(binary: Binary) -> dict[str, object]:
    return {
        "platform_id": binary.platform_id,
        "version": binary.version,
        "size_bytes": binary.size_bytes,
    }
