"""How much one account may publish over the API, from however many addresses."""

from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.core.ids import UserId
from cyan.rest.ratelimit import WINDOW_S, Windows, is_loopback, too_many_requests


class PublishLimit:
    """Counts events by account. `events` in a window of 5 minutes; 0: no limit."""

    def __init__(self, clock: Clock, events: int, *, exempt_loopback: bool = False) -> None:
        self._events = events
        self._exempt_loopback = exempt_loopback
        self._windows = Windows(clock, WINDOW_S)

    def admit(self, user_id: UserId, host: str) -> None:
        """Count one event. Raises ApiError 429, with Retry-After."""
        if not self._events or (self._exempt_loopback and is_loopback(host)):
            return
        if self._windows.add(user_id) > self._events:
            wait_s = self._windows.ends_in_s(user_id)
            raise too_many_requests(
                f"This account may publish {self._events} events in {WINDOW_S / 60:.0f} minutes."
                f" Try again in {int(wait_s) + 1} s.",
                wait_s,
            )


def limit_of(config: Config, clock: Clock) -> PublishLimit:
    """As the settings say."""
    return PublishLimit(
        clock, config.rate_limit_publishes, exempt_loopback=config.limit_loopback == "no"
    )
