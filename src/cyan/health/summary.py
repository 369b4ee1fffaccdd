"""Vitals over a time, as a graph shows them: a few samples, each the mean of its stretch.

The values are those of the platform's graphs (platform-semantics.md §14.3). The names around the
samples are recorded (rest-api-core.md §15), those inside of them are ours.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final

from cyan.core.clock import iso_ms
from cyan.core.ids import DeviceId
from cyan.health.model import Record, flatten

DEFAULT_SAMPLES: Final = 30
"""rest-api-core.md §15."""

MAX_SAMPLES: Final = 1000

MINUTE_MS: Final = 60_000
"""The shortest stretch, that of the platform's graph of one hour."""

_MEMORY_USED, _MEMORY_TOTAL = "device.system.memory.used", "device.system.memory.total"
_BATTERY: Final = "device.power.battery.charge"

_VALUES: Final = {
    "signalStrength": ("device.network.signal.strength",),
    "signalQuality": ("device.network.signal.quality",),
    "roundTrip": ("service.coap.round_trip", "device.cloud.coap.round_trip"),
    "batteryCharge": (_BATTERY,),
}
"""Percent, but for the round trip (ms); the first path that has a number counts."""


def summarize(
    device_id: DeviceId, records: Sequence[Record], from_ms: int, to_ms: int, samples: int
) -> dict[str, object]:
    """`records` of a time in at most so many stretches, without those that nothing is known of.

    A value that no record of a stretch has is null there.
    """
    bucket_ms = max(1, math.ceil((to_ms - from_ms) / samples / MINUTE_MS)) * MINUTE_MS
    leaves = [(record.at_ms, flatten(record.payload)) for record in records]
    buckets: dict[int, list[dict[str, object]]] = {}
    for at_ms, values in leaves:
        number = min((at_ms - from_ms) // bucket_ms, samples - 1)  # the end is part of the last
        buckets.setdefault(number, []).append(values)
    totals = [total for _, values in leaves if (total := _number(values, _MEMORY_TOTAL))]
    return {
        "deviceID": device_id,
        "memoryAvailable": totals[-1] if totals else None,
        "bucketSize": bucket_ms // 1000,
        "startDate": iso_ms(from_ms),
        "endDate": iso_ms(to_ms),
        "hasBattery": any(_number(values, _BATTERY) is not None for _, values in leaves),
        "samples": [
            {"timestamp": iso_ms(from_ms + number * bucket_ms)} | _sample(some)
            for number, some in sorted(buckets.items())
        ],
    }


def _sample(records: Sequence[Mapping[str, object]]) -> dict[str, object]:
    sample: dict[str, object] = {
        name: _mean([_first(values, paths) for values in records])
        for name, paths in _VALUES.items()
    }
    return sample | {"memoryUsed": _mean([_memory_used(values) for values in records])}


def _memory_used(values: Mapping[str, object]) -> float | None:
    used, total = _number(values, _MEMORY_USED), _number(values, _MEMORY_TOTAL)
    return None if used is None or not total else 100 * used / total


def _first(values: Mapping[str, object], paths: Sequence[str]) -> float | None:
    return next((found for path in paths if (found := _number(values, path)) is not None), None)


def _number(values: Mapping[str, object], path: str) -> float | None:
    value = values.get(path)
    return value if isinstance(value, int | float) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 2) if known else None
