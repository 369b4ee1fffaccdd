"""What the tests of cloud compile say again and again."""

import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cyan.core.db.engine import Database
from cyan.firmware.binaries import Binaries
from cyan.firmware.images import Images
from tests.cast import Cast, Person
from tests.clock import HandClock

BASE = "/v1/binaries"
ARGON = 12

BLINK = b"""
PRODUCT_VERSION(3);
int answer = 42;
int set(String arg) { return 1; }
void setup() {
  Particle.variable("answer", answer);
  Particle.function("set", set);
}
void loop() {}
"""


@dataclass
class World:
    """One server. The client is Ada's unless told otherwise."""

    db: Database
    clock: HandClock
    cast: Cast
    client: httpx.AsyncClient
    binaries: Binaries
    images: Images

    async def send(
        self,
        files: Mapping[str, bytes],
        person: Person | None = None,
        **fields: str,
    ) -> httpx.Response:
        """Compile files by their paths, as the CLI sends them; for an Argon unless told."""
        parts = [
            (f"file{number + 1 if number else ''}", (path, content))
            for number, (path, content) in enumerate(files.items())
        ]
        data = {"platform_id": str(ARGON), **fields}
        headers = (person or self.cast.ada).headers
        return await self.client.post(BASE, files=parts, data=data, headers=headers)

    async def compile(self, person: Person | None = None, **fields: str) -> Any:
        """What the server says of a source that is in order."""
        answer = await self.send({"blink.ino": BLINK}, person, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str, person: Person | None = None) -> httpx.Response:
        return await self.client.get(path, headers=(person or self.cast.ada).headers)


def write_program(folder: Path, code: str) -> list[str]:
    """A program that stands for a compiler: Python with the arguments `sources`, `module`,
    `platform`, `platform_id`, `version`; the command that starts it."""
    head = "import os, sys, time, pathlib\nsources, module, platform, platform_id, version = ("
    head += "pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:])\n"
    path = folder / "compiler.py"
    path.write_text(head + textwrap.dedent(code))
    return [sys.executable, str(path)]
