"""What most tests need: a database of their own with every table, and a hand-moved clock."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clock import HandClock

import cyan
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata


def _import_stores() -> None:
    """Every feature's `store.py` puts its tables on the one metadata when it is imported."""
    for package in pkgutil.iter_modules(cyan.__path__, "cyan."):
        if package.ispkg and (Path(cyan.__path__[0]) / package.name[5:] / "store.py").exists():
            importlib.import_module(f"{package.name}.store")


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
