"""Requests that are sent before those before them are answered, and readers who do not read."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from cyan.rest import slowreader
from cyan.rest.connection import PIECE_BYTES, BoundedConnection
from tests.rest.listening import listening

PATIENCE_S: Final = 10
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
MANY: Final = 50_000
LARGE_BYTES: Final = 8 * 1024 * 1024
"""More than the kernel keeps for a reader."""


@dataclass
class Application:
    """Answers with what it counts, once it may; holds `/wait` until its client is gone."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    served: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.served += 1
        content = b"%d;" % self.served
        if scope["path"] == "/wait":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()
            return
        if scope["path"] == "/large":
            content = bytes(LARGE_BYTES)
        await self.may_answer.wait()
        length = str(len(content)).encode()
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


@dataclass
class Server:
    """What it keeps."""

    port: int
    state: ServerState

    @property
    def waiting(self) -> int:
        """Requests that were parsed and wait for those before them."""
        return sum(
            len(one.pipeline)
            for one in self.state.connections
            if isinstance(one, BoundedConnection)
        )


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
async def server(application: Application) -> AsyncIterator[Server]:
    async with listening(application) as (server, port):
        yield Server(port, server.server_state)
        application.may_answer.set()


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)


async def _sent(writer: asyncio.StreamWriter) -> None:
    """Wait until no more of it is taken."""
    before = -1
    while before != (left := writer.transport.get_write_buffer_size()):
        before = left
        await asyncio.sleep(0.1)


async def test_all_are_answered_in_their_order(server: Server, application: Application) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    application.may_answer.set()
    writer.write(REQUEST * 3_000)
    async with asyncio.timeout(PATIENCE_S):
        for number in range(1, 3_001):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readuntil(b";") == b"%d;" % number
    writer.close()


async def test_few_of_those_that_wait_are_kept_apart(
    server: Server, application: Application
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST * MANY)
    await _sent(writer)
    assert application.served == 1
    assert 0 < server.waiting <= PIECE_BYTES // len(REQUEST) + 1
    writer.transport.abort()


async def test_an_answer_makes_no_room_for_more_than_there_is_work(
    server: Server, application: Application
) -> None:
    """uvicorn reads on after each answer, however many requests wait."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST * MANY)
    most = 0
    application.may_answer.set()
    while application.served < MANY // 10:
        most = max(most, server.waiting)
        await asyncio.sleep(0)
    assert 0 < most <= PIECE_BYTES // len(REQUEST) + 1
    writer.transport.abort()


async def test_a_request_knows_that_its_client_is_gone_with_others_behind_it(
    server: Server, application: Application
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST)
    await _until(lambda: server.waiting)
    (link,) = server.state.connections
    link.transport.abort()  # as a reset, or an error of a write, does
    await _until(application.gone.is_set)
    assert application.served == 1
    writer.close()


async def test_what_a_lost_connection_asked_for_is_not_done(
    server: Server, application: Application
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST * MANY)
    await _sent(writer)
    (link,) = server.state.connections
    link.transport.abort()
    application.may_answer.set()
    await _until(lambda: not server.state.tasks and not server.state.connections)
    assert application.served == 1
    writer.close()


async def test_who_takes_nothing_of_an_answer_is_cut_off(
    server: Server, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slowreader, "SEND_TIMEOUT_S", 0.05)
    application.may_answer.set()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await _until(lambda: application.served)
        await _until(lambda: not server.state.connections)


async def test_who_takes_an_answer_slowly_gets_all_of_it(
    server: Server, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slowreader, "SEND_TIMEOUT_S", 0.2)
    application.may_answer.set()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(8):
        await reader.readexactly(LARGE_BYTES // 8)
        await asyncio.sleep(0.06)
    writer.close()
