"""The whole server, for the tests that ask every route."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rest.world import World, whole_server


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_server(tmp_path) as whole:
        yield whole
