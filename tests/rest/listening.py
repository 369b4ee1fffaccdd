"""A server on a real socket, as the program runs it, and what a client reads of its answers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.types import ASGIApp

from cyan.rest.atonce import AnswerNow, no_answer_now
from cyan.rest.httpserver import HttpServer, http_server
from cyan.rest.tls import Certificate

PATIENCE_S: Final = 20


@asynccontextmanager
async def listening(
    asgi: ASGIApp,
    answer_now: AnswerNow = no_answer_now,
    certificate: Certificate | None = None,
    *,
    quiet_s: int = 5,
) -> AsyncIterator[tuple[HttpServer, int]]:
    """The server and its port. A connection that is quiet for `quiet_s` is closed."""
    serving = http_server(asgi, certificate, answer_now)
    serving.config.timeout_keep_alive = quiet_s
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        task = asyncio.create_task(serving.serve(sockets=[opened]))
        await serving.has_started(task)
        yield serving, opened.getsockname()[1]
        serving.should_exit = True
        await task


def request(
    path: str, *headers: str, method: str = "GET", version: str = "1.1", body: bytes = b""
) -> bytes:
    """One with a Host; `headers` tell of the body."""
    lines = (f"{method} {path} HTTP/{version}", "Host: cyan.test", *headers)
    return "".join(line + "\r\n" for line in (*lines, "")).encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of the next one."""
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head, await reader.readexactly(length)


async def ask(port: int, *requests: bytes, answers: int = 1) -> list[tuple[bytes, bytes]]:
    """Head and body of each answer to what is sent in one piece, in their order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"".join(requests))
        return [await read_answer(reader) for _ in range(answers)]
    finally:
        writer.close()


async def all_that_comes(port: int, *pieces: bytes) -> bytes:
    """What comes until the server ends the connection, which it must."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
        async with asyncio.timeout(PATIENCE_S):
            try:
                await writer.drain()
                return await reader.read()
            except ConnectionError:
                return b""
    finally:
        writer.close()
