"""Memory for bodies that are on their way: many that come slowly must not take all there is.

A body is read by whoever sends it, before anybody knows who that is: a token may stand in a form.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter, Gauge

from cyan.core.metrics import REGISTRY
from cyan.rest.errors import ApiError, described
from cyan.rest.ratelimit import network_of, too_many_requests

FREE_BYTES: Final = 64 * 1024
"""Of each body, which are not counted: requests of people and programs have less."""

MOST_BYTES: Final = 256 * 1024 * 1024
"""Of all bodies together: fifteen of the largest."""

MOST_OF_ADDRESS_BYTES: Final = 96 * 1024 * 1024
"""Of one address: five of the largest, or as many of an ordinary megabyte as a floor of workplaces
behind one address sends at a time. Nobody takes all alone."""

RETRY_S: Final = 5.0

_bytes = Gauge(
    "cyan_http_arriving_bytes",
    "Memory for bodies of requests that are on their way, without the first 64 KiB of each.",
    registry=REGISTRY,
)
_refused = Counter(
    "cyan_http_bodies_refused",
    "Bodies that were refused because too many large ones were on their way.",
    registry=REGISTRY,
)


class ArrivingBodies:
    """Counts what is kept of bodies that are not complete."""

    def __init__(
        self, most: int = MOST_BYTES, most_of_address: int = MOST_OF_ADDRESS_BYTES
    ) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._all = 0
        self._of: dict[str, int] = {}

    @contextmanager
    def one(self, host: str) -> Iterator["Arriving"]:
        """A body that begins to come; what it took is given back at the end."""
        body = Arriving(self, network_of(host))
        try:
            yield body
        finally:
            self._give_back(body)

    def take(self, network: str, size: int) -> None:
        """Raises ApiError 429 when this address has too much on its way, 503 when all have."""
        of_address = self._of.get(network, 0) + size
        if of_address > self._most_of_address:
            _refused.inc()
            raise too_many_requests(
                "Your address sends too many large bodies at a time. Wait until some are complete.",
                RETRY_S,
            )
        if self._all + size > self._most:
            _refused.inc()
            refusal = described(
                503, "busy", "Too many large bodies are on their way. Try again in a moment."
            )
            raise ApiError(503, refusal.body, {"retry-after": str(int(RETRY_S))})
        self._of[network] = of_address
        self._all += size
        _bytes.set(self._all)

    def _give_back(self, body: "Arriving") -> None:
        if not body.taken:
            return
        self._all -= body.taken
        left = self._of[body.network] - body.taken
        if left:
            self._of[body.network] = left
        else:
            del self._of[body.network]
        _bytes.set(self._all)


class Arriving:
    """One body on its way."""

    __slots__ = ("_bodies", "_free", "network", "taken")

    def __init__(self, bodies: ArrivingBodies, network: str) -> None:
        self._bodies = bodies
        self._free = FREE_BYTES
        self.network = network
        self.taken = 0

    def grow(self, size: int) -> None:
        """So many bytes more have come. Raises as `ArrivingBodies.take`."""
        counted = max(0, size - self._free)
        self._free -= size - counted
        if counted:
            self._bodies.take(self.network, counted)
            self.taken += counted


ALL: Final = ArrivingBodies()
"""Those of this process."""
