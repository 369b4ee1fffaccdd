"""The whole server, for the tests that ask every route."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rest.world import World, build_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    whole = build_world(tmp_path)
    yield whole
    await whole.parts.event_log.drain()
    whole.close()
