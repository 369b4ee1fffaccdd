"""A real server for each module, and the stock clients logged in to it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.clients import NODE, ParticleApi, ParticleCli
from tests.compat.server import Server, running_server


@pytest.fixture(scope="session")
def stock_clients() -> None:
    """The clients from npm. Without them these tests are skipped, except in CI, where they fail."""
    if not NODE.exists():
        reason = "The stock clients are not installed: `make test` installs them with npm."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def fresh_cli(stock_clients: None, tmp_path: Path) -> ParticleCli:
    """A CLI as just installed: it knows neither server nor account."""
    return ParticleCli(tmp_path / "home")


@pytest.fixture
def cli(fresh_cli: ParticleCli, server: Server) -> ParticleCli:
    """A CLI that is logged in to the server."""
    ready = server.ready
    fresh_cli.use(ready.api_url, ready.access_token, ready.username)
    return fresh_cli


@pytest.fixture
def api_js(stock_clients: None, server: Server) -> ParticleApi:
    return ParticleApi(server.ready.api_url)
