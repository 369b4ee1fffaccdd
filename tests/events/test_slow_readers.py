"""Readers that do not read, over real sockets: they are cut off, and nobody else notices."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import pytest

from cyan.accounts.tokens import Tokens
from cyan.devices.access import DeviceAccess
from cyan.events import streams
from cyan.events.api import routes
from cyan.rest import sse
from cyan.rest.application import build_asgi
from cyan.rest.registry import Registry
from tests.cast import Cast
from tests.clock import HandClock
from tests.events.http_server import OPENING, RawStream, served
from tests.events.world import LAMP, UNLIMITED, World

PATH = "/v1/devices/events"
RECEIVE_BUFFER_BYTES = 8 * 1024
DATA = b"x" * 1000
END = b"0\r\n\r\n"
"""Of a body that is whole; it would have to wait for all that is not read."""


@pytest.fixture
async def port(world: World, cast: Cast, clock: HandClock, tokens: Tokens) -> AsyncIterator[int]:
    world.owners.book[LAMP] = cast.ada.user_id
    access = DeviceAccess(world.db)
    app = build_asgi(
        Registry(routes(world.service, world.hub, world.cursors, access, UNLIMITED)), tokens, clock
    )
    async with served(app) as port:
        yield port
        world.hub.close()


class LazyReader:
    """Opens a stream and then reads only when told to."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._socket.setblocking(False)

    @classmethod
    async def open(cls, port: int, headers: dict[str, str], path: str = PATH) -> "LazyReader":
        reader = cls()
        loop = asyncio.get_running_loop()
        await loop.sock_connect(reader._socket, ("127.0.0.1", port))
        lines = [f"GET {path} HTTP/1.1", "Host: cyan.test"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await loop.sock_sendall(reader._socket, ("\r\n".join(lines) + "\r\n\r\n").encode())
        opening = b""
        while OPENING.encode() not in opening:
            opening += await loop.sock_recv(reader._socket, 4096)
        return reader

    async def read_to_the_end(self) -> bytes:
        """All that was on the way when the connection was closed."""
        loop, content = asyncio.get_running_loop(), b""
        async with asyncio.timeout(10):
            while piece := await loop.sock_recv(self._socket, 65536):
                content += piece
        return content

    def close(self) -> None:
        self._socket.close()


async def publish(world: World, cast: Cast, count: int) -> None:
    events = (world.event("n", DATA, owner_id=cast.ada.user_id) for _ in range(count))
    assert all(await world.publish(*events))


async def read_names(stream: RawStream, count: int) -> int:
    """Reads until so many events came; how many they were."""
    found = 0
    async with asyncio.timeout(20):
        while found < count:
            found += len(re.findall(r"^event: n$", await stream.chunk(), re.MULTILINE))
    return found


async def until_cut_off(world: World, cast: Cast, quick: RawStream) -> int:
    """Publishes until one stream less is open; how many events the quick reader got."""
    before, sent = world.hub.stream_count, 0
    while world.hub.stream_count == before:
        await publish(world, cast, 500)
        assert await read_names(quick, 500) == 500
        sent += 500
        assert sent < 50_000
    return sent


async def test_a_socket_that_does_not_read_is_cut_off_and_others_miss_nothing(
    world: World, cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_BACKLOG_BYTES", 256 * 1024)
    quick = await RawStream.open(port, PATH, cast.ada.headers)
    assert await quick.chunk() == OPENING
    slow = await LazyReader.open(port, cast.ada.headers)
    assert world.hub.stream_count == 2
    await until_cut_off(world, cast, quick)
    assert world.hub.stream_count == 1
    await publish(world, cast, 3)
    assert await read_names(quick, 3) == 3
    assert not (await slow.read_to_the_end()).endswith(END)
    slow.close()
    await quick.close()


async def test_what_waits_for_one_reader_never_passes_the_bound_and_one_tick(
    world: World, cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 256 * 1024
    monkeypatch.setattr(streams, "MAX_BACKLOG_BYTES", bound)
    opened: list[streams.Stream] = []
    subscribe = world.hub.subscribe_stream

    def noticed(*arguments: object, **options: object) -> streams.Stream:
        opened.append(subscribe(*arguments, **options))  # type: ignore[arg-type]
        return opened[-1]

    monkeypatch.setattr(world.hub, "subscribe_stream", noticed)
    slow = await LazyReader.open(port, cast.ada.headers)
    (stream,) = opened
    most = tick_bytes = 0
    while not stream.was_cut_off:
        before = stream.backlog_bytes
        await publish(world, cast, 100)
        tick_bytes = max(tick_bytes, stream.backlog_bytes - before)
        most = max(most, stream.backlog_bytes)
    assert bound < most <= bound + tick_bytes
    slow.close()


async def test_a_cut_off_reader_goes_on_behind_what_it_read(
    world: World, cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_BACKLOG_BYTES", 64 * 1024)
    quick = await RawStream.open(port, PATH, cast.ada.headers)
    assert await quick.chunk() == OPENING
    slow = await LazyReader.open(port, cast.ada.headers, PATH + "?cursor=")
    sent = await until_cut_off(world, cast, quick)
    content = await slow.read_to_the_end()
    ids = re.findall(rb"^id: (\S+)\nevent: n\ndata: .*\n\n", content, re.MULTILINE)
    assert 0 < len(ids) < sent
    headers = {**cast.ada.headers, "last-event-id": ids[-1].decode()}
    again = await RawStream.open(port, PATH, headers)
    assert await again.chunk() == OPENING
    assert await read_names(again, sent - len(ids)) == sent - len(ids)
    slow.close()
    await again.close()
    await quick.close()


async def test_a_reader_that_takes_nothing_for_a_while_is_cut_off_however_little_waits(
    world: World, cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEPALIVE_AFTER_S", 0.05)
    monkeypatch.setattr(sse, "STALL_LIMIT_S", 0.3)
    monkeypatch.setattr(streams, "MAX_BACKLOG_BYTES", 2**40)
    quick = await RawStream.open(port, PATH, cast.ada.headers)
    assert await quick.chunk() == OPENING
    slow = await LazyReader.open(port, cast.ada.headers)
    await until_cut_off(world, cast, quick)
    assert world.hub.stream_count == 1
    assert not (await slow.read_to_the_end()).endswith(END)
    slow.close()
    await quick.close()


async def test_a_revoked_token_ends_a_stream_that_nobody_reads(
    world: World, cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "STALL_LIMIT_S", 0.1)
    slow = await LazyReader.open(port, cast.ada.headers)
    for _ in range(8):
        await publish(world, cast, 500)
    world.hub.close_streams(cast.ada.token_id)
    await asyncio.sleep(0.3)
    assert not (await slow.read_to_the_end()).endswith(END)
    slow.close()
