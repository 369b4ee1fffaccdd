"""The routes of cloud compile over a real application, with the compiler for simulated boards."""

from pathlib import Path

import pytest

from cyan.core.db.engine import Database
from cyan.firmware import binariesapi
from cyan.firmware.binaries import Binaries
from cyan.firmware.compiling.service import Compilers
from cyan.firmware.compiling.simulated import simulated_compiler
from cyan.firmware.images import Images
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve
from tests.firmware.compiling.world import World


@pytest.fixture
def world(db: Database, clock: HandClock, cast: Cast, serve: Serve, tmp_path: Path) -> World:
    images = Images(tmp_path, clock, reserve_bytes=0)
    binaries = Binaries(db, clock, images, Compilers([simulated_compiler("all")]))
    images.needed_by(binaries.needed_images)
    return World(db, clock, cast, serve(binariesapi.routes(binaries)), binaries, images)
