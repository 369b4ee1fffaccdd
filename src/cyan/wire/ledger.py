"""What devices and the cloud say of ledgers: requests and responses in protobuf, in both
directions (device-protocol.md section 6).

Request: type (field 1), then the message of that type in a field of its own. Response: result
(field 1, zig-zag), text (field 2), then the message of the request's type. Fields are written in
the order of their numbers, and data last, because firmware reads them as a stream.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from cyan.wire.errors import MalformedError
from cyan.wire.protobuf.reader import Field, read_fields
from cyan.wire.protobuf.writer import (
    bytes_field,
    fixed64_field,
    optional_bytes_field,
    uint_field,
)

MAX_DATA: Final = 16_384
MAX_NAME: Final = 32
MAX_SCOPE_ID: Final = 32
MAX_LEDGERS: Final = 20
"""Of one device, and so in one message (section 6.2)."""

MAX_REQUEST: Final = MAX_DATA + 256
"""Bytes of the longest request: data, a name, a scope id, a stamp, and what is between them."""

GET_INFO, SET_DATA, GET_DATA, SUBSCRIBE, NOTIFY_UPDATE, RESET_INFO = range(1, 7)
"""Types of requests. The message of type t is field t + 1 of a request, t + 2 of a response."""

OK, ERROR, NOT_FOUND, INVALID_SYNC_DIRECTION, SCOPE_CHANGED, INVALID_DATA, TOO_LARGE_DATA = range(7)
"""Results."""

DEVICE_SCOPE, PRODUCT_SCOPE, OWNER_SCOPE = 1, 2, 3
DEVICE_TO_CLOUD, CLOUD_TO_DEVICE = 1, 2


class Ref(msgspec.Struct, frozen=True):
    """A ledger as the device knows it."""

    name: str
    scope_id: bytes


class Stamped(msgspec.Struct, frozen=True):
    """A ledger and when it was written last, milliseconds since 1970; None for never."""

    name: str
    last_updated: int | None


class Info(msgspec.Struct, frozen=True):
    """What the cloud knows of a ledger."""

    name: str
    scope_id: bytes
    scope_type: int
    sync_direction: int
    last_updated: int | None = None


class GetInfo(msgspec.Struct, frozen=True):
    """The device asks what these ledgers are."""

    names: tuple[str, ...]


class SetData(msgspec.Struct, frozen=True):
    """The device wrote a ledger; `data` is a map in CBOR."""

    ledger: Ref
    last_updated: int | None
    data: bytes


class GetData(msgspec.Struct, frozen=True):
    """The device asks for the data, if it is newer than its own."""

    ledger: Ref
    last_updated: int | None


class Subscribe(msgspec.Struct, frozen=True):
    """The device wants to hear when these are written; the list takes the place of the last."""

    ledgers: tuple[Ref, ...]


class NotifyUpdate(msgspec.Struct, frozen=True):
    """The cloud wrote these."""

    ledgers: tuple[Stamped, ...]


class ResetInfo(msgspec.Struct, frozen=True):
    """What the device knows of its ledgers is old: it asks again."""


Request: TypeAlias = GetInfo | SetData | GetData | Subscribe | NotifyUpdate | ResetInfo


class Response(msgspec.Struct, frozen=True):
    """A response as the device reads it; what its request does not have is empty."""

    result: int = OK
    infos: tuple[Info, ...] = ()
    stamps: tuple[Stamped, ...] = ()
    last_updated: int | None = None
    data: bytes | None = None


# -- requests --------------------------------------------------------------------------------------


def decode_request(payload: bytes) -> Request:
    """Raises MalformedError, also for a type that we do not know."""
    type_, body = 0, b""
    for field in read_fields(payload):
        if field.number == 1:
            type_ = field.uint()
        elif field.number == type_ + 1:
            body = field.raw()
    fields = tuple(read_fields(body))
    if type_ == GET_INFO:
        return GetInfo(tuple(_name(field) for field in _listed(fields)))
    if type_ == SET_DATA:
        data = _find(fields, 10)
        return SetData(_ref(fields), _stamp(fields, 3), b"" if data is None else data.raw())
    if type_ == GET_DATA:
        return GetData(_ref(fields), _stamp(fields, 3))
    if type_ == SUBSCRIBE:
        inner = [tuple(read_fields(field.raw())) for field in _listed(fields)]
        return Subscribe(tuple(_ref(each) for each in inner))
    if type_ == NOTIFY_UPDATE:
        return NotifyUpdate(_stamps(fields))
    if type_ == RESET_INFO:
        return ResetInfo()
    raise MalformedError(f"ledger request of type {type_}")


def encode_request(request: Request) -> bytes:
    """Writes a request of either side."""
    match request:
        case GetInfo(names):
            return _request(GET_INFO, b"".join(bytes_field(1, name.encode()) for name in names))
        case SetData(ledger, last_updated, data):
            body = _write_ref(ledger) + _write_stamp(3, last_updated) + bytes_field(10, data)
            return _request(SET_DATA, body)
        case GetData(ledger, last_updated):
            return _request(GET_DATA, _write_ref(ledger) + _write_stamp(3, last_updated))
        case Subscribe(ledgers):
            listed = b"".join(bytes_field(1, _write_ref(ledger)) for ledger in ledgers)
            return _request(SUBSCRIBE, listed)
        case NotifyUpdate(ledgers):
            return _request(NOTIFY_UPDATE, _write_stamps(ledgers))
        case ResetInfo():
            return _request(RESET_INFO, b"")


def _request(type_: int, body: bytes) -> bytes:
    return uint_field(1, type_) + bytes_field(type_ + 1, body)


# -- responses -------------------------------------------------------------------------------------


def encode_info(infos: Sequence[Info]) -> bytes:
    """The answer to GetInfo. A ledger that does not exist for the device is left out."""
    return _response(GET_INFO, b"".join(bytes_field(1, _write_info(info)) for info in infos))


def encode_data_set() -> bytes:
    """The answer to SetData."""
    return _response(SET_DATA, b"")


def encode_data(last_updated: int | None, data: bytes | None) -> bytes:
    """The answer to GetData; no data when the device has the newest, or there never was any."""
    return _response(GET_DATA, _write_stamp(1, last_updated) + optional_bytes_field(10, data))


def encode_subscribed(ledgers: Sequence[Stamped]) -> bytes:
    """The answer to Subscribe: every ledger that was asked for."""
    return _response(SUBSCRIBE, _write_stamps(ledgers))


def encode_failure(result: int, text: str) -> bytes:
    """The answer to a request that was refused; `text` is for a person who reads a trace."""
    return uint_field(1, result << 1) + bytes_field(2, text.encode())


def decode_response(type_: int, payload: bytes) -> Response:
    """Reads the answer to a request of this type, for the device's side."""
    zigzag, body = 0, b""
    for field in read_fields(payload):
        if field.number == 1:
            zigzag = field.uint()
        elif field.number == type_ + 2:
            body = field.raw()
    fields = tuple(read_fields(body))
    result = zigzag >> 1 ^ -(zigzag & 1)
    if type_ == GET_INFO:
        inner = [tuple(read_fields(field.raw())) for field in _listed(fields)]
        return Response(result, infos=tuple(_info(each) for each in inner))
    if type_ == GET_DATA:
        data = _find(fields, 10)
        return Response(
            result, last_updated=_stamp(fields, 1), data=None if data is None else data.raw()
        )
    return Response(result, stamps=_stamps(fields) if type_ == SUBSCRIBE else ())


