"""What most tests need: a database of their own with every table, the cast, and a real API."""

import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest

import cyan
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import People
from cyan.accounts.tokens import Tokens
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata
from cyan.rest.application import build_asgi
from cyan.rest.registry import Registry, Route
from tests import answers
from tests.cast import Cast, make_cast, quick_passwords
from tests.clock import HandClock

Serve = Callable[[Iterable[Route]], httpx.AsyncClient]


def _import_stores() -> None:
    """Every feature's `store.py` puts its tables on the one metadata when it is imported."""
    for package in pkgutil.iter_modules(cyan.__path__, "cyan."):
        if package.ispkg and (Path(cyan.__path__[0]) / package.name[5:] / "store.py").exists():
            importlib.import_module(f"{package.name}.store")


@pytest.fixture(autouse=True)
def _answers_are_as_declared() -> Iterator[None]:
    """Fails the test in which the API answered what its routes do not declare."""
    faults: list[str] = []
    with answers.watch(faults):
        yield
    assert faults == [], "Answers are declared at their Route: response=Shape or Reply(Shape, 201)."


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    _import_stores()
    database = Database(tmp_path / "cyan.db")
    database.write_blocking(metadata.create_all)
    yield database
    database.close()


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    quick = quick_passwords()
    yield quick
    quick.close()


@pytest.fixture
def people(db: Database, passwords: Passwords) -> People:
    return People(db, passwords)


@pytest.fixture
def tokens(db: Database, clock: HandClock, bus: Bus) -> Tokens:
    return Tokens(db, clock, bus)


@pytest.fixture
def cast(db: Database, clock: HandClock, passwords: Passwords) -> Cast:
    return make_cast(db, clock, passwords)


@pytest.fixture
async def serve(clock: HandClock, tokens: Tokens) -> AsyncIterator[Serve]:
    """`serve(routes)` is an HTTP client of the real application with these routes."""
    clients: list[httpx.AsyncClient] = []

    def start(routes: Iterable[Route]) -> httpx.AsyncClient:
        app = build_asgi(Registry(routes), tokens, clock)
        transport = httpx.ASGITransport(app)
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://cyan.test"))
        return clients[-1]

    yield start
    for client in clients:
        await client.aclose()
