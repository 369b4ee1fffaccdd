"""What most tests need: a database of their own with every table, the cast, and a real API."""

import importlib
import shutil
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
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
from tests import answers, logs
from tests.cast import Cast, make_cast, quick_passwords
from tests.clock import HandClock

Serve = Callable[[Iterable[Route]], httpx.AsyncClient]

# The asserts of helper modules tell their values too, not only those of the tests themselves.
pytest.register_assert_rewrite(
    *(f"tests.{path.name}" for path in Path(__file__).parent.iterdir() if path.is_dir())
)

_LONGEST = ("system", "cli", "compat", "console", "gateway")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several workers begin with the folders whose files take longest, so that at the end none of
    them has a long file left while the others have nothing to do. Long tests take their time."""
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.timeout(0))
    if hasattr(config, "workerinput"):
        folder = {item: item.nodeid.split("/")[1] for item in items}
        rank = {name: number for number, name in enumerate(_LONGEST)}
        items.sort(key=lambda item: rank.get(folder[item], len(rank)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows how the logs of its servers end."""
    report = yield
    if report.failed:
        report.sections += logs.tails(call.start)
    return report


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with every table. Features put theirs on the one metadata when their stores
    are imported."""
    for store in Path(cyan.__path__[0]).glob("*/*store.py"):
        importlib.import_module(f"cyan.{store.parent.name}.{store.stem}")
    path = tmp_path_factory.mktemp("empty") / "cyan.db"
    database = Database(path)
    database.write_blocking(metadata.create_all)
    database.close()
    return path


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
def db(_empty_database: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "cyan.db"
    shutil.copy(_empty_database, path)
    database = Database(path)
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
