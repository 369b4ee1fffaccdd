"""How many requests one address may make: the platform's limits (rest-api-core.md §2.4).

What is counted is kept in memory and bounded: a restart begins anew.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

import structlog
from prometheus_client import Counter

from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.core.metrics import REGISTRY
from cyan.rest.errors import ApiError, described, oauth_error

WINDOW_S: Final = 300.0
"""The platform counts in windows of 5 minutes."""

MAX_KEYS: Final = 50_000
"""Addresses (or accounts) that are counted at a time, some 10 MB; the oldest give way."""

KNOWN_HOSTS: Final = 4096
"""Addresses that need not be read again, some 1 MB: reading one costs as much as all the rest."""

REQUESTS: Final = "requests"
LOGIN: Final = "login"
"""The route whose refusals have OAuth's shape."""

STREAM: Final = "stream"

LIMITED: Final = {
    ("POST", "/oauth/token"): LOGIN,
    ("GET", "/v1/access_tokens"): "tokens",
    ("DELETE", "/v1/access_tokens"): "tokens",
    ("DELETE", "/v1/access_tokens/{token}"): "tokens",
    ("POST", "/v1/users"): "users",
    ("PUT", "/v1/user"): "users",
    ("DELETE", "/v1/user"): "users",
    ("PUT", "/v1/user/mfa-disable"): "users",
    ("POST", "/v1/user/mfa-enable"): "users",
    ("POST", "/v1/user/password-reset"): "reset",
    ("PUT", "/v1/user/password-reset"): "reset",
    ("GET", "/v1/events"): STREAM,
    ("GET", "/v1/events/{prefix*}"): STREAM,
    ("GET", "/v1/devices/events"): STREAM,
    ("GET", "/v1/devices/events/{prefix*}"): STREAM,
    ("GET", "/v1/devices/{device}/events"): STREAM,
    ("GET", "/v1/devices/{device}/events/{prefix*}"): STREAM,
}
"""Routes with a limit of their own, and which they share. Those that take the password of a person
who is logged in (PUT /v1/user, …-disable) are ours: a stolen token must not find it by trying."""

STREAM_RETRY_S: Final = 30.0
"""Nobody knows when another stream will end; often enough to find it soon."""

UNLIMITED: Final = frozenset({"/health", "/metrics"})
"""What the operator's own machines ask all the time."""

_refused = Counter(
    "cyan_http_rate_limited",
    "Requests that were refused because their address made too many, by limit.",
    ("limit",),
    registry=REGISTRY,
)

_log = structlog.get_logger(__name__)


class Windows:
    """Counts by key, each in a window of time that begins with its first count; bounded memory."""

    def __init__(self, clock: Clock, length_s: float, max_keys: int = MAX_KEYS) -> None:
        self._clock = clock
        self._length_s = length_s
        self._max_keys = max_keys
        self._counts: OrderedDict[object, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, key: object) -> int:
        """What was counted in the key's present window."""
        found = self._counts.get(key)
        return 0 if found is None or found[1] <= self._clock.monotonic() else found[0]

    def add(self, key: object, amount: int = 1, *, extend: bool = False) -> int:
        """Count; the new number. `extend`: the window goes on for its whole length from now."""
        now_s = self._clock.monotonic()
        count, ends_s = self._counts.get(key, (0, 0.0))
        if ends_s <= now_s:
            count, ends_s, extend = 0, now_s, True
        count = max(0, count + amount)
        if extend:
            # Ordered by their end: all windows have one length, so the oldest end first.
            self._counts.pop(key, None)
            ends_s = now_s + self._length_s
        self._counts[key] = (count, ends_s)
        if len(self._counts) > self._max_keys:
            self._counts.popitem(last=False)
        return count

    def ends_in_s(self, key: object) -> float:
        """Seconds until the key's window ends, 0 when there is none."""
        found = self._counts.get(key)
        return 0.0 if found is None else max(0.0, found[1] - self._clock.monotonic())

    def forget(self, key: object) -> None:
        self._counts.pop(key, None)


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests of one address in WINDOW_S; 0: no limit."""

    requests: int = 10_000
    sensitive: int = 100
    """For each of login, tokens, users, reset, and the opening of streams."""
    streams: int = 100
    """Streams that one address may have open at a time."""


class RateLimits:
    """Counts requests by address and refuses what is too much."""

    def __init__(self, limits: Limits, clock: Clock, *, exempt_loopback: bool = False) -> None:
        self._limits = limits
        self._exempt_loopback = exempt_loopback
        self._requests = Windows(clock, WINDOW_S)
        self._sensitive = Windows(clock, WINDOW_S)
        self._open: dict[str, int] = {}

    def admit(self, method: str, route: str, host: str) -> str | None:
        """Count one request; the key to `release` when it holds a stream.

        Raises ApiError 429, with Retry-After.
        """
        if route in UNLIMITED or (self._exempt_loopback and is_loopback(host)):
            return None
        network = network_of(host)
        if 0 < self._limits.requests < self._requests.add(network):
            raise _too_many(REQUESTS, self._requests.ends_in_s(network))
        name = LIMITED.get((method, route))
        if name is None:
            return None
        key = (name, network)
        if 0 < self._limits.sensitive < self._sensitive.add(key):
            raise _too_many(name, self._sensitive.ends_in_s(key))
        if name != STREAM:
            return None
        if 0 < self._limits.streams <= self._open.get(network, 0):
            _refused.labels("open streams").inc()
            text = f"Your address has {self._limits.streams} streams open, the most allowed."
            raise too_many_requests(text, STREAM_RETRY_S)
        self._open[network] = self._open.get(network, 0) + 1
        return network

    def release(self, network: str) -> None:
        """A stream has ended."""
        left = self._open[network] - 1
        if left:
            self._open[network] = left
        else:
            del self._open[network]


def limits_of(config: Config, clock: Clock) -> RateLimits:
    """As the settings say."""
    limits = Limits(
        config.rate_limit_requests, config.rate_limit_sensitive, config.rate_limit_streams
    )
    return RateLimits(limits, clock, exempt_loopback=config.limit_loopback == "no")


@lru_cache(KNOWN_HOSTS)
def network_of(host: str) -> str:
    """What is counted as one address: an IPv4 address, or a /64 of IPv6, which is what one
    subscriber has (RFC 6177 §2)."""
    try:
        address = ip_address(host)
    except ValueError:
        return host[:64]
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))


@lru_cache(KNOWN_HOSTS)
def is_loopback(host: str) -> bool:
    """Whether it is this machine that asks."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _too_many(limit: str, wait_s: float) -> ApiError:
    _refused.labels(limit).inc()
    _log.info("http.rate_limited", limit=limit)
    what = "requests" if limit == REQUESTS else f"{limit} requests"
    text = f"Your address made too many {what}. Try again in {round(wait_s) + 1} s."
    return too_many_requests(text, wait_s, is_login=limit == LOGIN)


def too_many_requests(text: str, wait_s: float, *, is_login: bool = False) -> ApiError:
    """429 with Retry-After (RFC 6585 §4), in the shape that its clients read."""
    code = "too_many_requests"
    refusal = oauth_error(429, code, text) if is_login else described(429, code, text)
    headers = {**refusal.headers, "retry-after": str(int(wait_s) + 1)}
    return ApiError(refusal.status, refusal.body, headers)
