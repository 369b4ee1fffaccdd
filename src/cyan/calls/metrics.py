"""Calls to devices, counted."""

from prometheus_client import Counter

from cyan.core.metrics import REGISTRY

CALLS = Counter(
    "cyan_calls",
    "Calls to devices. kind: function, variable, ping, signal. outcome: ok, unknown (a name that"
    " the device did not describe), invalid, offline, timeout, refused, failed (also when the"
    " client went away).",
    ("kind", "outcome"),
    registry=REGISTRY,
)
