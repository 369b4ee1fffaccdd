"""REST: cloud compile and its binaries (rest-api-core.md §13)."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec
from starlette.datastructures import UploadFile
from starlette.responses import Response

from cyan.core.clock import iso_ms
from cyan.core.errors import CyanError
from cyan.firmware.binaries import Binaries, UnknownBinaryError
from cyan.firmware.compiling.model import (
    CompileError,
    CompilerBusyError,
    InvalidSourcesError,
    NoCompilerError,
)
from cyan.firmware.compiling.sources import MAX_TOTAL_BYTES, clean_sources
from cyan.firmware.images import ImageLostError, StorageFullError
from cyan.rest.auth import Auth
from cyan.rest.body import MULTIPART
from cyan.rest.call import Call
from cyan.rest.errors import ApiError, bad_request, described
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response
from cyan.rest.shapes import Done
from cyan.wire.module import PLATFORM_NAMES

COMPILE_FAILED: Final = "Compiler timed out or encountered an error"
"""The CLI shows what the compiler said only with exactly these words."""

RETRY_S: Final = 10

_FORM_BYTES: Final = 256 * 1024
"""What a multipart body has around the files."""
_BINARY: Final = "application/binary"
_SPELLED: Final = {"gcc": "GCC", "bsom": "B SoM", "b5som": "B5 SoM", "msom": "M SoM"}


class CompiledBody(msgspec.Struct, frozen=True):
    """A binary is there, until `expires_at`. `stdout` has the compiler's warnings."""

    ok: bool
    binary_id: str
    binary_url: str
    build_target_version: str
    expires_at: str
    size_info: str | None = msgspec.field(name="sizeInfo", default=None)
    stdout: str = ""


class CompileErrors(msgspec.Struct, frozen=True):
    """The sources do not compile: `errors` is what the compiler said, `stdout` what else it wrote.
    `code` is 200, as the platform has it."""

    ok: Literal[False]
    code: int
    output: str
    stdout: str
    errors: list[str]


class TargetItem(msgspec.Struct, frozen=True):
    """A release of Device OS and the ids of the platforms that it can be compiled for."""

    platforms: list[int]
    prereleases: list[int]
    firmware_vendor: str
    version: str


class TargetsBody(msgspec.Struct, frozen=True):
    """`platforms` by name; `default_versions` by the platform's id."""

    targets: list[TargetItem]
    platforms: dict[str, int]
    default_versions: dict[str, str]


class TargetsQuery(msgspec.Struct):
    """`featured` is taken and has no effect: all that there is stands in the list."""

    featured: str = ""


class _Endpoints:
    def __init__(self, binaries: Binaries) -> None:
        self._binaries = binaries

    async def compile(self, call: Call) -> Response:
        fields = await call.body()
        platform_id = _platform(fields)
        version = fields.get("build_target_version")
        try:
            sources = clean_sources([(upload.filename or "", await upload.read())
                                     for upload in _uploads(fields)])  # fmt: skip
            binary, made = await self._binaries.compile(
                call.caller, sources, platform_id, version if isinstance(version, str) else None
            )
        except (InvalidSourcesError, NoCompilerError) as error:
            raise bad_request(error.message) from error
        except CompileError as error:
            raise compile_refusal(error) from error
        except CompilerBusyError as error:
            raise _busy(error) from error
        except StorageFullError as error:
            raise described(507, "storage_full", error.message) from error
        return json_response(
            CompiledBody(
                ok=True,
                binary_id=binary.id,
                binary_url=f"/v1/binaries/{binary.id}",
                build_target_version=binary.version,
                expires_at=iso_ms(binary.expires_at_ms),
                size_info=made.size_info,
                stdout=made.output,
            )
        )

    async def download(self, call: Call) -> Response:
        image = await self._opened(call)
        headers = {"content-disposition": "attachment; filename=firmware.bin"}
        return Response(bytes(image), media_type=_BINARY, headers=headers)

    async def delete(self, call: Call) -> Response:
        await self._binaries.delete(call.caller, call.path["binary"])
        return json_response(Done(ok=True))

    async def targets(self, call: Call) -> Response:
        targets = self._binaries.targets
        defaults: dict[str, str] = {}
        for target in targets:  # the newest first
            for number in target.platforms:
                defaults.setdefault(str(number), target.version)
        names = {_spelled(int(number)): int(number) for number in defaults}
        items = [
            TargetItem(list(target.platforms), [], target.vendor, target.version)
            for target in targets
        ]
        return json_response(TargetsBody(items, names, defaults))

    async def _opened(self, call: Call) -> memoryview:
        try:
            image = await self._binaries.open(call.caller.user_id, call.path["binary"])
        except ImageLostError as error:
            raise UnknownBinaryError(error.message) from error
        return image.data


def compile_refusal(error: CompileError, status: int = 406) -> ApiError:
    """What the compiler said, in the shape that the stock clients read."""
    return ApiError(
        status,
        {
            "ok": False,
            "code": 200,
            "output": COMPILE_FAILED,
            "stdout": error.output,
            "errors": [error.errors],
        },
    )


def _busy(error: CyanError) -> ApiError:
    refusal = described(429, "busy", error.message)
    return ApiError(429, refusal.body, {"retry-after": str(RETRY_S)})


def _platform(fields: Mapping[str, object]) -> int:
    """What to compile for. A product is not known yet, unless its id is that of its platform."""
    text = fields.get("platform_id", fields.get("product_id"))
    if not isinstance(text, (str, int)) or not (str(text).isdecimal() and len(str(text)) < 6):
        raise bad_request("platform_id is the number of a platform: 3 for gcc, 12 for argon.")
    number = int(text)
    if "platform_id" not in fields and number not in PLATFORM_NAMES:
        raise bad_request("Products are not built yet. Send platform_id instead of product_id.")
    return number


def _uploads(fields: Mapping[str, object]) -> Iterator[UploadFile]:
    """The files of a form, whatever the names of their parts are."""
    pending: list[object] = list(fields.values())
    while pending:
        one = pending.pop(0)
        if isinstance(one, UploadFile):
            yield one
        elif isinstance(one, list):
            pending[:0] = one
        elif isinstance(one, dict):
            pending[:0] = one.values()


def _spelled(platform_id: int) -> str:
    name = PLATFORM_NAMES.get(platform_id, str(platform_id))
    return _SPELLED.get(name, name.capitalize())


def routes(binaries: Binaries) -> list[Route]:
    """The routes of cloud compile."""
    on = _Endpoints(binaries)
    one = "/v1/binaries/{binary}"
    return [
        Route("POST", "/v1/binaries", on.compile, summary="Compile sources",
              request_media=(MULTIPART,), response=(Reply(CompiledBody), Reply(CompileErrors, 406)),
              max_body_bytes=MAX_TOTAL_BYTES + _FORM_BYTES),
        Route("GET", one, on.download, response=Reply(None, 200, _BINARY),
              summary="A binary that was compiled"),
        Route("DELETE", one, on.delete, response=Done, summary="Delete a binary"),
        Route("GET", "/v1/build_targets", on.targets, Auth.OPTIONAL, query=TargetsQuery,
              response=TargetsBody, summary="What can be compiled for"),
    ]  # fmt: skip
