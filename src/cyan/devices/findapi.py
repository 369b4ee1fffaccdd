"""REST: devices found by what stands on them or how they begin (rest-api-core.md §8.9, §9)."""

from typing import Final, Literal

import msgspec
from starlette.responses import Response

from cyan.devices.access import DeviceAccess
from cyan.devices.labels import Labels, TooManyLookupsError, UnknownSerialNumberError
from cyan.devices.model import Device
from cyan.rest.call import Call
from cyan.rest.errors import bad_request, errors_list, ok_false
from cyan.rest.registry import Route
from cyan.rest.responses import json_response

MAX_RESULTS: Final = 10
"""Of one type (rest-api-core.md §9)."""

MAX_TEXT_CHARACTERS: Final = 64
"""The longest of what is looked at is a name."""

_TYPES: Final = frozenset({"device", "product", "sim"})


class SerialNumberReply(msgspec.Struct, omit_defaults=True):
    """Clients do not agree on the spelling (rest-api-core.md §8.9)."""

    ok: Literal[True]
    serial_number: str
    device_id: str
    deviceID: str  # noqa: N815 - as the documentation spells it
    platform_id: int | None
    iccid: str | msgspec.UnsetType = msgspec.UNSET
    mobile_secret: str | msgspec.UnsetType = msgspec.UNSET


class SearchQuery(msgspec.Struct):
    """`type` is device, product or sim, or some of them with commas; all without it."""

    text: str
    type: str = ""


class FoundDevice(msgspec.Struct):
    id: str
    name: str | None
    product_id: int | None
    serial_number: str | None


class SearchResult(msgspec.Struct):
    type: Literal["device"]
    device: FoundDevice


class SearchReply(msgspec.Struct, rename="camel"):
    """At most 10 results of each type. Devices alone are found yet."""

    ok: Literal[True]
    results: list[SearchResult]
    has_more: bool


class _Endpoints:
    def __init__(self, access: DeviceAccess, labels: Labels) -> None:
        self._access = access
        self._labels = labels

    async def look_up(self, call: Call) -> Response:
        try:
            device = self._labels.find(call.caller, call.path["serial"])
        except UnknownSerialNumberError as error:
            raise ok_false(404, error.message) from error
        except TooManyLookupsError as error:
            raise errors_list(429, [error.message]) from error
        reply = SerialNumberReply(
            ok=True,
            serial_number=device.serial_number or "",
            device_id=device.id,
            deviceID=device.id,
            platform_id=device.platform_id,
        )
        if device.owner_id == call.caller.user_id:
            reply.iccid = device.iccid or msgspec.UNSET
            reply.mobile_secret = self._labels.secret_of(device) or msgspec.UNSET
        return json_response(reply)

    async def search(self, call: Call) -> Response:
        text = call.query.get("text", "").strip()
        if not text or len(text) > MAX_TEXT_CHARACTERS:
            raise bad_request(f"text has from 1 to {MAX_TEXT_CHARACTERS} characters.")
        wanted = {
            word.strip()
            for value in call.query.getlist("type")
            for word in value.split(",")
            if word.strip()
        }
        if not wanted <= _TYPES:
            raise bad_request("type is device, product or sim, or some of them with commas.")
        found: list[Device] = []
        if not wanted or "device" in wanted:
            found = self._access.search_own(call.caller, text, MAX_RESULTS + 1)
        return json_response(
            SearchReply(
                ok=True,
                results=[_result(device) for device in found[:MAX_RESULTS]],
                has_more=len(found) > MAX_RESULTS,
            )
        )


def _result(device: Device) -> SearchResult:
    found = FoundDevice(device.id, device.name, device.platform_id, device.serial_number)
    return SearchResult("device", found)


def routes(access: DeviceAccess, labels: Labels) -> list[Route]:
    """Serial number lookup and search."""
    on = _Endpoints(access, labels)
    return [
        Route(
            "GET",
            "/v1/serial_numbers/{serial}",
            on.look_up,
            summary="Find one's own or nobody's device by its serial number",
            response=SerialNumberReply,
        ),
        Route(
            "GET",
            "/v1/user/search",
            on.search,
            scope="devices:list",
            summary="Search one's devices by the beginning of id, name, serial number, ICCID, IMEI",
            query=SearchQuery,
            response=SearchReply,
        ),
    ]
