"""Facts that already happened, told in process.

A fact is a hint to look now; the database is the truth.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

Fact = TypeVar("Fact")

_log = structlog.get_logger(__name__)


class Bus:
    """Delivers each published fact (a frozen value) at once to the handlers of just its type."""

    def __init__(self) -> None:
        self._handlers: dict[type, list[Callable[[Any], None]]] = defaultdict(list)

    def subscribe(self, kind: type[Fact], handler: Callable[[Fact], None]) -> None:
        self._handlers[kind].append(handler)

    def publish(self, fact: object) -> None:
        """Call every handler. One that fails is logged and hurts neither others nor the caller."""
        for handler in self._handlers[type(fact)]:
            try:
                handler(fact)
            except Exception:
                _log.exception("bus.handler_failed", fact=type(fact).__name__)
