"""Connections of strangers over a real socket: what never ends, and what never begins."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import msgspec
import pytest
from starlette.responses import Response

from cyan.core.bus import Bus
from cyan.rest import body, patience
from cyan.rest.application import build_asgi
from cyan.rest.auth import Auth
from cyan.rest.body import MAX_BODY_BYTES
from cyan.rest.call import Call
from cyan.rest.connection import MAX_HEAD_BYTES
from cyan.rest.registry import Registry, Route
from cyan.rest.responses import json_response
from tests.clock import HandClock
from tests.rest.listening import PATIENCE_S, all_that_comes, listening, request

HEAD: Final = b"POST /size HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


class Nobody:
    """No token is valid."""

    def authenticate(self, token: str) -> object:
        raise AssertionError(token)


async def _size(call: Call) -> Response:
    return json_response({"size": len(await call.content())})


@pytest.fixture
async def port(clock: HandClock, bus: Bus) -> AsyncIterator[int]:
    registry = Registry()
    registry.add(Route("POST", "/size", _size, Auth.NONE))
    asgi = build_asgi(registry, Nobody(), clock)  # type: ignore[arg-type]
    async with listening(asgi) as (_, port):
        yield port


async def test_a_request_of_ordinary_size_is_answered(port: int) -> None:
    head = HEAD + b"connection: close\r\nx: %b\r\ncontent-length: 3\r\n\r\n" % (b"y" * 30_000)
    assert (await all_that_comes(port, head, b"abc")).endswith(b'{"size":3}')


async def test_a_large_body_in_pieces_is_no_long_head(port: int) -> None:
    size = MAX_BODY_BYTES - 10
    head = HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % size
    pieces = [b"a" * min(10_000, size - at) for at in range(0, size, 10_000)]
    assert (await all_that_comes(port, head, *pieces)).endswith(b'{"size":%d}' % size)


@pytest.mark.parametrize(
    "endless",
    [HEAD + b"x: ", HEAD + b"x", b"POST /", b"\r\n", b"\r\n\r\n"],
    ids=["value", "name", "path", "line break", "line breaks"],
)
async def test_a_head_without_end_is_cut_off(port: int, endless: bytes) -> None:
    filling = b"\r\n" * 5_000 if endless.startswith(b"\r\n") else b"y" * 10_000
    answer = await all_that_comes(port, endless, *[filling] * (4 * MAX_HEAD_BYTES // 10_000))
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


async def test_what_is_no_http_is_told_in_json(port: int) -> None:
    answer = await all_that_comes(
        port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS, say\r\n\r\n"
    )
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json")
    assert msgspec.json.decode(content)["ok"] is False


async def test_many_short_header_lines_are_cut_off_too(port: int) -> None:
    answer = await all_that_comes(port, HEAD, *[b"x: y\r\n" * 2_000] * 30)
    assert answer == b"" or b"at most 65536 bytes" in answer


@pytest.mark.parametrize(
    "tail",
    [b"1;" + b"e" * MAX_HEAD_BYTES * 16, b"1\r\na\r\n0\r\n" + b"t: r\r\n" * MAX_HEAD_BYTES * 2],
    ids=["chunk extension", "trailers"],
)
async def test_the_end_of_a_body_cannot_be_endless(port: int, tail: bytes) -> None:
    # The request waits for its body, so the connection just ends, and the request with it.
    answer = await all_that_comes(port, HEAD + b"transfer-encoding: chunked\r\n\r\n" + tail)
    assert b" 200 " not in answer


@pytest.mark.parametrize("said", [b"", b"POST /si", HEAD], ids=["nothing", "a line", "a head"])
async def test_who_does_not_say_what_is_wanted_is_cut_off(
    port: int, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_TIMEOUT_S", 0.05)
    assert await all_that_comes(port, said) == b""


async def test_who_does_not_send_the_body_is_answered(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.05)
    answer = await all_that_comes(port, HEAD + b"connection: close\r\ncontent-length: 3\r\n\r\nab")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"request_timeout"' in answer


async def test_a_connection_that_was_answered_cannot_stay_by_trickling(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"content-length: 2\r\n\r\n{}")
    await reader.readuntil(b'{"size":2}')
    writer.write(b"\r\n")  # stops the wait for a next request that uvicorn has after an answer
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_a_head_that_began_behind_a_request_has_no_longer_either(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_TIMEOUT_S", 0.3)
    answered = asyncio.Event()

    async def wait(_call: Call) -> Response:
        await answered.wait()
        return json_response({"waited": True})

    asgi = build_asgi(Registry([Route("GET", "/wait", wait, Auth.NONE)]), Nobody(), clock)  # type: ignore[arg-type]
    async with listening(asgi, quiet_s=0) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in (request("/wait"), b"GET /wa"):
            writer.write(piece)
            await asyncio.sleep(0.01)
        answered.set()
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionError):
                assert (await reader.read()).endswith(b'{"waited":true}')
        writer.close()


async def test_who_goes_on_sending_reads_the_refusal(port: int) -> None:
    """Of a connection that is closed with something unread, the kernel throws away the rest."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"no request\r\n\r\n")
    for _ in range(20):
        writer.write(b"y" * 10_000)
        await asyncio.sleep(0.001)
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_who_was_refused_cannot_stay(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LINGER_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"no request\r\n\r\n")
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                writer.write(b"y")
                await writer.drain()
                await asyncio.sleep(0.01)
    del reader
