"""The pages of the console, and finding one: the same trie as that of the API."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from starlette.responses import Response

from cyan.console.model import ROOT
from cyan.console.visit import Visit
from cyan.rest.body import MAX_BODY_BYTES
from cyan.rest.call import Call
from cyan.rest.registry import Registry, Route

Endpoint = Callable[[Visit], Awaitable[Response]]


class Access(Enum):
    """Whom a page is for."""

    ANYONE = "anyone"
    PERSON = "person"
    """Who is signed in; others are sent to sign in."""
    OPERATOR = "operator"
    """Operators; for all others it does not exist."""


@dataclass(frozen=True, slots=True)
class Page:
    """One method on one path below `/console`, written as in `Route`.

    GET and POST only: what a form can send. `counts_as` is the route of the API with whose requests
    these share a limit (`rest/ratelimit.py`), such as `("POST", "/oauth/token")`.
    """

    method: str
    path: str
    endpoint: Endpoint
    access: Access = Access.PERSON
    counts_as: tuple[str, str] | None = None
    max_body_bytes: int = MAX_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Found:
    """A page and the values of its path's parameters, percent-decoded."""

    page: Page
    path: dict[str, str]


class Pages:
    """All pages of the console."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self.all = tuple(pages)
        self._registry = Registry()
        self._of: dict[tuple[str, str], Page] = {}
        for page in self.all:
            if page.method not in ("GET", "POST") or not page.path.startswith(ROOT):
                raise ValueError(f"{page.method} {page.path} is no page of the console.")
            self._registry.add(Route(page.method, page.path, _elsewhere))
            self._of[page.method, page.path] = page

    def find(self, method: str, raw_path: bytes) -> Found | None:
        """The page of a path as it came; None when there is none. Raises MalformedPathError."""
        match = self._registry.match("GET" if method == "HEAD" else method, raw_path)
        if match is None:
            return None
        return Found(self._of[match.route.method, match.route.path], match.path)


async def _elsewhere(_call: Call) -> Response:
    raise AssertionError("the registry only finds pages; the console serves them")
