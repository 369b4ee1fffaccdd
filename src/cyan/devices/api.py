"""REST: devices listed, read, claimed, changed, released; claim codes (rest-api-core.md §8)."""

import asyncio
from typing import Final

from starlette.datastructures import UploadFile
from starlette.responses import Response

from cyan.core.bus import Bus
from cyan.core.errors import InvalidError
from cyan.devices import shapes
from cyan.devices.access import DeviceAccess
from cyan.devices.claimcodes import ClaimCodes, TooManyClaimCodesError
from cyan.devices.claiming import BelongsToSomeoneElseError, Claiming, NotOnlineError
from cyan.devices.flags import read_flag, set_development, set_updates_forced
from cyan.devices.listing import MalformedListingError, read_listing
from cyan.devices.model import (
    Device,
    InvalidDeviceNameError,
    InvalidNotesError,
    UnknownDeviceError,
    UpdatesForced,
    check_name,
    check_notes,
)
from cyan.devices.naming import rename
from cyan.devices.notes import write_notes
from cyan.devices.provisioning import NotARegistrarError, Provisioning, UnknownPlatformError
from cyan.devices.resource import (
    FLASH_KEYS,
    DeviceResource,
    NotBuiltError,
    StoredChange,
    StoredKey,
)
from cyan.devices.transfers import TooManyTransfersError, Transfers
from cyan.plans.model import DeviceLimitError
from cyan.rest.body import MULTIPART, URLENCODED
from cyan.rest.call import Call
from cyan.rest.errors import (
    NO_STORE,
    bad_request,
    errors_list,
    not_implemented,
    permission_denied,
)
from cyan.rest.registry import JSON, Route
from cyan.rest.responses import JsonResponse, json_response
from cyan.rest.shapes import Done

_ID_SPELLINGS = ("id", "deviceID", "deviceId", "deviceid", "device_id")
"""Clients do not agree (rest-api-core.md §24)."""

RENDERED_AT_ONCE: Final = 100
"""Devices of a list before others have their turn on the loop: 2 ms of work."""

MAX_FIRMWARE_BYTES = 17 * 1024 * 1024
"""Of a request with firmware or sources; ours: the largest that is taken of them, and some."""

_TRUE = (True, "true", "1")
"""Forms carry text (rest-api-core.md §1.1)."""


def get_device(access: DeviceAccess, call: Call) -> Device:
    """The device in the path. Raises ApiError 403, alike for an unknown one and a stranger's."""
    try:
        return access.get(call.caller, call.path["device"])
    except UnknownDeviceError as error:
        raise permission_denied() from error


class _Endpoints:
    def __init__(
        self,
        access: DeviceAccess,
        claiming: Claiming,
        transfers: Transfers,
        provisioning: Provisioning,
        resource: DeviceResource,
    ) -> None:
        self._provisioning = provisioning
        self._access = access
        self._claiming = claiming
        self._transfers = transfers
        self._resource = resource

    async def list(self, call: Call) -> Response:
        query = call.query
        try:
            listing = read_listing(
                device_id=query.get("deviceId", ""),
                device_name=query.get("deviceName", ""),
                serial_number=query.get("serialNumber", ""),
                sort_attr=query.get("sortAttr", ""),
                sort_dir=query.get("sortDir", ""),
                page=query.get("page", ""),
                page_size=query.get("per_page") or query.get("perPage", ""),
            )
        except MalformedListingError as error:
            raise bad_request(error.message) from error
        own = self._access.list_own(call.caller)
        chosen, count = listing.choose(own, self._resource.last_handshake_ms)
        rendered: list[bytes] = []
        for start in range(0, len(chosen), RENDERED_AT_ONCE):
            ids = [device.id for device in chosen[start : start + RENDERED_AT_ONCE]]
            rendered += self._resource.encode_each(self._access.get_some(call.caller, ids))
            await asyncio.sleep(0)
        headers = {"x-total-count": str(count)}
        return JsonResponse(b"[%b]" % b",".join(rendered), headers=headers)

    def get(self, call: Call) -> Response:
        device = get_device(self._access, call)
        return JsonResponse(self._resource.encode(device, call.caller.username))

    async def claim(self, call: Call) -> Response:
        fields = await call.body()
        id_text = next((fields[name] for name in _ID_SPELLINGS if fields.get(name)), None)
        if id_text is None:
            if "product_id" in fields:
                return await self._create(call, fields["product_id"])
            raise errors_list(400, ["arg.deviceID is empty"])
        if not isinstance(id_text, str):
            raise errors_list(400, ["The id of a device is text of 24 hexadecimal digits."])
        try:
            claim = await self._claiming.claim(call.caller, id_text)
        except (UnknownDeviceError, NotOnlineError) as error:
            raise errors_list(404, [error.message]) from error
        except BelongsToSomeoneElseError as error:
            if fields.get("request_transfer") in _TRUE:
                return await self._request_transfer(call, id_text)
            raise errors_list(403, [error.message]) from error
        except DeviceLimitError as error:
            raise errors_list(403, [error.message]) from error
        return json_response(
            {
                "user_id": call.caller.user_id,
                "id": claim.device_id,
                "deviceID": claim.device_id,
                "connected": claim.online,
                "claimed": True,
                "ok": True,
            }
        )

    async def _create(self, call: Call, product_id: object) -> Response:
        number = str(product_id)
        if not number.isascii() or not number.isdigit() or len(number) > 9:
            raise bad_request(UnknownPlatformError().message)
        try:
            made = await self._provisioning.create(call.caller, int(number))
        except UnknownPlatformError as error:
            raise bad_request(error.message) from error
        except (NotARegistrarError, DeviceLimitError) as error:
            raise errors_list(403, [error.message]) from error
        return JsonResponse(self._resource.encode(made, call.caller.username))

    async def _request_transfer(self, call: Call, id_text: str) -> Response:
        try:
            transfer = await self._transfers.request(call.caller, id_text)
        except UnknownDeviceError as error:
            raise errors_list(404, [error.message]) from error
        except TooManyTransfersError as error:
            raise errors_list(429, [error.message]) from error
        return json_response({"ok": True, "transfer_id": transfer.id})

    async def change(self, call: Call) -> Response:
        device = get_device(self._access, call)
        fields = await call.body()
        has_file = any(_has_file(value) for value in fields.values())
        try:
            if has_file or not FLASH_KEYS.isdisjoint(fields):
                return json_response(await self._resource.flash(call.caller, device, fields))
            reply = await self._resource.change(call.caller, device, fields)
        except NotBuiltError as error:
            raise not_implemented(f"This server cannot change {error.key!r} yet.") from error
        except InvalidError as error:
            raise bad_request(error.message) from error
        except UnknownDeviceError as error:
            raise permission_denied() from error
        return json_response(reply)

    async def release(self, call: Call) -> Response:
        device = get_device(self._access, call)
        try:
            await self._claiming.release(call.caller, device)
        except UnknownDeviceError as error:
            raise permission_denied() from error
        return json_response({"ok": True})


