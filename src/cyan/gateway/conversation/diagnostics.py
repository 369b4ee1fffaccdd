"""Vitals that a device sent, by itself or because it was asked (device-protocol.md §3.3.4)."""

from functools import partial

from cyan.core.ids import DeviceId
from cyan.gateway.conversation.about import About
from cyan.gateway.effects import Emit, Work
from cyan.health import service
from cyan.health.model import UPDATE_EVENT, render
from cyan.wire.describe import Metrics


def on_metrics(
    device_id: DeviceId, metrics: Metrics, about: About, round_trip_ms: int | None
) -> tuple[Work, Emit]:
    """How they are kept, and the event that tells them."""
    payload = render(metrics, about.link(round_trip_ms))
    keep = partial(service.keep, device_id=device_id, payload=payload, at_ms=about.now_ms())
    return keep, Emit(UPDATE_EVENT, payload)
