"""REST: firmware for one device (rest-api-core.md §8.5), and how its updates went."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from starlette.datastructures import UploadFile
from starlette.responses import Response

from cyan.core.clock import iso_ms
from cyan.core.ports import DeviceOfflineError, DeviceTimeoutError
from cyan.devices.access import DeviceAccess
from cyan.devices.api import get_device
from cyan.devices.model import Device
from cyan.devices.resource import DeviceResource
from cyan.firmware.applications import UnknownApplicationError
from cyan.firmware.binaries import UnknownBinaryError
from cyan.firmware.binariesapi import compile_refusal
from cyan.firmware.compiling.model import (
    CompileError,
    CompilerBusyError,
    InvalidSourcesError,
    NoCompilerError,
)
from cyan.firmware.flashing import (
    Flashing,
    NotBegunError,
    UpdateRunsError,
    UpdatesDisabledError,
    Upload,
)
from cyan.firmware.images import ImageLostError, StorageFullError
from cyan.firmware.model import (
    Attempt,
    AttemptEndedError,
    NotFlashableError,
    UnknownAttemptError,
)
from cyan.firmware.uploads import File
from cyan.rest.auth import Caller
from cyan.rest.call import Call
from cyan.rest.errors import ApiError
from cyan.rest.registry import Route
from cyan.rest.responses import json_response

STARTED: Final = "Update started"
TIMED_OUT: Final = "Request Timed Out"
"""What clients get for a device that is offline or does not agree."""

PAGE: Final = 20


class UpdateItem(msgspec.Struct, frozen=True):
    """An attempt to update a device. `state` is queued, waiting, sending, sent, verifying, done or
    failed, and only moves on; `reason` is the word and `detail` the sentence why it failed, and
    `obstacle` why it does not go on now. `sha256`, `size` and `sent` are of the file as it is sent,
    which may be compressed. `batch` is the same for the files of one request.
    `code` is the error number of Device OS, if it gave one."""

    id: str
    batch: str
    cause: str
    state: str
    file: str
    sha256: str
    size: int
    sent: int
    tries: int
    created_at: str
    changed_at: str
    ended_at: str | None
    obstacle: str | None
    reason: str | None
    detail: str | None
    code: int | None


class UpdatesBody(msgspec.Struct, frozen=True):
    """The newest first; `before` of the next page is the id of the last one."""

    updates: list[UpdateItem]


class UpdatesQuery(msgspec.Struct):
    """`before` is the id of an update: those before it."""

    before: str | msgspec.UnsetType = msgspec.UNSET


class _Endpoints:
    def __init__(self, access: DeviceAccess, flashing: Flashing) -> None:
        self._access = access
        self._flashing = flashing

    async def flash(
        self, device: Device, caller: Caller, fields: Mapping[str, object]
    ) -> Mapping[str, object]:
        """The door of `PUT /v1/devices/{device}`."""
        upload = await _upload(fields)
        try:
            flashed = await self._flashing.flash(caller, device, upload)
        except (DeviceOfflineError, DeviceTimeoutError) as error:
            raise _refused(500, TIMED_OUT, info=error.message) from error
        except CompileError as error:
            return {"id": device.id, **compile_refusal(error).body}
        except (NotFlashableError, InvalidSourcesError, NoCompilerError, NotBegunError) as error:
            raise _refused(400, error.message) from error
        except (UpdateRunsError, UpdatesDisabledError) as error:
            raise _refused(409, error.message) from error
        except (UnknownBinaryError, UnknownApplicationError, ImageLostError) as error:
            raise _refused(404, error.message) from error
        except CompilerBusyError as error:
            raise _refused(503, error.message) from error
        except StorageFullError as error:
            raise _refused(507, error.message) from error
        reply: dict[str, object] = {"id": device.id, "update_id": flashed.attempt.id}
        if flashed.compiler_output is None:
            return reply | {"status": STARTED}
        return reply | {"ok": True, "message": STARTED, "stdout": flashed.compiler_output}

    async def list(self, call: Call) -> Response:
        device = get_device(self._access, call)
        before_id = call.query.get("before")
        before = None if before_id is None else self._find(device, before_id)
        found = self._flashing.latest(device, before=before, limit=PAGE)
        return json_response(UpdatesBody([_item(each) for each in found]))

    async def get(self, call: Call) -> Response:
        device = get_device(self._access, call)
        return json_response(_item(self._find(device, call.path["update"])))

    async def cancel(self, call: Call) -> Response:
        device = get_device(self._access, call)
        attempt = self._find(device, call.path["update"])
        try:
            ended = await self._flashing.cancel(call.caller.user_id, device, attempt.id)
        except AttemptEndedError as error:
            raise _refused(409, error.message) from error
        return json_response(_item(ended))

    def _find(self, device: Device, attempt_id: str) -> Attempt:
        try:
            return self._flashing.get(device, attempt_id)
        except UnknownAttemptError as error:
            raise _refused(404, error.message) from error


def routes(access: DeviceAccess, flashing: Flashing, resource: DeviceResource) -> list[Route]:
    """The routes of updates; gives `resource` the door for firmware."""
    on = _Endpoints(access, flashing)
    resource.set_flash(on.flash)
    all_of_one = "/v1/devices/{device}/firmware/updates"
    one = all_of_one + "/{update}"
    return [
        Route(
            "GET",
            all_of_one,
            on.list,
            scope="devices:get",
            summary="How the updates of a device went",
            query=UpdatesQuery,
            response=UpdatesBody,
        ),
        Route(
            "GET",
            one,
            on.get,
            scope="devices:get",
            summary="How one update goes",
            response=UpdateItem,
        ),
        Route(
            "DELETE",
            one,
            on.cancel,
            scope="devices:update",
            summary="Cancel an update",
            response=UpdateItem,
        ),
    ]


def _refused(status: int, text: str, **more: object) -> ApiError:
    """A refusal as clients of this route read it: the first of `errors`."""
    told = {name: value for name, value in more.items() if value is not None}
    return ApiError(status, {"ok": False, "code": status, "errors": [text], **told})


async def _upload(fields: Mapping[str, object]) -> Upload:
    files = [
        File(upload.filename or "", await upload.read())
        for value in fields.values()
        for upload in _files(value)
    ]
    return Upload(
        files=tuple(files),
        is_binary=fields.get("file_type") == "binary",
        target=_text(fields, "build_target_version"),
        application=None if files else _text(fields, "app"),
        binary_id=None if files else _text(fields, "binary_id"),
    )


def _files(value: object) -> Iterator[UploadFile]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, UploadFile):
            yield each


def _text(fields: Mapping[str, object], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None


def _item(attempt: Attempt) -> UpdateItem:
    return UpdateItem(
        id=attempt.id,
        batch=attempt.batch,
        cause=attempt.cause.value,
        state=attempt.state.value,
        file=attempt.file_name,
        sha256=attempt.image_sha256,
        size=attempt.size_bytes,
        sent=attempt.sent_bytes,
        tries=attempt.tries,
        created_at=iso_ms(attempt.created_at_ms),
        changed_at=iso_ms(attempt.changed_at_ms),
        ended_at=None if attempt.ended_at_ms is None else iso_ms(attempt.ended_at_ms),
        obstacle=attempt.obstacle,
        reason=None if attempt.reason is None else attempt.reason.value,
        detail=attempt.detail,
        code=attempt.code,
    )
