"""What the tests of libraries say again and again."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cyan.core.db.engine import Database
from tests.cast import Cast, Person
from tests.clock import HandClock

BASE = "/v1/libraries"


def properties(name: str, version: str, **more: str) -> bytes:
    """A `library.properties`."""
    fields = {"name": name, "version": version, "author": "Ada", "sentence": "Does it", **more}
    lines = ["# of a test", *(f"{key}={value}" for key, value in fields.items() if value)]
    return "\n".join(lines).encode()


def archive(files: dict[str, bytes]) -> bytes:
    """A tar.gz."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return out.getvalue()


def library(name: str, version: str = "1.0.0", **more: str) -> bytes:
    """The archive of one that is in order."""
    source = {f"src/{name}.h": b"// code"}
    return archive({"library.properties": properties(name, version, **more), **source})


def write_library(data: Path, name: str, version: str, **more: str) -> Path:
    """One in the operator's folder."""
    folder = data / "libraries" / name / version
    (folder / "src").mkdir(parents=True)
    (folder / "library.properties").write_bytes(properties(name, version, **more))
    (folder / "src" / f"{name}.h").write_bytes(b"// " + version.encode())
    return folder


@dataclass
class World:
    """One server. The client is Ada's unless told otherwise."""

    db: Database
    clock: HandClock
    cast: Cast
    client: httpx.AsyncClient
    data: Path

    async def upload(self, content: bytes, person: Person | None = None) -> httpx.Response:
        """As api-js does it."""
        files = {"file": ("archive.tar.gz", content)}
        return await self.client.post(BASE, files=files, headers=self.headers(person))

    async def publish(self, name: str, person: Person | None = None) -> httpx.Response:
        return await self.client.patch(
            f"{BASE}/{name}", json={"visibility": "public"}, headers=self.headers(person)
        )

    async def get(self, tail: str, person: Person | None = None) -> Any:
        answer = await self.client.get(BASE + tail, headers=self.headers(person))
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def names(self, query: str = "", person: Person | None = None) -> list[str]:
        return [item["id"] for item in await self.get(query, person)]

    def headers(self, person: Person | None) -> dict[str, str]:
        return (person or self.cast.ada).headers


def message_of(answer: httpx.Response) -> str:
    """The refusal as library commands read it."""
    return str(answer.json()["errors"][0]["message"])
