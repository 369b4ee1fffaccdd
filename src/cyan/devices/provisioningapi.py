"""REST: the key that proves a device (rest-api-core.md §8.8)."""

import msgspec
from starlette.responses import Response

from cyan.core.ids import MalformedDeviceIdError, parse_device_id
from cyan.devices.keys import KeyInUseError
from cyan.devices.model import UnknownDeviceError
from cyan.devices.provisioning import Provisioning
from cyan.devices.registry import MalformedKeyError, read_public_key
from cyan.rest.call import Call
from cyan.rest.errors import bad_request, described, permission_denied
from cyan.rest.registry import Route
from cyan.rest.responses import json_response


class KeyRequest(msgspec.Struct, rename="camel"):
    """What clients add (`deviceID`, `filename`, `order`, `algorithm`, `product_id`) is not needed:
    the key says of what kind it is."""

    public_key: str
    """PEM."""


def routes(provisioning: Provisioning) -> list[Route]:
    """The route that sets a device's key."""

    async def set_key(call: Call) -> Response:
        fields = await call.body()
        pem = fields.get("publicKey")
        if not isinstance(pem, str):
            raise bad_request("The request needs publicKey: the device's public key as PEM.")
        _check_same_device(call.path["device"], fields.get("deviceID"))
        try:
            public_key = read_public_key(pem.encode(errors="replace"))
            await provisioning.set_key(call.caller, call.path["device"], public_key)
        except MalformedKeyError as error:
            raise bad_request(error.message) from error
        except KeyInUseError as error:
            raise described(409, "conflict", error.message) from error
        except UnknownDeviceError as error:
            raise permission_denied() from error
        return json_response("Success!")

    return [
        Route(
            "POST",
            "/v1/provisioning/{device}",
            set_key,
            scope="devices:update",
            summary="Set the public key of a device",
            request=KeyRequest,
            response=str,
        )
    ]


def _check_same_device(in_path: str, in_body: object) -> None:
    """Clients name the device twice; when they name two, one of them is a mistake."""
    if not isinstance(in_body, str):
        return
    try:
        same = parse_device_id(in_body) == parse_device_id(in_path)
    except MalformedDeviceIdError:
        return
    if not same:
        raise bad_request("The path and deviceID name two different devices.")
