"""Functions and variables (device-protocol.md sections 3.4 and 3.5)."""

import struct
from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages.answer import encode_answer, one_byte_token
from cyan.wire.messages.names import decode_name, encode_name, join_path

BOOL: Final = 1
INT: Final = 2
STRING: Final = 4
DOUBLE: Final = 9
"""Variable types as the application describe numbers them (section 3.3.2)."""

MAX_ARGUMENT: Final = 1024
MAX_VARIABLE: Final = 1024
"""Bytes of an argument and of a text value (platform-semantics.md section 6.1). A device calls
the function with the first 1024 bytes of a longer argument, so the limit is ours to keep."""

_INT32: Final = struct.Struct(">i")
_DOUBLE: Final = struct.Struct("<d")
"""Doubles are little endian, unlike all else (section 3.5)."""

_SIZES: Final = {BOOL: 1, INT: _INT32.size, DOUBLE: _DOUBLE.size}


class FunctionCall(msgspec.Struct, frozen=True):
    """Call `name` with a text argument."""

    name: str
    argument: str


class VariableRequest(msgspec.Struct, frozen=True):
    """Read the variable `name`."""

    name: str


def encode_function_call(message_id: int, token: bytes, name: str, argument: str) -> bytes:
    """Writes `POST f/<name>`; the query stands there even when empty, or the device would pass
    stale bytes to the function."""
    try:
        raw = argument.encode()
    except UnicodeEncodeError:
        raise MisuseError("function argument with lone surrogates") from None
    if len(raw) > MAX_ARGUMENT:
        raise MisuseError(f"function argument of {len(raw)} bytes")
    options = (
        (coap.URI_PATH, b"f"),
        (coap.URI_PATH, encode_name(name)),
        (coap.URI_QUERY, raw),
    )
    return coap.encode(
        coap.Message(coap.CON, coap.POST, message_id, one_byte_token(token), options),
    )


def encode_variable_request(message_id: int, token: bytes, name: str) -> bytes:
    """Writes `GET v/<name>`."""
    options = ((coap.URI_PATH, b"v"), (coap.URI_PATH, encode_name(name)))
    return coap.encode(coap.Message(coap.CON, coap.GET, message_id, one_byte_token(token), options))


def decode_function_call(message: coap.Message) -> FunctionCall:
    """Reads `POST f/<name>`, for the device's side."""
    raw = coap.find_option(message, coap.URI_QUERY) or b""
    if len(raw) > MAX_ARGUMENT:
        raise MalformedError(f"function argument of {len(raw)} bytes")
    try:
        argument = raw.decode()
    except UnicodeDecodeError:
        raise MalformedError("function argument that is not UTF-8") from None
    return FunctionCall(decode_name(join_path(message)), argument)


def decode_variable_request(message: coap.Message) -> VariableRequest:
    """Reads `GET v/<name>`, for the device's side."""
    return VariableRequest(decode_name(join_path(message)))


def decode_function_result(payload: bytes) -> int:
    """The 32-bit result in the payload of a 2.04 that answers a function call."""
    if len(payload) != _INT32.size:
        raise MalformedError(f"function result of {len(payload)} bytes")
    return int.from_bytes(payload, "big", signed=True)


def encode_function_result(
    message_id: int, token: bytes, result: int, *, confirmable: bool = True
) -> bytes:
    """Writes the device's separate 2.04: confirmable on UDP, not on TCP."""
    if not -(1 << 31) <= result < 1 << 31:
        raise MisuseError(f"function result {result}")
    payload = _INT32.pack(result)
    return encode_answer(message_id, token, coap.CHANGED, payload, confirmable=confirmable)


def decode_variable_value(type_code: int, payload: bytes) -> bool | int | float | str:
    """The value in the payload of a 2.05, by the type that the application describe declared.

    Text that is no UTF-8 is read with replacement characters. A double may be NaN or infinite.

    Raises:
        MalformedError: The payload does not fit the type, or the type is unknown.
    """
    size = len(payload)
    if type_code == STRING:
        if size > MAX_VARIABLE:
            raise MalformedError(f"variable of {size} bytes")
        return payload.decode(errors="replace")
    if _SIZES.get(type_code) != size:
        raise MalformedError(f"variable of type {type_code} in {size} bytes")
    if type_code == BOOL:
        return payload != b"\0"
    if type_code == INT:
        return int.from_bytes(payload, "big", signed=True)
    value: float = _DOUBLE.unpack(payload)[0]
    return value


def encode_variable_value(type_code: int, value: bool | int | float | str) -> bytes:
    """The payload that carries a value of the declared type."""
    try:
        if type_code == BOOL and isinstance(value, bool):
            return bytes((value,))
        if type_code == INT and isinstance(value, int):
            return _INT32.pack(value)
        if type_code == DOUBLE and isinstance(value, int | float):
            return _DOUBLE.pack(value)
    except (struct.error, OverflowError):
        raise MisuseError(f"variable of type {type_code} out of range") from None
    if type_code == STRING and isinstance(value, str):
        return value.encode()[:MAX_VARIABLE]
    raise MisuseError(f"{type(value).__name__} as a variable of type {type_code}")


def encode_variable_value_answer(
    message_id: int, token: bytes, payload: bytes, *, confirmable: bool = True
) -> bytes:
    """Writes the device's separate 2.05: confirmable on UDP, not on TCP."""
    return encode_answer(message_id, token, coap.CONTENT, payload, confirmable=confirmable)