def _response(type_: int, body: bytes) -> bytes:
    return bytes_field(type_ + 2, body)


# -- parts -----------------------------------------------------------------------------------------


def _listed(fields: Sequence[Field]) -> list[Field]:
    listed = [field for field in fields if field.number == 1]
    if len(listed) > MAX_LEDGERS:
        raise MalformedError(f"{len(listed)} ledgers in one message")
    return listed


def _find(fields: Sequence[Field], number: int) -> Field | None:
    return next((field for field in fields if field.number == number), None)


def _name(field: Field | None) -> str:
    if field is None:
        raise MalformedError("ledger without a name")
    name = field.text()
    if not 1 <= len(name) <= MAX_NAME:
        raise MalformedError(f"ledger name of {len(name)} characters")
    return name


def _ref(fields: Sequence[Field]) -> Ref:
    scope_id = _find(fields, 2)
    raw = b"" if scope_id is None else scope_id.raw()
    if len(raw) > MAX_SCOPE_ID:
        raise MalformedError(f"ledger scope id of {len(raw)} bytes")
    return Ref(_name(_find(fields, 1)), raw)


def _write_ref(ledger: Ref) -> bytes:
    return bytes_field(1, ledger.name.encode()) + bytes_field(2, ledger.scope_id)


def _stamp(fields: Sequence[Field], number: int) -> int | None:
    field = _find(fields, number)
    if field is None:
        return None
    if field.integer is None:
        raise MalformedError("ledger stamp that is no number")
    return field.integer


def _write_stamp(number: int, stamp: int | None) -> bytes:
    return b"" if stamp is None else fixed64_field(number, stamp)


def _stamps(fields: Sequence[Field]) -> tuple[Stamped, ...]:
    inner = [tuple(read_fields(field.raw())) for field in _listed(fields)]
    return tuple(Stamped(_name(_find(each, 1)), _stamp(each, 2)) for each in inner)


def _write_stamps(ledgers: Sequence[Stamped]) -> bytes:
    return b"".join(
        bytes_field(1, bytes_field(1, each.name.encode()) + _write_stamp(2, each.last_updated))
        for each in ledgers
    )


def _info(fields: Sequence[Field]) -> Info:
    ref = _ref(fields)
    numbers = [_find(fields, number) for number in (3, 4)]
    scope_type, direction = (0 if field is None else field.uint() for field in numbers)
    return Info(ref.name, ref.scope_id, scope_type, direction, _stamp(fields, 5))


def _write_info(info: Info) -> bytes:
    return (
        _write_ref(Ref(info.name, info.scope_id))
        + uint_field(3, info.scope_type)
        + uint_field(4, info.sync_direction)
        + _write_stamp(5, info.last_updated)
    )
