"""Releases of Device OS that the operator imported: found for repair, and listed for clients."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from cyan.audit import store as audit
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.firmware import deviceosstore as store
from cyan.firmware.deviceosmodel import (
    NO_RELEASE,
    SystemModule,
    UnknownReleaseError,
    is_final,
    release_order,
)
from cyan.firmware.deviceosplan import Plan, plan_repair
from cyan.wire.describe import ModuleDependency, SystemDescribe
from cyan.wire.describe.system import MONOLITHIC, SYSTEM_PART

LATEST: Final = "latest"

_SYSTEM: Final = (SYSTEM_PART, MONOLITHIC)


class Release(msgspec.Struct, frozen=True):
    """One version of Device OS for one platform."""

    version: str
    platform_id: int
    module_version: int
    """Of its system: 6200 for 6.2.0."""
    modules: tuple[SystemModule, ...]

    @property
    def is_final(self) -> bool:
        return is_final(self.version)


class DeviceOs:
    """The modules of one server."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def find_module(
        self, platform_id: int, function: int, index: int, at_least_version: int
    ) -> SystemModule | None:
        """The oldest module that suffices, so that nothing is raised further than needed."""
        needed = ModuleDependency(function, index, at_least_version)
        return next(iter(self.find_modules(platform_id, needed)), None)

    def find_modules(self, platform_id: int, needed: ModuleDependency) -> list[SystemModule]:
        """All modules that suffice, the oldest first; of each version one, of a final release if
        there is."""
        rows = self._db.rows(
            store.SUFFICIENT,
            {
                "of_platform_id": platform_id,
                "of_function": needed.function,
                "of_index": needed.index,
                "least_version": needed.version,
            },
        )
        found = sorted(
            (store.to_module(row) for row in rows),
            key=lambda module: (module.version, not is_final(module.release), module.release),
        )
        versions: dict[int, SystemModule] = {}
        for module in found:
            versions.setdefault(module.version, module)
        return list(versions.values())

    def plan_repair(self, describe: SystemDescribe, platform_id: int) -> Plan:
        """What a device that describes itself like this needs to run its application, in the order
        in which it is sent."""
        return plan_repair(describe, lambda needed: self.find_modules(platform_id, needed))

    def list_modules(self) -> list[SystemModule]:
        """All of them: by release, the newest first, and then by platform."""
        found = [store.to_module(row) for row in self._db.rows(store.ALL)]
        found.sort(key=lambda module: (module.platform_id, module.function, module.index))
        found.sort(key=lambda module: _order(module.release), reverse=True)
        return found

    def list_releases(
        self, platform_id: int | None = None, module_version: int | None = None
    ) -> list[Release]:
        """Releases that have a system, the newest first."""
        rows = (
            self._db.rows(store.ALL)
            if platform_id is None
            else self._db.rows(store.OF_PLATFORM, {"of_platform_id": platform_id})
        )
        found = [
            release
            for release in _releases(store.to_module(row) for row in rows)
            if module_version in (None, release.module_version)
        ]
        found.sort(key=lambda release: release.platform_id)
        found.sort(key=lambda release: release_order(release.version), reverse=True)
        return found

    def get_releases(self, version: str, platform_id: int | None = None) -> list[Release]:
        """One release, for each platform that has it: by its name, by the number of its system
        (6200), or the `latest`, which is final if any is.

        Raises UnknownReleaseError.
        """
        if version == LATEST:
            found = self.list_releases(platform_id)
            newest = next((each for each in found if each.is_final), next(iter(found), None))
            found = [each for each in found if newest and each.version == newest.version]
        elif version.isdecimal() and len(version) < 6:
            found = self.list_releases(platform_id, int(version))[:1]
        else:
            name = version.removeprefix("v")
            found = [each for each in self.list_releases(platform_id) if each.version == name]
        if not found:
            raise UnknownReleaseError
        return found

    def get_file(self, version: str, file_name: str) -> SystemModule:
        """A module by the name of its file. Raises UnknownReleaseError."""
        rows = self._db.rows(store.OF_RELEASE, {"of_release": version.removeprefix("v")})
        for module in map(store.to_module, rows):
            if module.file_name == file_name and module.release != NO_RELEASE:
                return module
        raise UnknownReleaseError("There is no such file of Device OS here.")

    def needed_images(self) -> list[str]:
        """The files that have to stay (`Images.needed_by`)."""
        return [str(row.image_sha256) for row in self._db.rows(store.IMAGES)]

    def put_blocking(self, modules: Sequence[SystemModule]) -> None:
        """Write down what was imported, each in the place of what was there. For commands."""
        at_ms = self._clock.now_ms()
        rows = [{**store.to_row(module), "imported_at_ms": at_ms} for module in modules]

        def work(connection: Connection) -> None:
            connection.execute(store.PUT, rows)
            for release in sorted({module.release for module in modules}):
                names = [module.file_name for module in modules if module.release == release]
                detail: dict[str, object] = {"files": names}
                audit.record(
                    connection,
                    audit.OPERATOR,
                    "firmware.imported",
                    _subject(release),
                    detail,
                    at_ms=at_ms,
                )

        if rows:
            self._db.write_blocking(work)

    def remove_blocking(self, release: str, platform_id: int | None = None) -> int:
        """Forget a release, or what one platform has of it; how many modules. For commands."""
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> int:
            parameters: dict[str, object] = {"of_release": release}
            statement = store.REMOVE
            if platform_id is not None:
                parameters["of_platform_id"] = platform_id
                statement = store.REMOVE_OF_PLATFORM
            removed = connection.execute(statement, parameters).rowcount
            if removed:
                detail: dict[str, object] = {"modules": removed, "platform_id": platform_id}
                audit.record(
                    connection,
                    audit.OPERATOR,
                    "firmware.removed",
                    _subject(release),
                    detail,
                    at_ms=at_ms,
                )
            return removed

        return self._db.write_blocking(work)


def _releases(modules: Iterable[SystemModule]) -> list[Release]:
    grouped: dict[tuple[str, int], list[SystemModule]] = {}
    for module in modules:
        grouped.setdefault((module.release, module.platform_id), []).append(module)
    found = []
    for (release, platform_id), group in grouped.items():
        systems = [module.version for module in group if module.function in _SYSTEM]
        if release != NO_RELEASE and systems:
            group.sort(key=lambda module: (module.function, module.index))
            found.append(Release(release, platform_id, max(systems), tuple(group)))
    return found


def _order(release: str) -> tuple[object, ...]:
    return () if release == NO_RELEASE else release_order(release)


def _subject(release: str) -> str:
    return f"deviceos:{release}"
