"""How many requests, how answered, how long: by route pattern, never by path."""

from functools import cache

from prometheus_client import Counter, Histogram

from cyan.core.metrics import REGISTRY

UNMATCHED = "unmatched"

_requests = Counter(
    "cyan_http_requests",
    "Requests answered, by method, route and status.",
    ("method", "route", "status"),
    registry=REGISTRY,
)
_seconds = Histogram(
    "cyan_http_request_seconds",
    "Time from a request to the end of its answer; for a stream, how long it stayed open.",
    ("route",),
    registry=REGISTRY,
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 35),
)

_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one request. Method names of a stranger's invention are counted as one."""
    counter, histogram = _children(method if method in _KNOWN_METHODS else "other", route, status)
    counter.inc()
    histogram.observe(seconds)


@cache
def _children(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return _requests.labels(method, route, str(status)), _seconds.labels(route)
