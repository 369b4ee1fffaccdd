"""Hello: the first message of a device after a handshake, and the cloud's own on TCP
(device-protocol.md section 3.2)."""

from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError

OTA_APPLIED: Final = 0x01
DIAGNOSTICS: Final = 0x02
IMMEDIATE_UPDATES: Final = 0x04
KNOWS_GOODBYE: Final = 0x10
DEVICE_INITIATED_DESCRIBE: Final = 0x20
COMPRESSED_OTA: Final = 0x40
OTA_V3: Final = 0x80

NO_VERSION: Final = 0xFFFF
"""The product version of firmware that declares none."""

DEVICE_ID_BYTES: Final = 12

_FIXED: Final = 8
_TAIL: Final = (2, 2, 4, 2)
"""Sizes of system version, max message size, max binary size, OTA chunk size."""


class Hello(msgspec.Struct, frozen=True):
    """What a device says of itself; None where older firmware does not say it.

        0  u16  product id            8  u16  length of the device id: 12 on UDP, 0 on TCP
        2  u16  product version      10  n    device id
        4  u16  flags                +0  u16  system version, 6200 is 6.2.0
        6  u16  platform id          +2  u16  max message size
                                     +4  u32  max binary size
                                     +8  u16  OTA chunk size

    All big endian, sizes in bytes. The oldest firmware ends after the platform id.
    """

    product_id: int
    product_version: int
    flags: int
    platform_id: int
    device_id: bytes = b""
    system_version: int | None = None
    max_message_size: int | None = None
    max_binary_size: int | None = None
    ota_chunk_size: int | None = None


class CloudHello(msgspec.Struct, frozen=True):
    """The cloud's Hello, with nothing in it. On TCP a device waits 4 s for it; on UDP it only
    clears the mark of the last update (`OTA_APPLIED`), which Gen 2 keeps until then."""


def decode_hello(message: coap.Message) -> Hello:
    """Reads `POST h`. Bytes after the last field that we know are ignored."""
    payload = message.payload
    size = len(payload)
    if size < _FIXED:
        raise MalformedError(f"Hello of {size} bytes")
    product_id, product_version, flags, platform_id = (
        int.from_bytes(payload[at : at + 2], "big") for at in range(0, _FIXED, 2)
    )
    device_id = b""
    tail: list[int | None] = [None] * len(_TAIL)
    if size > _FIXED:
        position = _FIXED + 2
        id_length = int.from_bytes(payload[_FIXED:position], "big")
        if id_length not in (0, DEVICE_ID_BYTES) or size < position + id_length:
            raise MalformedError(f"Hello of {size} bytes with a device id of {id_length}")
        device_id = payload[position : position + id_length]
        position += id_length
        for index, width in enumerate(_TAIL):
            if position == size:
                break
            if position + width > size:
                raise MalformedError(f"Hello of {size} bytes ends inside a field")
            tail[index] = int.from_bytes(payload[position : position + width], "big")
            position += width
    return Hello(product_id, product_version, flags, platform_id, device_id, *tail)


def encode_hello(message_id: int, hello: Hello, *, confirmable: bool = True) -> bytes:
    """Writes `POST h`: confirmable on UDP, not on TCP."""
    if len(hello.device_id) not in (0, DEVICE_ID_BYTES):
        raise MisuseError(f"device id of {len(hello.device_id)} bytes")
    fields = (hello.product_id, hello.product_version, hello.flags, hello.platform_id)
    payload = b"".join(_field(value, 2) for value in fields)
    tail = (
        hello.system_version,
        hello.max_message_size,
        hello.max_binary_size,
        hello.ota_chunk_size,
    )
    given = [value for value in tail if value is not None]
    if tuple(given) != tail[: len(given)]:
        raise MisuseError("Hello field after one that is missing")
    if hello.device_id or given:
        payload += _field(len(hello.device_id), 2) + hello.device_id
        payload += b"".join(
            _field(value, width) for value, width in zip(given, _TAIL, strict=False)
        )
    type_ = coap.CON if confirmable else coap.NON
    path = ((coap.URI_PATH, b"h"),)
    return coap.encode(coap.Message(type_, coap.POST, message_id, b"", path, payload))


def encode_cloud_hello(message_id: int, *, confirmable: bool = False) -> bytes:
    """Writes `POST h` as a cloud sends it; a device acknowledges a confirmable one."""
    type_ = coap.CON if confirmable else coap.NON
    path = ((coap.URI_PATH, b"h"),)
    return coap.encode(coap.Message(type_, coap.POST, message_id, b"", path))


def _field(value: int, width: int) -> bytes:
    if not 0 <= value < 1 << 8 * width:
        raise MisuseError(f"Hello field {value} in {width} bytes")
    return value.to_bytes(width, "big")
