"""REST: functions, variables, ping, and the `signal` key (rest-api-core.md §8.3 and 8.4)."""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import PlainTextResponse, Response

from cyan.calls import shapes
from cyan.calls.model import (
    ArgumentTooLongError,
    UnknownFunctionError,
    UnknownVariableError,
    UnreadableVariableError,
)
from cyan.calls.service import Calls, Value
from cyan.core.clock import iso_ms
from cyan.core.errors import InvalidError
from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
)
from cyan.devices.access import DeviceAccess
from cyan.devices.api import get_device
from cyan.devices.model import Device
from cyan.devices.resource import DeviceResource, LiveChange, LiveKey, PresenceView
from cyan.rest.auth import Caller
from cyan.rest.call import Call
from cyan.rest.errors import ApiError, ok_false
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response

_ARGUMENT_SPELLINGS: Final = ("arg", "args", "params")
"""Forms of the documentation, api-js and iOS, old clients (rest-api-core.md §8.3)."""

_ON: Final = ("1", 1, True, "true", "on")
_OFF: Final = ("0", 0, False, "false", "off")

TIMED_OUT: Final = "timed out"
"""What a call to an offline device and one without an answer say (platform-semantics.md §21)."""


class _Endpoints:
    def __init__(self, access: DeviceAccess, calls: Calls, presence: PresenceView) -> None:
        self._access = access
        self._calls = calls
        self._presence = presence

    async def call_function(self, call: Call) -> Response:
        device = get_device(self._access, call)
        fields = await call.body()
        try:
            result = await self._calls.call_function(
                device, call.path["function"], _argument(fields)
            )
        except UnknownFunctionError as error:
            raise ok_false(404, error.message) from error
        except ArgumentTooLongError as error:
            raise ok_false(400, error.message) from error
        except (DeviceOfflineError, DeviceTimeoutError, DeviceRefusedError) as error:
            raise unanswered(error) from error
        if _is_raw(call, fields):
            return PlainTextResponse(str(result))
        return json_response(
            {
                "id": device.id,
                "name": device.name,
                "last_app": "",
                "connected": True,
                "return_value": result,
            }
        )

    async def read_variable(self, call: Call) -> Response:
        device = get_device(self._access, call)
        name = call.path["variable"]
        try:
            value = await self._calls.read_variable(device, name)
        except UnknownVariableError as error:
            raise ok_false(404, error.message) from error
        except UnreadableVariableError as error:
            raise ok_false(502, error.message) from error
        except (DeviceOfflineError, DeviceTimeoutError, DeviceRefusedError) as error:
            raise unanswered(error) from error
        if _is_raw(call, {}):
            return PlainTextResponse(_as_text(value))
        return json_response(
            {
                "cmd": "VarReturn",
                "name": name,
                "result": value,
                "coreInfo": self._core_info(device),
            }
        )

    async def ping(self, call: Call) -> Response:
        device = get_device(self._access, call)
        online = await self._calls.is_answering(device)
        return json_response({"online": online, "ok": True})

    def prepare_signal(self, value: object) -> LiveChange:
        if value not in _ON and value not in _OFF:
            raise InvalidError('The signal is "1" to start it and "0" to stop it.')
        on = value in _ON

        async def signal(device: Device, _caller: Caller) -> Mapping[str, object]:
            try:
                await self._calls.signal(device, on)
            except (DeviceOfflineError, DeviceTimeoutError, DeviceRefusedError) as error:
                raise unanswered(error) from error
            return {"connected": True, "signaling": on}

        return signal

    def _core_info(self, device: Device) -> dict[str, object]:
        heard = self._presence.last_heard_ms(device.id)
        handshake = self._presence.last_handshake_ms(device.id)
        return {
            "last_app": "",
            "last_heard": None if heard is None else iso_ms(heard),
            # It has just answered; the mobile SDK rejects the reply otherwise.
            "connected": True,
            "last_handshake_at": None if handshake is None else iso_ms(handshake),
            "deviceID": device.id,
            "product_id": device.platform_id,
            "name": device.name,
        }


def _argument(fields: Mapping[str, object]) -> str:
    value = next((fields[name] for name in _ARGUMENT_SPELLINGS if name in fields), None)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    raise ok_false(400, "The argument of a function is text.")


def _is_raw(call: Call, fields: Mapping[str, object]) -> bool:
    return call.query.get("format") == "raw" or fields.get("format") == "raw"


def _as_text(value: Value) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def unanswered(error: DeviceOfflineError | DeviceTimeoutError | DeviceRefusedError) -> ApiError:
    """The refusal for a request that the device did not take or answer."""
    if isinstance(error, DeviceBusyError):
        return ok_false(429, error.message)
    if isinstance(error, DeviceRefusedError):
        return ok_false(502, error.message)
    return ok_false(408, TIMED_OUT)


def routes(
    access: DeviceAccess, calls: Calls, presence: PresenceView, resource: DeviceResource
) -> list[Route]:
    """The routes of this feature; gives `resource` the key `signal`."""
    on = _Endpoints(access, calls, presence)
    resource.add_key(LiveKey("signal", on.prepare_signal))
    one = "/v1/devices/{device}"
    return [
        Route(
            "GET",
            one + "/{variable}",
            on.read_variable,
            scope="devices.variable:get",
            summary="Read a variable",
            query=shapes.RawQuery,
            response=(Reply(shapes.VariableReply), Reply(str, media_type="text/plain")),
        ),
        Route(
            "POST",
            one + "/{function}",
            on.call_function,
            scope="devices.function:call",
            summary="Call a function",
            query=shapes.RawQuery,
            request=shapes.FunctionRequest,
            response=(Reply(shapes.FunctionReply), Reply(str, media_type="text/plain")),
        ),
        Route(
            "PUT",
            one + "/ping",
            on.ping,
            scope="devices:ping",
            summary="Ping a device",
            response=shapes.PingReply,
        ),
    ]
