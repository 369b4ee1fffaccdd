"""The vital signs of a simulated board, as the metrics describe has them (device-protocol.md
§3.3.4): those that real firmware sends, of a board that is well.
"""

from typing import Final

import msgspec

from cyan.sim.boards import Board
from cyan.wire.describe import Metric, Metrics, encode_metrics
from cyan.wire.describe.metrics import NAMES

_IDS: Final = {name: id_ for id_, name in NAMES.items()}

_NETWORK_CONNECTED: Final = 4
_CLOUD_CONNECTED: Final = 2
_WIFI, _LTE_CAT_M1 = 1, 8

_UNKNOWN: Final = -100
"""What the host build says of signs that it cannot measure (tcp-full-session.log)."""

_MEMORY_BYTES: Final = 171_000
_PERCENT: Final = 1 << 8
"""UQ8.8."""
_UNIT: Final = 1 << 16
"""SQ16.16."""


class Vitals(msgspec.Struct, frozen=True):
    """What a device has counted since its boot."""

    uptime_s: float = 0.0
    attempts: int = 1
    disconnects: int = 0
    retransmissions: int = 0
    unacknowledged: int = 0


def encode_vitals(board: Board, vitals: Vitals) -> bytes:
    """The describe, in the order of firmware."""
    can_measure = board.platform.gen > 0
    is_cellular = board.platform.is_cellular
    signs: dict[str, int | None] = {
        "sys:uptime": int(vitals.uptime_s),
        "net:stat": _NETWORK_CONNECTED,
        "net:err": 0,
        "cloud:stat": _CLOUD_CONNECTED,
        "net:dconn": 0,
        "cloud:err": 0,
        "cloud:dconn": vitals.disconnects,
        "pub:limit": 0,
        "coap:retransmit": vitals.retransmissions,
        "coap:unack": vitals.unacknowledged,
        "coap:transmit": 0,
        "sys:tram": _MEMORY_BYTES if can_measure else None,
        "sys:uram": _MEMORY_BYTES // 2 if can_measure else None,
        "net:connatt": 1,
        "net:dconnrsn": 0,
        "cloud:connatt": vitals.attempts,
        "cloud:dconnrsn": 0,
        "coap:roundtrip": 0,
        "net:sigstr": 73 * _PERCENT if can_measure else None,
        "net:sigqual": 61 * _PERCENT if can_measure else None,
        "net:sigqualv": -9 * _UNIT if can_measure else None,
        "net:at": _LTE_CAT_M1 if is_cellular else _WIFI,
        "net:sigstrv": -71 * _UNIT if can_measure else None,
        "sys:protected": 0,
    }
    return encode_metrics(
        Metrics(
            tuple(
                Metric(_IDS[name], error=_UNKNOWN) if value is None else Metric(_IDS[name], value)
                for name, value in signs.items()
            )
        )
    )
