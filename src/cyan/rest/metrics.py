"""How many requests, how answered, how long: by route pattern, never by path."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cyan.core.metrics import REGISTRY

UNMATCHED: Final = "unmatched"

_BOUNDS_S: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 35.0)

_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Times:
    """How long the requests of one route took."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_S) + 1)
        """Up to each bound and above the one before; the last is above all."""
        self.sum_s = 0.0


class AnswerCounts(Collector):
    """Plain numbers, which only the loop changes: the library's own cells have a lock each and cost
    a request as much as finding its route."""

    def __init__(self) -> None:
        self.answered: dict[tuple[str, str, int], int] = {}
        self.times: dict[str, _Times] = {}

    def describe(self) -> "Iterable[CounterMetricFamily | HistogramMetricFamily]":
        return self._families()

    def collect(self) -> Iterable[Metric]:
        requests, seconds = self._families()
        for (method, route, status), count in self.answered.items():
            requests.add_metric((method, route, str(status)), count)
        names = [*(str(bound) for bound in _BOUNDS_S), "+Inf"]
        for route, times in self.times.items():
            buckets = list(zip(names, accumulate(times.counts), strict=True))
            seconds.add_metric((route,), buckets, times.sum_s)
        return requests, seconds

    def _families(self) -> tuple[CounterMetricFamily, HistogramMetricFamily]:
        return (
            CounterMetricFamily(
                "cyan_http_requests",
                "Requests answered, by method, route and status.",
                labels=("method", "route", "status"),
            ),
            HistogramMetricFamily(
                "cyan_http_request_seconds",
                "Time from a request to the end of its answer; for a stream, how long it stayed"
                " open.",
                labels=("route",),
            ),
        )


_requests: Final = AnswerCounts()
REGISTRY.register(_requests)


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one request. Method names of a stranger's invention are counted as one."""
    key = (method if method in _KNOWN_METHODS else "other", route, status)
    _requests.answered[key] = _requests.answered.get(key, 0) + 1
    times = _requests.times.get(route)
    if times is None:
        times = _requests.times[route] = _Times()
    times.counts[bisect_left(_BOUNDS_S, seconds)] += 1
    times.sum_s += seconds
