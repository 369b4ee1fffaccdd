"""Finding the subscribers of a name: one dictionary lookup for each length of prefix in use.

2.8 µs over 10,000 subscriptions (performance-floors.md §2.6), however many fit.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


MAX_REMEMBERED_NAMES = 1024
"""Names whose matches an index keeps; peers choose the names, so there is an end to it."""


class PrefixIndex(Generic[K, V]):
    """Subscribers by prefix: each has a key within its prefix, so that it can be taken out."""

    __slots__ = ("_by_prefix", "_lengths", "_matches", "_prefixes_of_length")

    def __init__(self) -> None:
        self._by_prefix: dict[str, dict[K, V]] = {}
        self._prefixes_of_length: Counter[int] = Counter()
        self._lengths: tuple[int, ...] = ()
        self._matches: dict[str, list[dict[K, V]]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_prefix)

    def add(self, prefix: str, key: K, value: V) -> None:
        """Add a subscriber, or replace the one with the same prefix and key."""
        subscribers = self._by_prefix.get(prefix)
        if subscribers is None:
            subscribers = self._by_prefix[prefix] = {}
            self._count(len(prefix), 1)
        subscribers[key] = value

    def find(self, prefix: str, key: K) -> V | None:
        """The subscriber with just this prefix and key, or None."""
        return self._by_prefix.get(prefix, {}).get(key)

    def discard(self, prefix: str, key: K) -> None:
        """Take a subscriber out, if it is there."""
        subscribers = self._by_prefix.get(prefix)
        if subscribers is None or subscribers.pop(key, None) is None:
            return
        if not subscribers:
            del self._by_prefix[prefix]
            self._count(len(prefix), -1)

    def match(self, name: str) -> list[dict[K, V]]:
        """The subscribers of every prefix that `name` starts with: case-sensitive, "" fits all."""
        found = self._matches.get(name)
        if found is None:
            by_prefix, size = self._by_prefix, len(name)
            found = [
                subscribers
                for length in self._lengths
                if length <= size and (subscribers := by_prefix.get(name[:length])) is not None
            ]
            # Devices say the same names again and again.
            if len(self._matches) == MAX_REMEMBERED_NAMES:
                self._matches.clear()
            self._matches[name] = found
        return found

    def _count(self, length: int, change: int) -> None:
        self._matches.clear()
        self._prefixes_of_length[length] += change
        if self._prefixes_of_length[length] == 0:
            del self._prefixes_of_length[length]
        self._lengths = tuple(sorted(self._prefixes_of_length))
