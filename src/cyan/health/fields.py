"""Every vital sign: its number on the wire, its place in the JSON, and how its value reads there.

The map of platform-semantics.md §14.2; where that has no path from a recorded trace, the path is
ours. Limits that make a value a warning are of §14.4, ours too where no number is published.
"""

from enum import Enum
from typing import Final

import msgspec

from cyan.wire.messages import DISCONNECT_REASONS, RESET_REASONS


class Kind(Enum):
    """How the 32 bits of a value read."""

    NUMBER = "number"
    """As it is: a count, a size, an error code."""
    PERCENT = "percent"
    """Unsigned, 8 bits before the point and 8 behind it."""
    FIXED = "fixed"
    """Signed, 16 bits before the point and 16 behind it."""
    WORD = "word"
    """One of the field's words, or the number where there is none for it."""
    FLAG = "flag"
    """True or false."""
    NETWORK_CODE = "network code"
    """Mobile network code: digits, three of them, or two where the number is negative."""


class Field(msgspec.Struct, frozen=True):
    """One vital sign. `path` is its place in the JSON, with points between the keys."""

    id: int
    path: str
    title: str
    kind: Kind = Kind.NUMBER
    units: str | None = None
    words: dict[int, str] = {}
    low: float | None = None
    """A value below it is a warning."""
    high: float | None = None
    """A value above it is a warning."""
    names_units: bool = False
    """The JSON has the units too, in a key beside it that ends in `_units`."""
    measure: tuple[int, int] | None = None
    """The field that names the technology, and which of its MEASURES this one is; the JSON says so
    in a key beside it that ends in `_type`."""

    @property
    def json_type(self) -> str:
        """How the value looks in JSON when it is no error."""
        if self.kind in (Kind.WORD, Kind.NETWORK_CODE):
            return "string"
        return "boolean" if self.kind is Kind.FLAG else "number"


NETWORK_STATES: Final = {
    0: "turned_off",
    1: "turning_on",
    2: "disconnected",
    3: "connecting",
    4: "connected",
    5: "disconnecting",
    7: "turning_off",
}
NETWORK_REASONS: Final = {
    0: "none",
    1: "error",
    2: "user",
    3: "network_off",
    4: "listening",
    5: "sleep",
    6: "reset",
    7: "unknown",
}
CLOUD_STATES: Final = {0: "disconnected", 1: "connecting", 2: "connected", 3: "disconnecting"}
CLOUD_REASONS: Final = {0: "none", **DISCONNECT_REASONS}
INTERFACES: Final = {
    0: "all",
    1: "loopback",
    3: "ethernet",
    4: "cellular",
    5: "Wi-Fi",
    6: "access point",
}
ACCESS_TECHNOLOGIES: Final = {
    0: "unknown",
    1: "Wi-Fi",
    2: "GSM",
    3: "EDGE",
    4: "UMTS",
    5: "CDMA",
    6: "LTE",
    7: "802.15.4",
    8: "LTE Cat-M1",
    9: "LTE Cat-NB1",
}
BATTERY_STATES: Final = {
    0: "unknown",
    1: "not_charging",
    2: "charging",
    3: "charged",
    4: "discharging",
    5: "fault",
    6: "disconnected",
}
POWER_SOURCES: Final = {
    0: "unknown",
    1: "VIN",
    2: "USB host",
    3: "USB adapter",
    4: "USB OTG",
    5: "battery",
}

_WORD, _PERCENT, _FIXED = Kind.WORD, Kind.PERCENT, Kind.FIXED
_NET, _CLOUD, _POWER, _SYSTEM = "device.network", "device.cloud", "device.power", "device.system"
_CELL = f"{_NET}.cellular.cell_global_identity"

ACCESS_TECHNOLOGY: Final = 36
"""The number of the field that says by which radio the device is connected."""


def _signal(path: str, title: str, ids: tuple[int, int, int, int, int]) -> tuple[Field, ...]:
    """The fields of one radio signal; `ids` are technology, strength, its measure, quality, its."""
    at, strength, measured_strength, quality, measured_quality = ids
    return (
        Field(at, f"{path}.at", f"{title}: technology", _WORD, words=ACCESS_TECHNOLOGIES),
        Field(strength, f"{path}.strength", f"{title}: strength", _PERCENT, "%",
              low=20, names_units=True),
        Field(measured_strength, f"{path}.strengthv", f"{title}: strength, measured", _FIXED, "dBm",
              names_units=True, measure=(at, 0)),
        Field(quality, f"{path}.quality", f"{title}: quality", _PERCENT, "%",
              low=20, names_units=True),
        Field(measured_quality, f"{path}.qualityv", f"{title}: quality, measured", _FIXED, "dB",
              names_units=True, measure=(at, 1)),
    )  # fmt: skip


