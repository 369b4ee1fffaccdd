"""The whole server in this process: the program's own parts, asked over ASGI, devices in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.types import ASGIApp, Message

from cyan import app
from cyan.core.config import Config
from cyan.core.db import migrate
from cyan.core.secrets import write_private
from cyan.gateway.calls import DeviceLinks
from cyan.gateway.keys import UDP_KEY_FILE
from cyan.rest.application import build_asgi
from tests.cast import Cast, Person, make_cast, quick_passwords
from tests.clock import HandClock
from tests.gateway.memory_socket import MemorySocket
from tests.gateway.world import SERVER_KEY, World


class Whole(World):
    """A world whose server is what `cyan.app.build` makes. Its clock is the world's."""

    cast: Cast
    asgi: ASGIApp
    client: httpx.AsyncClient

    async def start(self) -> None:
        self.parts = app.build(self.config)
        self.db = self.parts.database
        self.bus = self.parts.bus
        self.presence = self.parts.presence
        self.ownership = self.parts.ownership
        self.log = self.parts.event_log
        self.hub = self.parts.hub
        self.events = self.parts.events
        self.gateway = self.parts.gateway
        self.gateway.stretch = lambda: 0.0
        self.links = DeviceLinks(self.gateway)
        self.socket = MemorySocket(self._carry)
        quick = quick_passwords()
        self.cast = await asyncio.to_thread(make_cast, self.db, self.clock, quick)
        quick.close()
        self.asgi = build_asgi(self.parts.registry, self.parts.tokens, self.parts.clock)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.asgi), base_url="http://cyan.test"
        )
        await self.gateway.start(self.socket, {})

    async def end(self) -> None:
        self.hub.close()
        await self.client.aclose()
        await self.stop()
        self.parts.passwords.close()
        self.db.close()

    async def claim(self, person: Person, device_id: str) -> httpx.Response:
        return await self.client.post("/v1/devices", headers=person.headers, json={"id": device_id})

    @asynccontextmanager
    async def stream(self, person: Person, path: str) -> "AsyncIterator[Stream]":
        """An open event stream; closed by its reader at the end."""
        opened = Stream(self, person, path)
        serving = asyncio.ensure_future(opened.serve())
        await self.linger()
        try:
            yield opened
        finally:
            opened.leave()
            await serving


class Stream:
    """A reader of an event stream. httpx's own ASGI transport knows no endless bodies."""

    def __init__(self, whole: Whole, person: Person, path: str) -> None:
        self._whole = whole
        self._path = path
        self._token = person.token
        self._is_leaving = asyncio.Event()
        self._asked = False
        self.status = 0
        self.body = b""

    async def serve(self) -> None:
        await self._whole.asgi(
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": self._path,
                "raw_path": self._path.encode(),
                "query_string": f"access_token={self._token}".encode(),
                "root_path": "",
                "headers": [],
                "client": ("127.0.0.1", 40000),
                "server": ("127.0.0.1", 8080),
            },
            self._receive,
            self._send,
        )

    def leave(self) -> None:
        self._is_leaving.set()

    def events(self) -> list[tuple[str, dict[str, object]]]:
        """(name, JSON) of each event so far."""
        found = []
        for frame in self.body.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in frame.splitlines() if ": " in line)
            if "event" in lines:
                data = msgspec.json.decode(lines["data"], type=dict[str, object])
                found.append((lines["event"], data))
        return found

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._is_leaving.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.body += message.get("body", b"")


def prepare(config: Config, clock: HandClock) -> Whole:
    """A data folder with its schema and the server key that the boards of the tests know."""
    config.data.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(config.database_path)
    pem = SERVER_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(config.data / UDP_KEY_FILE, pem)
    return Whole(None, clock, config)  # type: ignore[arg-type]
