"""The metrics describe: a device's vital signs in binary (device-protocol.md section 3.3.4)."""

import struct
from typing import Final

import msgspec

from cyan.wire.errors import MalformedError, MisuseError

MARKER: Final = 0x00
"""First byte of every binary describe."""

NAMES: Final = {
    1: "sys:reset",
    2: "mem:free",
    3: "batt:soc",
    4: "sys:loop",
    5: "app:loop",
    6: "sys:uptime",
    7: "batt:state",
    8: "net:stat",
    9: "net:err",
    10: "cloud:stat",
    12: "net:dconn",
    13: "cloud:err",
    14: "cloud:dconn",
    15: "net:ip.addr",
    16: "net:ip.gw",
    17: "net:ip.flags",
    18: "net:cntry",
    19: "net:rssi",
    20: "pub:limit",
    21: "coap:retransmit",
    22: "coap:unack",
    23: "coap:transmit",
    24: "pwr:src",
    25: "sys:tram",
    26: "sys:uram",
    27: "net:connatt",
    28: "net:dconnrsn",
    29: "cloud:connatt",
    30: "cloud:dconnrsn",
    31: "coap:roundtrip",
    33: "net:sigstr",
    34: "net:sigqual",
    35: "net:sigqualv",
    36: "net:at",
    37: "net:sigstrv",
    40: "net:cell.cgi.mcc",
    41: "net:cell.cgi.mnc",
    42: "net:cell.cgi.lac",
    43: "net:cell.cgi.ci",
    44: "cloud:connif",
    45: "net:alt.sigstrv",
    46: "net:alt.sigstr",
    47: "net:alt.sigqual",
    48: "net:alt.sigqualv",
    49: "net:alt.at",
    60: "sys:protected",
}
"""Of the ids that we know. An application's own begin at 32768."""

MAX_METRICS: Final = 512

_SIGNED: Final = frozenset((9, 13, 19, 35, 37, 41, 45, 48))
"""Error codes, RSSI, the SQ16.16 values, and the mobile network code (negative: two digits)."""

_ERROR: Final = 0x8000
_HEADER: Final = struct.Struct("<BHHH")
_TYPE: Final = 4
_ENTRY: Final = struct.Struct("<HI")
_ID_BYTES: Final = 2
_VALUE_BYTES: Final = 4


class Metric(msgspec.Struct, frozen=True):
    """One value as the device gave it, or the (negative) system error why there is none."""

    id: int
    value: int | None = None
    error: int | None = None


class Metrics(msgspec.Struct, frozen=True):
    """Vital signs in the order of the device.

    On the wire, little endian: u8 0, u16 describe type 4, u16 id size 2, u16 value size 4, then
    for each: u16 id, u32 value. Bit 15 of a known id says that the value is an i32 error.
    """

    values: tuple[Metric, ...]


def decode_metrics(data: bytes) -> Metrics:
    """Reads a metrics describe."""
    if len(data) < _HEADER.size:
        raise MalformedError(f"metrics of {len(data)} bytes")
    header = _HEADER.unpack_from(data)
    if header != (MARKER, _TYPE, _ID_BYTES, _VALUE_BYTES):
        raise MalformedError(f"metrics with header {header}")
    body = data[_HEADER.size :]
    count, rest = divmod(len(body), _ENTRY.size)
    if rest or count > MAX_METRICS:
        raise MalformedError(f"metrics of {len(data)} bytes")
    return Metrics(tuple(_metric(id_, value) for id_, value in _ENTRY.iter_unpack(body)))


def encode_metrics(metrics: Metrics) -> bytes:
    """Writes a metrics describe as a device does."""
    out = [_HEADER.pack(MARKER, _TYPE, _ID_BYTES, _VALUE_BYTES)]
    for metric in metrics.values:
        value, id_ = metric.value, metric.id
        if (value is None) == (metric.error is None):
            raise MisuseError(f"metric {id_} has to have a value or an error")
        if value is None:
            value, id_ = metric.error, id_ | _ERROR
        if value is None or not (0 <= id_ <= 0xFFFF and -(1 << 31) <= value < 1 << 32):
            raise MisuseError(f"metric {id_} out of range")
        out.append(_ENTRY.pack(id_, value & 0xFFFFFFFF))
    return b"".join(out)


def _metric(id_: int, value: int) -> Metric:
    if id_ & _ERROR and id_ & ~_ERROR in NAMES:
        return Metric(id_ & ~_ERROR, error=_signed(value))
    return Metric(id_, _signed(value) if id_ in _SIGNED else value)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value
