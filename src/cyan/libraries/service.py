"""Libraries: found, uploaded, published, deleted, fetched."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection

from cyan.accounts.people import require_account
from cyan.audit import store as audit
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import new_token
from cyan.libraries import store
from cyan.libraries.archive import pack, read_archive
from cyan.libraries.catalog import FOLDER, Catalog
from cyan.libraries.model import (
    MAX_UPLOADS,
    Library,
    NameTakenError,
    TooManyUploadsError,
    UnknownLibraryError,
    VersionExistsError,
)
from cyan.rest.auth import Caller

MAX_PACKING: Final = 2
"""Archives that are packed at the same time; who asks for more waits."""


class Libraries:
    """The operator's folder and what people uploaded, each as the caller may see it: public ones,
    and their own."""

    def __init__(self, db: Database, clock: Clock, data: Path) -> None:
        self._db = db
        self._clock = clock
        self._catalog = Catalog(data / FOLDER)
        # Anybody may ask for an archive, and packing one takes a processor for a while.
        self._packing = asyncio.Semaphore(MAX_PACKING)

    async def list_versions(self, caller: Caller) -> list[Library]:
        """Every version of every library, the newest of each name first."""
        entries = await asyncio.to_thread(self._catalog.entries)
        found = [
            Library(
                entry.properties,
                f"/libs/{entry.properties.name}-{entry.properties.version}.tar.gz",
                is_official=True,
                at_ms=entry.at_ms,
            )
            for entry in entries
        ]
        rows = self._db.rows(store.VISIBLE, {"of_owner_id": caller.user_id})
        found += [store.to_library(row, caller.user_id) for row in rows]
        return sorted(found, key=lambda library: library.properties.order, reverse=True)

    async def list_newest(self, caller: Caller) -> list[Library]:
        """The newest version of each library; by name an own one goes before another's."""
        newest: dict[str, Library] = {}
        for library in await self.list_versions(caller):
            known = newest.get(library.name)
            if known is None or (library.is_mine and not known.is_mine):
                newest[library.name] = library
        return list(newest.values())

    async def get(self, caller: Caller, name: str, version: str | None = None) -> Library:
        """This version, or the newest. Raises UnknownLibraryError."""
        found = [each for each in await self._of_name(caller, name)
                 if version in (None, each.properties.version)]  # fmt: skip
        if not found:
            raise UnknownLibraryError(f"Library {name[:64]} not found")
        return found[0]

    async def versions_of(self, caller: Caller, name: str) -> list[Library]:
        """The newest first. Raises UnknownLibraryError."""
        await self.get(caller, name)
        return await self._of_name(caller, name)

    async def upload(self, caller: Caller, content: bytes) -> Library:
        """Keep a version, which only its owner sees until it is published.

        Raises InvalidLibraryError, NameTakenError, VersionExistsError, TooManyUploadsError.
        """
        properties = await asyncio.to_thread(read_archive, content)
        await self._check_folder(properties.name)
        at_ms = self._clock.now_ms()
        mine = {"of_owner_id": caller.user_id, "of_name": properties.name}

        def work(connection: Connection) -> None:
            require_account(connection, caller.user_id)
            if connection.execute(store.TAKEN, mine).first():
                raise NameTakenError
            if connection.execute(store.EXISTS, {**mine, "of_version": properties.version}).first():
                raise VersionExistsError(
                    f"Version {properties.version} of {properties.name} is here already. Raise"
                    " `version` in library.properties."
                )
            if connection.execute(store.COUNT, mine).scalar_one() >= MAX_UPLOADS:
                raise TooManyUploadsError
            connection.execute(
                store.ADD,
                {
                    "owner_id": caller.user_id,
                    "name": properties.name,
                    "version": properties.version,
                    "properties": msgspec.json.encode(properties).decode(),
                    "archive": content,
                    "download_key": new_token(),
                    "is_public": False,
                    "at_ms": at_ms,
                },
            )
            detail: dict[str, object] = {"version": properties.version}
            _record(connection, caller, "library.uploaded", properties.name, at_ms, detail)

        await self._db.write(work)
        return await self.get(caller, properties.name, properties.version)

    async def publish(self, caller: Caller, name: str) -> Library:
        """Everybody sees the caller's versions. Raises UnknownLibraryError, NameTakenError."""
        await self._check_folder(name)
        await self._change(caller, name, "library.published")
        return await self.get(caller, name)

    async def delete(self, caller: Caller, name: str) -> None:
        """All of the caller's versions. Raises UnknownLibraryError."""
        await self._change(caller, name, "library.deleted")

    async def fetch(self, file: str, key: str | None = None) -> bytes:
        """An archive by the path in its item. Raises UnknownLibraryError."""
        if key is not None:
            row = self._db.row(store.ARCHIVE, {"of_key": key})
            if row is None:
                raise UnknownLibraryError
            return bytes(row.archive)
        name, _, version = file.removesuffix(".tar.gz").rpartition("-")
        entry = await asyncio.to_thread(self._catalog.find, name, version)
        if entry is None:
            raise UnknownLibraryError
        async with self._packing:
            return await asyncio.to_thread(pack, entry.folder)

    async def _of_name(self, caller: Caller, name: str) -> list[Library]:
        """All versions, the newest first, of the library that the caller means by a name."""
        found = [each for each in await self.list_versions(caller) if each.name == name]
        own = [each for each in found if each.is_mine]
        return own or found

    async def _change(self, caller: Caller, name: str, action: str) -> None:
        mine = {"of_owner_id": caller.user_id, "of_name": name}
        at_ms = self._clock.now_ms()
        is_published = action == "library.published"

        def work(connection: Connection) -> None:
            if is_published and connection.execute(store.TAKEN, mine).first():
                raise NameTakenError
            statement = store.PUBLISH if is_published else store.DELETE
            if connection.execute(statement, mine).rowcount < 1:
                raise UnknownLibraryError(f"Library {name[:64]} not found")
            _record(connection, caller, action, name, at_ms)

        await self._db.write(work)

    async def _check_folder(self, name: str) -> None:
        entries = await asyncio.to_thread(self._catalog.entries)
        if any(entry.properties.name == name for entry in entries):
            raise NameTakenError


def _record(
    connection: Connection,
    caller: Caller,
    action: str,
    name: str,
    at_ms: int,
    detail: dict[str, object] | None = None,
) -> None:
    subject = f"library:{name}"
    audit.record(connection, f"user:{caller.user_id}", action, subject, detail, at_ms=at_ms)
