"""The lines for particle-cli in the documentation, typed as they stand there, in their order."""

import shlex
from pathlib import Path

import pytest

from tests.compat.clients import ParticleCli
from tests.compat.server import Server

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "docs/tutorial/first-device.md",
    "docs/howto/point-the-cli.md",
    "docs/howto/cloud-data.md",
]

NEEDS_A_BOARD = "keys"


def _lines(page: str) -> list[list[str]]:
    """The arguments of every `particle` line in the page's code blocks."""
    blocks = (ROOT / page).read_text().split("```")[1::2]
    lines = [line.split() for block in blocks for line in block.splitlines()]
    return [line[1:] for line in lines if line[:1] == ["particle"] and line[1] != NEEDS_A_BOARD]


@pytest.mark.parametrize("page", PAGES)
def test_every_line_of_the_page_works(page: str, fresh_cli: ParticleCli, server: Server) -> None:
    ready = server.ready
    assert ready.password is not None
    places = {
        "http://127.0.0.1:8080": ready.api_url,
        "<username>": ready.username,
        "<password>": ready.password,
        "<token>": ready.access_token,
        "<name>": str(server.own_devices[0].name),
        "<id>": server.free_device.id,
    }
    lines = _lines(page)
    assert len(lines) >= 4
    if all(line[0] != "login" for line in lines):  # the page goes on where another has logged in
        fresh_cli.use(ready.api_url, ready.access_token, ready.username)
    for line in lines:
        outcome = fresh_cli.run(*[places.get(word, word) for word in line])
        assert outcome.code == 0, (shlex.join(line), outcome)
