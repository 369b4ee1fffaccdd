"""REST: releases of Device OS, as the stock tools list and download them (rest-api-core.md §13.2).

Items carry what the types of particle-api-js name, and the state that the CLI shows. The modules of
a release are told as binary-version-reader tells them; its files are fetched without a token.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Annotated, Final, TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

from cyan.core.errors import NotFoundError
from cyan.core.ports import Image
from cyan.devices.releases import system_version_of
from cyan.firmware.compiling.model import BuildTarget
from cyan.firmware.deviceos import DeviceOs, Release
from cyan.firmware.deviceosmodel import (
    NoReleaseError,
    SystemModule,
    find_release,
    is_final,
    release_order,
)
from cyan.firmware.images import ImageLostError, Images
from cyan.rest.auth import Auth
from cyan.rest.call import Call
from cyan.rest.errors import bad_request
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response, no_content
from cyan.wire.describe.system import (
    BOOTLOADER,
    MONOLITHIC,
    NCP_FIRMWARE,
    RADIO_STACK,
    SYSTEM_PART,
)

VERSIONS: Final = "/v1/device-os/versions"
FILES: Final = "/v1/firmware/device-os"

DEFAULT_PER_PAGE: Final = 25
MAX_PER_PAGE: Final = 100
"""What the CLI asks for."""

_BINARY: Final = "application/octet-stream"
_PIECE_BYTES: Final = 64 * 1024
_LONGEST_NUMBER: Final = 10
"""Digits; Python refuses to read very many."""

_FUNCTIONS: Final = {
    BOOTLOADER: "bootloader",
    MONOLITHIC: "mono_firmware",
    SYSTEM_PART: "system_part",
    NCP_FIRMWARE: "ncp_firmware",
    RADIO_STACK: "radio_stack",
}


_Number = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
"""Platforms and versions of modules have 16 bits (device-protocol.md §7.1)."""

_Query = TypeVar("_Query", bound=msgspec.Struct)

Targets = Callable[[], Iterable[BuildTarget]]


class VersionsQuery(msgspec.Struct):
    """`internal_version` is the number of the system: 6200 for 6.2.0."""

    platform_id: _Number | None = None
    internal_version: _Number | None = None
    page: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    per_page: Annotated[int, msgspec.Meta(ge=1)] = DEFAULT_PER_PAGE


class PlatformQuery(msgspec.Struct):
    """The platform of the device."""

    platform_id: _Number | None = None


class UpgradeQuery(msgspec.Struct):
    """What a device runs now. A system version is like 6.2.0, or its number."""

    platform_id: _Number
    current_system_firmware_version: str
    current_ncp_firmware_version: str = ""
    current_ncp_firmware_module_version: str = ""


class VersionItem(msgspec.Struct, frozen=True):
    """One release for one platform; `release_state` is ga or preview."""

    version: str
    release_state: str
    platform_id: int
    module_version: int | None
    release_date: str | None = None


class VersionsBody(msgspec.Struct, frozen=True):
    """A page of releases, the newest first."""

    versions: list[VersionItem]


class PrefixInfo(msgspec.Struct, frozen=True, rename="camel"):
    """What stands in the prefix of a module; the function as a word."""

    module_function: str
    module_index: int
    module_version: int
    platform_id: int = msgspec.field(name="platformID")


class Crc(msgspec.Struct, frozen=True, rename="camel"):
    """The CRC-32 in hex. What is kept here is intact, so that both are the same."""

    ok: bool
    stored_crc: str
    actual_crc: str


class ModuleItem(msgspec.Struct, frozen=True, rename="camel"):
    """One file of a release, to be fetched below its `base_url`."""

    filename: str
    size: int
    prefix_info: PrefixInfo
    crc: Crc


class VersionBody(msgspec.Struct, frozen=True):
    """One release with its files."""

    version: str
    release_state: str
    base_url: str
    modules: list[ModuleItem]


class UpgradeBody(msgspec.Struct, frozen=True):
    """Where the next module for the device is."""

    binary_url: str


class _Endpoints:
    def __init__(
        self, deviceos: DeviceOs, images: Images, public_url: str | None, targets: Targets
    ) -> None:
        self._deviceos = deviceos
        self._images = images
        self._public_url = public_url
        self._targets = targets

    async def list(self, call: Call) -> Response:
        query = _read(call, VersionsQuery)
        kept = [_item(each) for each in self._deviceos.list_releases()]
        known = {(each.version, each.platform_id) for each in kept}
        compiled = (each for each in _items(self._targets()) if _key(each) not in known)
        found = [
            item
            for item in (*kept, *compiled)
            if query.platform_id in (None, item.platform_id)
            and query.internal_version in (None, item.module_version)
        ]
        found.sort(key=lambda item: item.platform_id)
        found.sort(key=lambda item: release_order(item.version), reverse=True)
        size = min(query.per_page, MAX_PER_PAGE)
        first = (query.page - 1) * size
        return json_response(VersionsBody(found[first : first + size]))

    async def get(self, call: Call) -> Response:
        platform_id = _read(call, PlatformQuery).platform_id
        found = self._deviceos.get_releases(call.path["version"], platform_id)
        version = found[0].version
        body = VersionBody(
            version,
            _state(version),
            self._base_url(call, version),
            [_module(module) for release in found for module in release.modules],
        )
        return json_response(body)

    async def download(self, call: Call) -> Response:
        module = self._deviceos.get_file(call.path["version"], call.path["file"])
        try:
            image = await self._images.open(module.image.sha256)
        except ImageLostError as error:
            raise NotFoundError(error.message) from error
        headers = {"content-length": str(len(image.data))}
        return StreamingResponse(_pieces(image), media_type=_BINARY, headers=headers)

    async def upgrade(self, call: Call) -> Response:
        query = _read(call, UpgradeQuery)
        finals = (each for each in self._deviceos.list_releases(query.platform_id) if each.is_final)
        newest = next(finals, None)
        step = None if newest is None else _next_step(newest, query)
        if newest is None or step is None:
            return no_content()
        base = self._base_url(call, newest.version)
        return json_response(UpgradeBody(f"{base}/{step.file_name}"))

    def _base_url(self, call: Call, version: str) -> str:
        """Below the address that operators give, or else that which the client used."""
        url = self._public_url or str(call.request.base_url)
        return f"{url.rstrip('/')}{FILES}/v{version}"


def _next_step(newest: Release, query: UpgradeQuery) -> SystemModule | None:
    """The first part of a newer system, or else a newer network processor; None when current."""
    ncp_version = query.current_ncp_firmware_module_version
    wanted: tuple[int, ...] = ()
    if _is_newer(newest, query.current_system_firmware_version):
        wanted = (SYSTEM_PART, MONOLITHIC)
    elif ncp_version.isdecimal() and len(ncp_version) < _LONGEST_NUMBER:
        wanted = (NCP_FIRMWARE,)
    for module in newest.modules:
        if module.function in wanted and (
            module.function != NCP_FIRMWARE or module.version > int(ncp_version)
        ):
            return module
    return None


def _is_newer(newest: Release, current: str) -> bool:
    if current.isdecimal() and len(current) < _LONGEST_NUMBER:
        return newest.module_version > int(current)
    try:
        return release_order(newest.version) > release_order(current.removeprefix("v"))
    except NoReleaseError as error:
        raise bad_request(error.message) from error


def _read(call: Call, shape: type[_Query]) -> _Query:
    try:
        return msgspec.convert(dict(call.query), shape, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(f"The query cannot be used: {error}.") from error


def _state(version: str) -> str:
    return "ga" if is_final(version) else "preview"


def _item(release: Release) -> VersionItem:
    return VersionItem(
        release.version, _state(release.version), release.platform_id, release.module_version
    )


def _items(targets: Iterable[BuildTarget]) -> Iterator[VersionItem]:
    """What can be compiled for: the CLI looks here whether a target exists."""
    for target in targets:
        if find_release(target.version) == target.version:
            number = system_version_of(target.version)
            for platform_id in target.platforms:
                yield VersionItem(target.version, _state(target.version), platform_id, number)


def _key(item: VersionItem) -> tuple[str, int]:
    return item.version, item.platform_id


def _module(module: SystemModule) -> ModuleItem:
    crc = f"{module.crc32:08x}"
    return ModuleItem(
        module.file_name,
        module.image.size_bytes,
        PrefixInfo(
            _FUNCTIONS.get(module.function, "none"),
            module.index,
            module.version,
            module.platform_id,
        ),
        Crc(True, crc, crc),
    )


async def _pieces(image: Image) -> AsyncIterator[bytes]:
    """The file in pieces, so that slow readers cost no copy of it."""
    for start in range(0, len(image.data), _PIECE_BYTES):
        yield bytes(image.data[start : start + _PIECE_BYTES])


def routes(
    deviceos: DeviceOs,
    images: Images,
    public_url: str | None = None,
    targets: Targets = tuple,
) -> list[Route]:
    """The routes of Device OS releases; files are found below `public_url`, where there is one.

    `targets` are releases that can be compiled for: they are listed, too.
    """
    on = _Endpoints(deviceos, images, public_url, targets)
    file = Reply(None, 200, _BINARY)
    return [
        Route("GET", VERSIONS, on.list, query=VersionsQuery, response=VersionsBody,
              summary="Device OS versions that this server has"),
        Route("GET", VERSIONS + "/{version}", on.get, query=PlatformQuery, response=VersionBody,
              summary="One Device OS version with its files"),
        Route("GET", FILES + "/{version}/{file}", on.download, Auth.NONE, response=file,
              summary="A file of a Device OS version"),
        Route("GET", "/v1/system_firmware/upgrade", on.upgrade, query=UpgradeQuery,
              response=(Reply(UpgradeBody), Reply(None, 204)),
              summary="Where a newer Device OS for a device is, for the mobile apps"),
    ]  # fmt: skip
