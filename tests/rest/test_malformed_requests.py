"""Requests of which nobody can know what they mean: refused in words, and nothing is read on."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final

import msgspec
import pytest
from starlette.responses import Response

from cyan.rest.application import build_asgi
from cyan.rest.auth import Auth
from cyan.rest.call import Call
from cyan.rest.registry import Registry, Route
from cyan.rest.responses import json_response
from tests.clock import HandClock
from tests.rest.listening import all_that_comes, listening, read_answer, request
from tests.rest.test_connection import Nobody

HIDDEN: Final = request("/hidden", "Connection: close")


async def _echo(call: Call) -> Response:
    said = call.request.headers.getlist("x-who")
    return json_response({"size": len(await call.content()), "who": said})


async def _wait(_call: Call) -> Response:
    await asyncio.sleep(0.05)
    return json_response({"waited": True})


def _now(_call: Call) -> Response:
    return json_response({"now": True})


@pytest.fixture
async def port(clock: HandClock) -> AsyncIterator[int]:
    routes = [
        Route("POST", "/echo", _echo, Auth.NONE),
        Route("GET", "/wait", _wait, Auth.NONE),
        Route("GET", "/now", _now, Auth.NONE, never_waits=True),
    ]
    application = build_asgi(Registry(routes), Nobody(), clock)  # type: ignore[arg-type]
    async with listening(application, application.answer_now) as (_, port):
        yield port


def _post(*headers: str, body: bytes = b"") -> bytes:
    return request("/echo", *headers, method="POST", body=body)


CHUNKED: Final = "Transfer-Encoding: chunked"

BODIES: Final = {
    "too long a chunk": _post(CHUNKED, body=b"3\r\nabcX\r\n0\r\n\r\n"),
    "no size": _post(CHUNKED, body=b"3\r\nabc\r\nsize\r\n"),
    "too large a size": _post(CHUNKED, body=b"fffffffffffffffff\r\n"),
    "bad extension": _post(CHUNKED, body=b'3;x="\n"\r\nabc\r\n'),
    "bad trailer": _post(CHUNKED, body=b"0\r\nX Y: z\r\n\r\n"),
}

HEADS: Final = {
    "unknown coding": (_post("Transfer-Encoding: gzip"), "Transfer-Encoding"),
    "not only chunked": (_post("Transfer-Encoding: gzip, chunked"), "Transfer-Encoding"),
    "chunked twice": (_post(CHUNKED, CHUNKED), "Transfer-Encoding"),
    "coding of no body": (request("/now", "Transfer-Encoding: gzip"), "Transfer-Encoding"),
    "two lengths": (_post("Content-Length: 3", "Content-Length: 4"), "Content-Length"),
    "a length twice": (_post("Content-Length: 3", "Content-Length: 3"), "Content-Length"),
    "a list of lengths": (_post("Content-Length: 3, 3"), "Content-Length"),
    "a sign": (_post("Content-Length: +3"), "Content-Length"),
    "length, coding": (_post("Content-Length: 3", CHUNKED), "Transfer-Encoding"),
    "coding, length": (_post(CHUNKED, "Content-Length: 3"), "Content-Length"),
    "no host": (b"GET /now HTTP/1.1\r\n\r\n", "send `Host: name`"),
    "two hosts": (request("/now", "Host: cyan.test"), "send `Host: name`"),
    "two hosts, 1.0": (request("/now", "Host: cyan.test", version="1.0"), "send `Host: name`"),
    "no name": (b"GET /now HTTP/1.1\r\nHost: a/b\r\n\r\n", "`Host: name:port`"),
    "two names": (b"GET /now HTTP/1.1\r\nHost: a b\r\n\r\n", "`Host: name:port`"),
    "only a host": (request("http://cyan.test"), "is no path"),
    "folded": (request("/now", "X: a\r\n b"), "HTTP/1.1"),
    "line feed alone": (b"GET /now HTTP/1.1\nHost: x\n\n", "HTTP/1.1"),
}


def _split(answers: bytes) -> list[bytes]:
    """Each from its status code on."""
    return re.split(rb"HTTP/1\.1 (?=\d\d\d )", answers)[1:]


def _read(answer: bytes, status: int = 400) -> str:
    """The reason of a refusal, of which there must be one alone, with the end of the connection."""
    assert len(_split(answer)) == 1
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    refusal = msgspec.json.decode(content, type=dict[str, object])
    assert refusal["ok"] is False
    return str(refusal["error_description"])


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_cannot_be_read_is_refused(port: int, name: str) -> None:
    answer = await all_that_comes(port, BODIES[name] + HIDDEN)
    assert "This is not HTTP/1.1" in _read(answer)
    assert b"x-request-id: " in answer


@pytest.mark.parametrize("name", BODIES)
async def test_so_is_one_that_comes_while_it_is_awaited(port: int, name: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head, end, body = BODIES[name].partition(b"\r\n\r\n")
    writer.write(head + end)
    await asyncio.sleep(0.01)
    writer.write(body[:1])
    await asyncio.sleep(0.01)
    writer.write(body[1:])
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.parametrize("name", HEADS)
async def test_a_head_that_can_mean_two_things_is_refused(port: int, name: str) -> None:
    said, words = HEADS[name]
    answer = await all_that_comes(port, said + HIDDEN)
    assert words in _read(answer)


@pytest.mark.parametrize("name", HEADS)
async def test_requests_before_it_have_their_answers(port: int, name: str) -> None:
    said, words = HEADS[name]
    before = request("/wait") + request("/now")
    answers = await all_that_comes(port, before + said + HIDDEN)
    waited, now, refused = _split(answers)
    assert waited.endswith(b'{"waited":true}')
    assert now.endswith(b'{"now":true}')
    assert refused.startswith(b"400 ")
    assert words.encode() in refused


async def test_a_damaged_body_after_the_answer_ends_the_connection_without_another(
    port: int,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/now", CHUNKED, method="POST", body=b"3\r\nabc\r\n"))
    head, _ = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 405 ")
    writer.write(b"size\r\n" + HIDDEN)
    assert await reader.read() == b""
    writer.close()


async def test_a_damaged_body_behind_others_breaks_into_no_answer(port: int) -> None:
    answers = await all_that_comes(port, request("/wait") + BODIES["no size"] + HIDDEN)
    waited, refused = _split(answers)
    assert waited.endswith(b'{"waited":true}')
    assert refused.startswith(b"400 ")


@pytest.mark.parametrize(
    "said",
    [
        b"GET /now HTTP/1.0\r\n\r\n",
        b"GET /now HTTP/1.1\r\nConnection: close\r\nHost:\r\n\r\n",
        b"GET /now HTTP/1.1\r\nConnection: close\r\nHost: [::1]:8080\r\n\r\n",
        b"GET http://cyan.test/now HTTP/1.1\r\nConnection: close\r\nHost: cyan.test\r\n\r\n",
    ],
    ids=["HTTP/1.0 without", "empty", "address", "absolute"],
)
async def test_what_may_be_said_of_the_host_is_taken(port: int, said: bytes) -> None:
    answer = await all_that_comes(port, said)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'{"now":true}')


async def test_a_connection_is_no_tunnel(port: int) -> None:
    answer = await all_that_comes(port, request("cyan.test:80", method="CONNECT") + HIDDEN)
    assert "CONNECT" in _read(answer, 501)


async def test_what_is_said_after_a_body_is_no_header(port: int) -> None:
    body = b"3\r\nabc\r\n0\r\nX-Who: a stranger\r\n\r\n"
    answer = await all_that_comes(
        port, request("/wait"), _post(CHUNKED, "Connection: close", "X-Who: me", body=body)
    )
    assert answer.endswith(b'{"size":3,"who":["me"]}')


@pytest.mark.parametrize("is_in_pieces", [False, True])
async def test_who_would_like_another_protocol_is_answered_in_this_one(
    port: int, is_in_pieces: bool
) -> None:
    """As Java's HttpClient asks: with the body behind, which looks like a request here."""
    wish = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAE")
    said = _post(*wish, f"Content-Length: {len(HIDDEN)}", body=HIDDEN)
    last = request("/now", "Connection: close")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in [said[: -len(HIDDEN)], HIDDEN, last] if is_in_pieces else [said + last]:
        writer.write(piece)
        await asyncio.sleep(0.01)
    assert (await read_answer(reader))[1] == b'{"size":%d,"who":[]}' % len(HIDDEN)
    assert (await read_answer(reader))[1] == b'{"now":true}'
    assert await reader.read() == b""
    writer.close()
