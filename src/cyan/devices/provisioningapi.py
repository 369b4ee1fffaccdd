"""REST: the key that proves a device (rest-api-core.md §8.8)."""

from typing import Final

import msgspec
from starlette.responses import Response

from cyan.core.ids import MalformedDeviceIdError, parse_device_id
from cyan.devices.keys import KeyInUseError
from cyan.devices.model import KNOWN_PLATFORMS, UnknownDeviceError
from cyan.devices.provisioning import Provisioning
from cyan.devices.registry import MalformedKeyError, read_public_key
from cyan.rest.call import Call
from cyan.rest.errors import bad_request, described, permission_denied
from cyan.rest.registry import Route
from cyan.rest.responses import json_response

_PLATFORMS: Final = frozenset(map(str, KNOWN_PLATFORMS))


class KeyRequest(msgspec.Struct, rename="camel"):
    """What clients add (`deviceID`, `filename`, `order`, `algorithm`) is not needed: the key says
    of what kind it is."""

    public_key: str
    """PEM."""
    product_id: int | str | msgspec.UnsetType | None = msgspec.field(
        default=msgspec.UNSET, name="product_id"
    )
    """The number of the platform of a device that is made known by this request."""


def routes(provisioning: Provisioning) -> list[Route]:
    """The route that sets a device's key."""

    async def set_key(call: Call) -> Response:
        fields = await call.body()
        pem = fields.get("publicKey")
        if not isinstance(pem, str):
            raise bad_request("The request needs publicKey: the device's public key as PEM.")
        _check_same_device(call.path["device"], fields.get("deviceID"))
        platform_id = _platform(fields.get("product_id"))
        try:
            public_key = read_public_key(pem.encode(errors="replace"))
            await provisioning.set_key(call.caller, call.path["device"], public_key, platform_id)
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


def _platform(product_id: object) -> int | None:
    """What `particle keys send --product_id` gives. A device with a platform's number is in no
    product (rest-api-core.md §8.1), and a person who names a product wants it to be in one."""
    if product_id in (None, ""):  # a form has no other way to say None
        return None
    number = str(product_id)
    if number not in _PLATFORMS:
        raise bad_request(
            "product_id has to be the number of a platform, like 13 for Boron or 32 for Photon 2:"
            " this server has no products yet. Without it the device tells its platform itself."
        )
    return int(number)