def claim_code_routes(codes: ClaimCodes) -> list[Route]:
    """The route that makes claim codes."""

    async def create(call: Call) -> Response:
        # Clients may add the SIM of the device or an activation code: of no use here.
        await call.body()
        try:
            made = await codes.create(call.caller)
        except TooManyClaimCodesError as error:
            raise errors_list(429, [error.message]) from error
        body = {"claim_code": made.code, "device_ids": made.device_ids}
        return json_response(body, headers=NO_STORE)

    return [
        Route(
            "POST",
            "/v1/device_claims",
            create,
            scope="devices:claim",
            summary="Get a claim code for a device that is being set up",
            request=shapes.ClaimCodeRequest,
            response=shapes.ClaimCodeReply,
        )
    ]


def _has_file(value: object) -> bool:
    return isinstance(value, UploadFile) or (
        isinstance(value, list) and any(isinstance(item, UploadFile) for item in value)
    )


def _prepare_name(value: object) -> StoredChange:
    if not isinstance(value, str):
        raise InvalidDeviceNameError("A device name is text.")
    name = check_name(value)
    return lambda connection, device, caller, at_ms: rename(
        connection, device.id, caller.user_id, name, at_ms=at_ms
    )


def _prepare_notes(value: object) -> StoredChange:
    if not isinstance(value, str | None):
        raise InvalidNotesError
    notes = None if value is None else check_notes(value)
    return lambda connection, device, caller, at_ms: write_notes(
        connection, device.id, caller.user_id, notes, at_ms=at_ms
    )


def _prepare_development(value: object) -> StoredChange:
    flag = read_flag("development", value)
    return lambda connection, device, caller, at_ms: set_development(
        connection, device.id, caller.user_id, flag, at_ms=at_ms
    )


def _prepare_forced(value: object) -> StoredChange:
    flag = read_flag("firmware_updates_forced", value)
    return lambda connection, device, caller, at_ms: set_updates_forced(
        connection, device.id, caller.user_id, flag, at_ms=at_ms
    )


def forced_key(bus: Bus) -> StoredKey:
    """The key `firmware_updates_forced`, whose change is told on the bus."""
    return StoredKey(
        "firmware_updates_forced",
        _prepare_forced,
        lambda device, fields: bus.publish(
            UpdatesForced(device.id, bool(fields["firmware_updates_forced"]))
        ),
    )


def routes(
    access: DeviceAccess,
    claiming: Claiming,
    transfers: Transfers,
    provisioning: Provisioning,
    resource: DeviceResource,
) -> list[Route]:
    """The routes of this feature; gives `resource` the keys `name`, `notes`, `development`."""
    resource.add_key(StoredKey("name", _prepare_name))
    resource.add_key(StoredKey("notes", _prepare_notes))
    resource.add_key(StoredKey("development", _prepare_development))
    on = _Endpoints(access, claiming, transfers, provisioning, resource)
    one = "/v1/devices/{device}"
    return [
        Route(
            "GET",
            "/v1/devices",
            on.list,
            scope="devices:list",
            summary="List your devices",
            query=shapes.ListQuery,
            response=list[shapes.ListedDevice],
        ),
        Route(
            "POST",
            "/v1/devices",
            on.claim,
            scope="devices:claim",
            summary="Claim a device, ask for somebody else's, or make one",
            request=shapes.ClaimRequest,
            response=shapes.ClaimReply,
        ),
        Route(
            "GET",
            one,
            on.get,
            scope="devices:get",
            summary="Look at a device",
            response=shapes.Device,
            never_waits=True,
        ),
        Route(
            "PUT",
            one,
            on.change,
            scope="devices:update",
            summary="Change a device, or send it firmware",
            request=shapes.ChangeRequest,
            response=shapes.ChangeReply,
            max_body_bytes=MAX_FIRMWARE_BYTES,
            request_media=(JSON, URLENCODED, MULTIPART),
        ),
        Route(
            "DELETE",
            one,
            on.release,
            scope="devices:release",
            summary="Give a device up",
            response=Done,
        ),
    ]
