"""Events both ways and subscriptions (device-protocol.md sections 3.6 to 3.8)."""

import re
from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages.names import decode_name, encode_name, join_path
from cyan.wire.messages.unknown import Unknown, as_unknown

MAX_EVENT_DATA: Final = 1024
"""Bytes of an event in one message (platform-semantics.md section 6.1)."""

DEFAULT_MAX_AGE_S: Final = 60
"""A time to live of 60 s is not sent."""

_DEVICE_ID: Final = re.compile(rb"[0-9a-fA-F]{24}")


class Publish(msgspec.Struct, frozen=True, gc=False):
    """An event from a device. `data` is None when there was none; `max_age` is in seconds."""

    name: str
    data: bytes | None = None
    content_format: int = coap.TEXT
    max_age: int = DEFAULT_MAX_AGE_S
    confirmable: bool = True


class EventDown(msgspec.Struct, frozen=True, gc=False):
    """An event to a device; the fields are those of `Publish`."""

    name: str
    data: bytes | None = None
    content_format: int = coap.TEXT
    max_age: int = DEFAULT_MAX_AGE_S
    confirmable: bool = True


class Subscribe(msgspec.Struct, frozen=True):
    """A device wants the events whose names begin with `prefix`.

    `mine` is the qualifier `u` of older firmware (own devices only), `device_id` its 24 lower-case
    hex digits of a single device; `binary` and `cbor` say what the handler takes (6.2).
    """

    prefix: str
    mine: bool = False
    device_id: str | None = None
    binary: bool = False
    cbor: bool = False


def decode_publish(message: coap.Message) -> Publish | Unknown:
    """Reads `POST E/<name>`. An event in blocks is Unknown: no released firmware sends one."""
    options = message.options
    if len(options) == 2 and options[1][0] == coap.URI_PATH:
        # The form of nearly all events, on the hot path.
        name = decode_name(options[1][1])
        if not name:
            raise MalformedError("event without a name")
        data = message.payload
        if len(data) > MAX_EVENT_DATA:
            raise MalformedError(f"event data of {len(data)} bytes")
        confirmable = message.type == coap.CON
        return Publish(name, data or None, coap.TEXT, DEFAULT_MAX_AGE_S, confirmable)
    if coap.find_option(message, coap.BLOCK1) is not None:
        return as_unknown(message)
    return Publish(*_decode_fields(message))


def decode_event_down(message: coap.Message) -> EventDown:
    """Reads what `encode_event` wrote, for the device's side."""
    return EventDown(*_decode_fields(message))


def encode_publish(message_id: int, publish: Publish, *, token: bytes = b"") -> bytes:
    """Writes `POST E/<name>` as a device does; released firmware sends no token."""
    return _encode(
        message_id,
        publish.name,
        publish.data,
        publish.confirmable,
        publish.content_format,
        publish.max_age,
        token,
    )


def encode_event(
    message_id: int,
    name: str,
    data: bytes | None,
    *,
    confirmable: bool,
    content_format: int = coap.TEXT,
    max_age: int = DEFAULT_MAX_AGE_S,
) -> bytes:
    """Writes an event to a device. The caller keeps the whole within the device's message size."""
    return _encode(message_id, name, data, confirmable, content_format, max_age, b"")


def decode_subscribe(message: coap.Message) -> Subscribe:
    """Reads `GET e/<prefix>`."""
    prefix = decode_name(join_path(message))
    queries = {value for number, value in message.options if number == coap.URI_QUERY}
    device_id = None
    if message.payload:
        if _DEVICE_ID.fullmatch(message.payload) is None:
            raise MalformedError("subscription to something that is no device id")
        device_id = message.payload.decode().lower()
    return Subscribe(prefix, b"u" in queries, device_id, b"b" in queries, b"c" in queries)


def encode_subscribe(message_id: int, subscribe: Subscribe, *, confirmable: bool = True) -> bytes:
    """Writes `GET e/<prefix>`."""
    options = [(coap.URI_PATH, b"e")]
    if subscribe.prefix:
        options.append((coap.URI_PATH, encode_name(subscribe.prefix)))
    flags = ((b"u", subscribe.mine), (b"b", subscribe.binary), (b"c", subscribe.cbor))
    options += [(coap.URI_QUERY, query) for query, is_set in flags if is_set]
    payload = (subscribe.device_id or "").encode()
    if payload and _DEVICE_ID.fullmatch(payload) is None:
        raise MisuseError("device id that is not 24 hex digits")
    type_ = coap.CON if confirmable else coap.NON
    return coap.encode(
        coap.Message(type_, coap.GET, message_id, b"", tuple(options), payload),
    )


def _decode_fields(message: coap.Message) -> tuple[str, bytes | None, int, int, bool]:
    name = decode_name(join_path(message))
    if not name:
        raise MalformedError("event without a name")
    if len(message.payload) > MAX_EVENT_DATA:
        raise MalformedError(f"event data of {len(message.payload)} bytes")
    content_format = coap.find_option(message, coap.CONTENT_FORMAT) or b""
    max_age = coap.find_option(message, coap.MAX_AGE)
    return (
        name,
        message.payload or None,
        coap.decode_uint(content_format),
        DEFAULT_MAX_AGE_S if max_age is None else coap.decode_uint(max_age),
        message.type == coap.CON,
    )


def _encode(
    message_id: int,
    name: str,
    data: bytes | None,
    confirmable: bool,
    content_format: int,
    max_age: int,
    token: bytes,
) -> bytes:
    if data is not None and len(data) > MAX_EVENT_DATA:
        raise MisuseError(f"event data of {len(data)} bytes")
    # "E" also where old firmware says "e": all events are private (device-protocol.md 3.6).
    options = [(coap.URI_PATH, b"E"), (coap.URI_PATH, encode_name(name))]
    if content_format != coap.TEXT:
        options.append((coap.CONTENT_FORMAT, coap.encode_uint(content_format)))
    if max_age != DEFAULT_MAX_AGE_S:
        options.append((coap.MAX_AGE, coap.encode_uint(max_age)))
    type_ = coap.CON if confirmable else coap.NON
    return coap.encode(
        coap.Message(type_, coap.POST, message_id, token, tuple(options), data or b"")
    )
