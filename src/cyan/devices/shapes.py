"""The JSON that the routes of devices take and give (rest-api-core.md §8)."""

from typing import Any, Literal

import msgspec

from cyan.devices.labels import LabelDetail, LabelFields
from cyan.devices.resource import DeviceDetail, DeviceSummary


def _joined(
    name: str, *parts: type[msgspec.Struct], optional: bool = False
) -> type[msgspec.Struct]:
    """One struct of all fields; with `optional` none of them has to be there."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for field in (field for part in parts for field in msgspec.structs.fields(part)):
        if optional:
            fields.append((field.name, field.type | msgspec.UnsetType, msgspec.UNSET))
        elif field.required:
            fields.append((field.name, field.type))
        else:
            fields.append((field.name, field.type, field.default))
    return msgspec.defstruct(name, fields, kw_only=True)


class ListedDevice(DeviceSummary, frozen=True):
    """A device in a list, with what its label says."""

    serial_number: str | msgspec.UnsetType = msgspec.UNSET
    mac_wifi: str | msgspec.UnsetType = msgspec.UNSET


Device = _joined("Device", DeviceSummary, DeviceDetail, LabelFields, LabelDetail)
"""The single device. What a feature adds by a reader is declared here, too."""


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


class _Claimed(msgspec.Struct):
    ok: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    user_id: str | msgspec.UnsetType = msgspec.UNSET
    deviceID: str | msgspec.UnsetType = msgspec.UNSET  # noqa: N815 - as clients spell it
    claimed: bool | msgspec.UnsetType = msgspec.UNSET
    transfer_id: str | msgspec.UnsetType = msgspec.UNSET


ClaimReply = _joined(
    "ClaimReply", _Claimed, DeviceSummary, DeviceDetail, LabelFields, LabelDetail, optional=True
)
ClaimReply.__doc__ = """Claimed: `ok`, `user_id`, `id`, `deviceID`, `connected`, `claimed`; or the
owner was asked for the device: then there are `ok` and `transfer_id` only; or a device was made:
then it is the device as `GET` shows it."""


class ChangeRequest(msgspec.Struct, omit_defaults=True):
    """Any of them, together; `signal` is "1" or "0". Other keys of the platform answer 501.

    Or firmware, as `multipart/form-data`: `file`, `file2` … are binaries, one bundle or sources
    (`build_target_version` is the Device OS to compile them for), or `binary_id` names what was
    compiled here, or `app` a known application.
    """

    name: str | msgspec.UnsetType = msgspec.UNSET
    notes: str | msgspec.UnsetType | None = msgspec.UNSET
    development: bool | str | msgspec.UnsetType = msgspec.UNSET
    firmware_updates_forced: bool | str | msgspec.UnsetType = msgspec.UNSET
    signal: str | int | bool | msgspec.UnsetType = msgspec.UNSET
    file: str | msgspec.UnsetType = msgspec.UNSET
    file_type: str | msgspec.UnsetType = msgspec.UNSET
    build_target_version: str | msgspec.UnsetType = msgspec.UNSET
    binary_id: str | msgspec.UnsetType = msgspec.UNSET
    app: str | msgspec.UnsetType = msgspec.UNSET


class ChangeReply(msgspec.Struct):
    """The device, and what was changed, as it is now. What a feature's key answers is declared
    here, too."""

    id: str
    name: str | msgspec.UnsetType = msgspec.UNSET
    notes: str | msgspec.UnsetType | None = msgspec.UNSET
    development: bool | msgspec.UnsetType = msgspec.UNSET
    firmware_updates_forced: bool | msgspec.UnsetType = msgspec.UNSET
    connected: bool | msgspec.UnsetType = msgspec.UNSET
    signaling: bool | msgspec.UnsetType = msgspec.UNSET
    updated_at: str | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET
    """Of firmware: `Update started`."""
    update_id: str | msgspec.UnsetType = msgspec.UNSET
    """Of firmware: `/v1/devices/{device}/firmware/updates/{update_id}` tells how it goes."""
    ok: bool | msgspec.UnsetType = msgspec.UNSET
    """Of sources: whether they compile; then also `message`, else what the compiler said."""
    message: str | msgspec.UnsetType = msgspec.UNSET
    output: str | msgspec.UnsetType = msgspec.UNSET
    stdout: str | msgspec.UnsetType = msgspec.UNSET
    errors: list[str] | msgspec.UnsetType = msgspec.UNSET
    code: int | msgspec.UnsetType = msgspec.UNSET


class ClaimCodeRequest(msgspec.Struct):
    iccid: str | msgspec.UnsetType = msgspec.UNSET


class ClaimCodeReply(msgspec.Struct):
    """`device_ids` are the caller's own by now."""

    claim_code: str
    device_ids: list[str]
