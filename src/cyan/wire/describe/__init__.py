"""What a device says of itself, in every form that firmware has sent it in
(device-protocol.md section 3.3): JSON, protobuf and binary."""

from typing import TypeAlias

from cyan.wire import coap
from cyan.wire.blockwise import MAX_DESCRIBE_BYTES
from cyan.wire.describe.application import ApplicationDescribe, encode_application
from cyan.wire.describe.metrics import (
    MARKER,
    Metric,
    Metrics,
    decode_metrics,
    encode_metrics,
)
from cyan.wire.describe.system import (
    Asset,
    Module,
    ModuleDependency,
    ModuleSecurity,
    SystemDescribe,
)
from cyan.wire.describe.system_json import decode_json, encode_system_json
from cyan.wire.describe.system_protobuf import decode_system_protobuf, encode_system_protobuf
from cyan.wire.errors import MalformedError
from cyan.wire.messages.describing import SYSTEM

Part: TypeAlias = SystemDescribe | ApplicationDescribe | Metrics


def decode_describe(flags: int, content_format: int, payload: bytes) -> tuple[Part, ...]:
    """The parts that a whole describe has, one or two, whatever its form.

    The content decides: JSON begins with `{`, metrics with 0, all else is the protobuf of the
    system describe, if `flags` or the content format says that it can be one.

    Raises:
        MalformedError: It is none of these, or over our bounds.
    """
    if len(payload) > MAX_DESCRIBE_BYTES:
        raise MalformedError(f"describe of {len(payload)} bytes")
    if payload[:1] == b"{":
        parts = tuple(part for part in decode_json(payload) if part is not None)
        if not parts:
            raise MalformedError("describe without a part that we know")
        return parts
    if payload and payload[0] == MARKER:
        return (decode_metrics(payload),)
    if flags == SYSTEM or (flags & SYSTEM and content_format == coap.OCTET_STREAM):
        return (decode_system_protobuf(payload),)
    raise MalformedError(f"describe {flags} in an unknown form")


__all__ = [
    "ApplicationDescribe",
    "Asset",
    "Metric",
    "Metrics",
    "Module",
    "ModuleDependency",
    "ModuleSecurity",
    "Part",
    "SystemDescribe",
    "decode_describe",
    "encode_application",
    "encode_metrics",
    "encode_system_json",
    "encode_system_protobuf",
]
