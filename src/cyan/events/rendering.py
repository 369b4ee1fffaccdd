"""An event as readers of a stream see it: the JSON of rest-api-core.md §10.5, in one line."""

import base64
from functools import lru_cache

import msgspec

from cyan.core.clock import iso_ms
from cyan.events import cbor
from cyan.events.model import TEXT, Event
from cyan.wire.errors import MalformedError

TEXT_FORMATS = frozenset({TEXT, 40, 41, 50})
"""Content formats whose data is text (device-protocol.md §2.4)."""

STRUCTURED = 65001
"""Data is CBOR, to be shown as JSON (device-protocol.md §2.4)."""

_MEDIA_TYPES = {22: "image/jpeg", 23: "image/png", 47: "application/exi", 60: "application/cbor"}
_UNKNOWN_MEDIA_TYPE = "application/octet-stream"


class _Shape(msgspec.Struct):
    """Fields in the order of the platform's own streams."""

    data: cbor.Json
    ttl: int
    published_at: str
    coreid: str
    userid: str
    version: int
    public: bool


class _ProductShape(_Shape):
    productID: int  # noqa: N815


_encode = msgspec.json.Encoder().encode


def to_json(event: Event) -> bytes:
    """The value of the `data:` line. Without `productID` when the device is in no product."""
    shared = (
        _data(event),
        event.ttl_s,
        _stamp(event.published_at_ms),
        event.origin,
        event.owner_id or "",
        event.version,
        False,
    )
    if event.product_id is None:
        return _encode(_Shape(*shared))
    return _encode(_ProductShape(*shared, event.product_id))


def _data(event: Event) -> cbor.Json:
    data, content_format = event.data, event.content_format
    if data is None:
        return None
    if content_format in TEXT_FORMATS:
        return data.decode(errors="replace")
    media_type = _MEDIA_TYPES.get(content_format, _UNKNOWN_MEDIA_TYPE)
    if content_format == STRUCTURED:
        try:
            return cbor.decode(data)
        except MalformedError:
            media_type = "application/cbor"
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _stamp(epoch_ms: int) -> str:
    return f"{_second(epoch_ms // 1000)}{epoch_ms % 1000:03d}Z"


@lru_cache(maxsize=16)
def _second(epoch_s: int) -> str:
    """Everything up to the decimals; made anew for each event it would cost as much as the rest."""
    return iso_ms(epoch_s * 1000)[: -len("000Z")]
