"""A real HTTP server in the test's own loop, and a raw reader of its streams."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from cyan.rest.connection import BoundedConnection

OPENING = ":ok\n\n"


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[int]:
    """The port on which uvicorn serves `app` on loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            http=BoundedConnection,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        running = asyncio.ensure_future(server._serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.001)
        yield listener.getsockname()[1]
        server.should_exit = True
        await running


class RawStream:
    """One GET over a socket: the status, the headers, then the body's chunks as they were sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}

    @classmethod
    async def open(cls, port: int, path: str, headers: dict[str, str]) -> "RawStream":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [f"GET {path} HTTP/1.1", "Host: cyan.test"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        stream = cls(reader, writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        stream.status = int(head[0].split()[1])
        for line in head[1:-2]:
            name, _, value = line.partition(": ")
            stream.headers[name.lower()] = value
        return stream

    async def chunk(self) -> str:
        """The next chunk of the body (one of each write); "" at the end."""
        async with asyncio.timeout(10):
            size = int(await self._reader.readline(), 16)
            content = await self._reader.readexactly(size + 2)
        return content[:-2].decode()

    async def body(self) -> bytes:
        """The body of an ordinary answer."""
        return await self._reader.readexactly(int(self.headers["content-length"]))

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()