FIELDS: Final = (
    Field(40, f"{_CELL}.mobile_country_code", "Mobile country code"),
    Field(41, f"{_CELL}.mobile_network_code", "Mobile network code", Kind.NETWORK_CODE),
    Field(42, f"{_CELL}.location_area_code", "Location area code"),
    Field(43, f"{_CELL}.cell_id", "Cell"),
    *_signal(f"{_NET}.signal", "Signal", (ACCESS_TECHNOLOGY, 33, 37, 34, 35)),
    Field(19, f"{_NET}.signal.rssi", "Received power", units="dBm"),
    *_signal(f"{_NET}.alternate.signal", "Second signal", (49, 46, 45, 47, 48)),
    Field(8, f"{_NET}.connection.status", "Network", _WORD, words=NETWORK_STATES),
    Field(9, f"{_NET}.connection.error", "Last error of the network", high=0, low=0),
    Field(12, f"{_NET}.connection.disconnects", "Network lost", units="times"),
    Field(27, f"{_NET}.connection.attempts", "Attempts to join the network", units="times"),
    Field(28, f"{_NET}.connection.disconnect_reason", "Why the network was lost", _WORD,
          words=NETWORK_REASONS),
    Field(15, f"{_NET}.ip.address", "IP address"),
    Field(16, f"{_NET}.ip.gateway", "IP gateway"),
    Field(17, f"{_NET}.ip.flags", "IP flags"),
    Field(18, f"{_NET}.country", "Country of the network"),
    Field(10, f"{_CLOUD}.connection.status", "Cloud", _WORD, words=CLOUD_STATES),
    Field(13, f"{_CLOUD}.connection.error", "Last error of the cloud connection", high=0, low=0),
    Field(29, f"{_CLOUD}.connection.attempts", "Attempts to reach the cloud", units="times"),
    Field(14, f"{_CLOUD}.connection.disconnects", "Cloud lost", units="times"),
    Field(30, f"{_CLOUD}.connection.disconnect_reason", "Why the cloud was lost", _WORD,
          words=CLOUD_REASONS),
    Field(44, f"{_CLOUD}.connection.interface", "Interface to the cloud", _WORD, words=INTERFACES),
    Field(23, f"{_CLOUD}.coap.transmit", "Messages sent", units="messages"),
    Field(21, f"{_CLOUD}.coap.retransmit", "Messages sent again", units="messages"),
    Field(22, f"{_CLOUD}.coap.unack", "Messages without an answer", units="messages"),
    Field(31, f"{_CLOUD}.coap.round_trip", "Round trip, as the device measured it", units="ms",
          high=5000),
    Field(20, f"{_CLOUD}.publish.rate_limited", "Events held back for their rate",
          units="events", high=0),
    Field(3, f"{_POWER}.battery.charge", "Battery", _PERCENT, "%", low=20),
    Field(7, f"{_POWER}.battery.state", "State of the battery", _WORD, words=BATTERY_STATES),
    Field(24, f"{_POWER}.source", "Source of power", _WORD, words=POWER_SOURCES),
    Field(6, f"{_SYSTEM}.uptime", "Time since the last reset", units="s"),
    Field(1, f"{_SYSTEM}.reset", "Reason of the last reset", _WORD, words=RESET_REASONS),
    Field(26, f"{_SYSTEM}.memory.used", "Memory used", units="bytes"),
    Field(25, f"{_SYSTEM}.memory.total", "Memory", units="bytes"),
    Field(2, f"{_SYSTEM}.memory.free", "Memory free", units="bytes"),
    Field(4, f"{_SYSTEM}.loop", "Time of the system's loop", units="ms"),
    Field(5, f"{_SYSTEM}.application_loop", "Time of the application's loop", units="ms"),
    Field(60, f"{_SYSTEM}.protected", "Device protection", Kind.FLAG),
)  # fmt: skip
"""In the order of the JSON."""

SERVICE_FIELDS: Final = (
    Field(-1, "service.device.status", "What the server thinks of the device", _WORD),
    Field(-2, "service.cloud.uptime", "Time since the handshake", units="s"),
    Field(-3, "service.cloud.publish.sent", "Events of this session", units="events"),
    Field(-4, "service.coap.round_trip", "Round trip, as the server measured it", units="ms",
          high=5000),
)  # fmt: skip
"""What the server adds; these have no number on the wire."""

MEASURES: Final = {
    1: ("RSSI", "SNR"),
    2: ("RSSI", "RXQUAL"),
    3: ("RSSI", "RXQUAL"),
    4: ("RSCP", "ECN0"),
    6: ("RSRP", "RSRQ"),
    8: ("RSRP", "RSRQ"),
    9: ("RSRP", "RSRQ"),
}
"""What strength and quality measure, by access technology (device-protocol.md §3.3.4)."""

CELL_FIELDS: Final = (40, 41, 42, 43)
"""The identity of the cell that a device is in."""

GENERATION: Final = f"{_NET}.cellular.radio_access_technology"
"""Ours, beside the identity of a cell."""

GENERATIONS: Final = {2: "GSM", 3: "GSM", 4: "UMTS", 5: "CDMA", 6: "LTE", 8: "LTE", 9: "LTE"}
"""By access technology (recorded for LTE Cat-M1 alone)."""
