"""Vitals as values: from what a device sends to the JSON that people and programs read."""

from collections.abc import Iterator
from typing import Final

import msgspec

from cyan.core.errors import InvalidError, NotFoundError
from cyan.core.ids import DeviceId
from cyan.health.fields import (
    ACCESS_TECHNOLOGY,
    CELL_FIELDS,
    FIELDS,
    GENERATION,
    GENERATIONS,
    MEASURES,
    SERVICE_FIELDS,
    Field,
    Kind,
)
from cyan.wire.describe import Metric, Metrics

UPDATE_EVENT: Final = "spark/device/diagnostics/update"
"""The event that tells new vitals; its data is the payload."""

RETENTION_MS: Final = 30 * 24 * 3600 * 1000
"""A month (platform-semantics.md §18)."""

MAX_RECORDS: Final = 3000
"""Of one device: a month of one each quarter of an hour. A program may publish its vitals as often
as it likes; the oldest give way."""


class NoVitalsError(NotFoundError):
    """This device has not sent any vitals in the last month. Ask it for some with an update."""


class DateRangeError(InvalidError):
    """start_date and end_date are ISO 8601 dates, like 2026-01-31T12:00:00Z, in this order."""


class Link(msgspec.Struct, frozen=True):
    """What the server knows of the connection that the vitals came over."""

    uptime_s: int
    """Since the handshake."""
    published: int
    """Events that the device published over it."""
    round_trip_ms: int | None = None
    """From a request of ours to its acknowledgement; None when there was none yet."""


class Record(msgspec.Struct, frozen=True):
    """One stored set of vitals; `payload` is the JSON of `render`."""

    device_id: DeviceId
    at_ms: int
    payload: str


def render(metrics: Metrics, link: Link) -> str:
    """The payload: JSON with `device` (what it sent) and `service` (what we know).

    A value that the device could not measure is `{"err": <its code>}`. Metrics that nobody knows
    (an application's own) are left out.
    """
    sent = {metric.id: metric for metric in metrics.values}
    values = {metric.id: metric.value for metric in metrics.values if metric.value is not None}
    leaves: dict[str, object] = {}
    generation = GENERATIONS.get(values.get(ACCESS_TECHNOLOGY, 0))
    if generation is not None and not values.keys().isdisjoint(CELL_FIELDS):
        leaves[GENERATION] = generation
    for field in FIELDS:
        metric = sent.get(field.id)
        if metric is None:
            continue
        leaves[field.path] = _leaf(field, metric)
        if metric.value is None:
            continue
        if field.names_units:
            leaves[f"{field.path}_units"] = field.units
        if field.measure is not None:
            technology, which = field.measure
            measures = MEASURES.get(values.get(technology, 0))
            if measures is not None:
                leaves[f"{field.path}_type"] = measures[which]
    leaves["service.device.status"] = "ok"
    leaves["service.cloud.uptime"] = link.uptime_s
    leaves["service.cloud.publish.sent"] = link.published
    if link.round_trip_ms is not None:
        leaves["service.coap.round_trip"] = link.round_trip_ms
    return msgspec.json.encode({"device": {}} | _nest(leaves)).decode()


def metadata() -> dict[str, object]:
    """What each leaf of a payload means, in a tree of the same shape (rest-api-core.md §15)."""
    fields = enumerate((*FIELDS, *SERVICE_FIELDS), 1)
    return _nest({field.path: _explain(field, priority) for priority, field in fields})


def flatten(payload: str) -> dict[str, object]:
    """The leaves of a payload by path, with points between the keys."""
    return dict(_leaves("", msgspec.json.decode(payload)))


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for key, below in value.items():
        yield from _leaves(f"{path}.{key}" if path else key, below)


def _nest(leaves: dict[str, object]) -> dict[str, object]:
    """Leaves by path as a tree of objects."""
    tree: dict[str, object] = {}
    for path, value in leaves.items():
        *branches, leaf = path.split(".")
        branch = tree
        for key in branches:
            below = branch.setdefault(key, {})
            assert isinstance(below, dict)
            branch = below
        branch[leaf] = value
    return tree


def _explain(field: Field, priority: int) -> dict[str, object]:
    limits = {"low": field.low, "high": field.high}
    return {
        "title": field.title,
        "type": field.json_type,
        "units": field.units,
        "ranges": {key: limit for key, limit in limits.items() if limit is not None},
        "values": list(field.words.values()),
        "messages": {},
        "priority": priority,
        "describes": field.path,
    }


def _leaf(field: Field, metric: Metric) -> object:
    if metric.value is None:
        return {"err": metric.error or 0}
    value = metric.value
    match field.kind:
        case Kind.PERCENT:
            return _plain(round(value / 256, 2))
        case Kind.FIXED:
            return _plain(round(value / 65536, 2))
        case Kind.WORD:
            return field.words.get(value, value)
        case Kind.FLAG:
            return value != 0
        case Kind.NETWORK_CODE:
            return f"{-value:02d}" if value < 0 else f"{value:03d}"
        case Kind.NUMBER:
            return value


def _plain(value: float) -> float | int:
    """As JavaScript writes it: -77, not -77.0."""
    return int(value) if value.is_integer() else value
