"""The routes of libraries over a real application, with one official library in the folder."""

from pathlib import Path

import pytest

from cyan.core.db.engine import Database
from cyan.libraries import api
from cyan.libraries.service import Libraries
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve
from tests.libraries.world import World, write_library


@pytest.fixture
def world(db: Database, clock: HandClock, cast: Cast, serve: Serve, tmp_path: Path) -> World:
    write_library(tmp_path, "neopixel", "1.0.9", sentence="Lights in a row", category="Display")
    write_library(tmp_path, "neopixel", "1.0.10", sentence="Lights in a row", category="Display")
    client = serve(api.routes(Libraries(db, clock, tmp_path)))
    client.headers.update(cast.ada.headers)
    return World(db, clock, cast, client, tmp_path)
