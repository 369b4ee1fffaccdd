"""JSON as CBOR (RFC 8949), for devices: what `cyan.events.cbor` reads, written.

Items are as short as they can be without loss. The platform's buffer objects,
`{"_type": "buffer", "_data": "<base64>"}`, become byte strings (device-protocol.md §3.6).
"""

import base64
import binascii
import struct
from typing import Final

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(6)
_SIMPLE: Final = {False: b"\xf4", True: b"\xf5", None: b"\xf6"}

MAX_ARGUMENT: Final = 0xFFFF_FFFF_FFFF_FFFF


class IntegerRangeError(ValueError):
    """CBOR has whole numbers from -2^64 to 2^64 - 1."""


def encode(value: object) -> bytes:
    """One item. `value` is what a JSON decoder gives: dict, list, str, int, float, bool, None.

    Raises IntegerRangeError.
    """
    out = bytearray()
    _write(out, value)
    return bytes(out)


def _write(out: bytearray, value: object) -> None:
    if value is None or isinstance(value, bool):
        out += _SIMPLE[value]
    elif isinstance(value, int):
        argument = value if value >= 0 else -1 - value
        if argument > MAX_ARGUMENT:
            raise IntegerRangeError
        _head(out, _UNSIGNED if value >= 0 else _NEGATIVE, argument)
    elif isinstance(value, float):
        _write_float(out, value)
    elif isinstance(value, str):
        encoded = value.encode()
        _head(out, _TEXT, len(encoded))
        out += encoded
    elif isinstance(value, list):
        _head(out, _ARRAY, len(value))
        for each in value:
            _write(out, each)
    elif isinstance(value, dict):
        _write_map(out, value)
    else:
        raise TypeError(f"not of JSON: {type(value).__name__}")


def _write_float(out: bytearray, value: float) -> None:
    for mark, form in ((0xFA, ">f"), (0xFB, ">d")):
        try:
            packed = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == value:
            out.append(mark)
            out += packed
            return


def _write_map(out: bytearray, value: dict[str, object]) -> None:
    buffer = _buffer(value)
    if buffer is not None:
        _head(out, _BYTES, len(buffer))
        out += buffer
        return
    _head(out, _MAP, len(value))
    for key, each in value.items():
        _write(out, key)
        _write(out, each)


def _buffer(value: dict[str, object]) -> bytes | None:
    data = value.get("_data")
    if value.keys() != {"_type", "_data"} or value["_type"] != "buffer":
        return None
    if not isinstance(data, str):
        return None
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        return None


def _head(out: bytearray, major: int, argument: int) -> None:
    first = major << 5
    if argument < 24:
        out.append(first | argument)
        return
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            out.append(first | info)
            out += argument.to_bytes(size, "big")
            return
