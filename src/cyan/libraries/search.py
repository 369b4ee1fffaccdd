"""Which libraries a listing shows, and in which order (rest-api-core.md §14)."""

from collections.abc import Callable, Iterable
from typing import Final

from cyan.libraries.model import Library

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100

SCOPES: Final[dict[str, Callable[[Library], bool]]] = {
    "all": lambda library: True,
    "public": lambda library: library.is_public,
    "official": lambda library: library.is_official,
    # The operator chose them; there is no other judgement here.
    "verified": lambda library: library.is_official,
    "mine": lambda library: library.is_mine,
    "private": lambda library: library.is_mine and not library.is_public,
    "featured": lambda library: False,
}

_SEARCHED: Final = ("sentence", "paragraph", "author", "category")

_KEYS: Final[dict[str, Callable[[Library], int | str]]] = {
    "name": lambda library: library.name.lower(),
    "official": lambda library: not library.is_official,
    "verified": lambda library: not library.is_official,
    "published": lambda library: library.at_ms,
    "updated": lambda library: library.at_ms,
    "created": lambda library: library.at_ms,
    "date": lambda library: library.at_ms,
    # Nobody counts installations here: all are equal.
    "installs": lambda library: 0,
    "popularity": lambda library: 0,
}
"""The CLI sorts by `date` too. Official ones come first when asked for, as with the platform."""


def choose(
    libraries: Iterable[Library],
    *,
    text: str = "",
    scope: str = "all",
    without: Iterable[str] = (),
    architectures: Iterable[str] = (),
    category: str = "",
    sort: str = "",
) -> list[Library]:
    """Those that fit all that is asked for. An unknown scope has nothing, an unknown order has no
    effect."""
    in_scope = SCOPES.get(scope, SCOPES["featured"])
    excluded = [SCOPES[each] for each in without if each in SCOPES and each != "all"]
    wanted = set(architectures)
    found = [
        library
        for library in libraries
        if in_scope(library)
        and not any(is_in(library) for is_in in excluded)
        and _has_text(library, text.casefold())
        and _runs_on(library, wanted)
        and (not category or library.properties.fields.get("category") == category)
    ]
    found.sort(key=_KEYS["name"])
    # The last key is the weakest, and sorting is stable.
    for name in reversed([each.strip() for each in sort.split(",") if each.strip()]):
        key = _KEYS.get(name.lstrip("-"))
        if key is not None:
            found.sort(key=key, reverse=name.startswith("-"))
    return found


def _has_text(library: Library, text: str) -> bool:
    fields = library.properties.fields
    return text in library.name.casefold() or any(
        text in fields.get(name, "").casefold() for name in _SEARCHED
    )


def _runs_on(library: Library, wanted: set[str]) -> bool:
    listed = library.properties.architectures
    return not wanted or not listed or "*" in listed or not wanted.isdisjoint(listed)
