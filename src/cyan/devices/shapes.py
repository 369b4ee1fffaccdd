"""The JSON that the routes of devices take and give (rest-api-core.md §8)."""

from typing import Literal

import msgspec

from cyan.devices.resource import DeviceDetail, DeviceSummary


def _joined(name: str, *parts: type[msgspec.Struct]) -> type[msgspec.Struct]:
    fields = [
        (field.name, field.type, field.default) if not field.required else (field.name, field.type)
        for part in parts
        for field in msgspec.structs.fields(part)
    ]
    return msgspec.defstruct(name, fields, kw_only=True)


Device = _joined("Device", DeviceSummary, DeviceDetail)
"""The single device; features may add fields."""


class ListQuery(msgspec.Struct, omit_defaults=True):
    """Nothing: all devices, the newest handshake first. Texts are looked for anywhere inside.
    `perPage` is another spelling; `x-total-count` says how many there are on all pages."""

    deviceId: str = ""  # noqa: N815 - as the platform spells them for a product
    deviceName: str = ""  # noqa: N815
    serialNumber: str = ""  # noqa: N815
    sortAttr: str = ""  # noqa: N815
    sortDir: str = ""  # noqa: N815
    page: int = 1
    per_page: int = 25


class ClaimRequest(msgspec.Struct):
    """`deviceID`, `deviceId`, `deviceid` and `device_id` are other spellings of `id`."""

    id: str | msgspec.UnsetType = msgspec.UNSET
    request_transfer: bool | str = False
    product_id: int | str | msgspec.UnsetType = msgspec.UNSET
    """Without `id`: make a device for this platform. For registrars."""


class ClaimReply(msgspec.Struct):
    """Claimed; or the owner was asked for the device: then there are `ok` and `transfer_id` only;
    or a device was made: then it is the device as `GET` shows it."""

    ok: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    user_id: str | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    deviceID: str | msgspec.UnsetType = msgspec.UNSET  # noqa: N815 - as clients spell it
    connected: bool | msgspec.UnsetType = msgspec.UNSET
    claimed: bool | msgspec.UnsetType = msgspec.UNSET
    transfer_id: str | msgspec.UnsetType = msgspec.UNSET


class ChangeRequest(msgspec.Struct, omit_defaults=True):
    """Any of them, together; `signal` is "1" or "0". Other keys of the platform answer 501."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    notes: str | msgspec.UnsetType | None = msgspec.UNSET
    development: bool | str | msgspec.UnsetType = msgspec.UNSET
    firmware_updates_forced: bool | str | msgspec.UnsetType = msgspec.UNSET
    signal: str | int | bool | msgspec.UnsetType = msgspec.UNSET


class ChangeReply(msgspec.Struct):
    """The device, and what was changed, as it is now."""

    id: str


class ClaimCodeRequest(msgspec.Struct):
    iccid: str | msgspec.UnsetType = msgspec.UNSET


class ClaimCodeReply(msgspec.Struct):
    """`device_ids` are the caller's own by now."""

    claim_code: str
    device_ids: list[str]
