"""Requests that are answered without waiting take a short way; nobody can tell by the answer."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from prometheus_client import generate_latest
from starlette.responses import Response
from structlog.testing import capture_logs

from cyan.accounts.tokens import Tokens
from cyan.core.metrics import REGISTRY
from cyan.rest.application import build_asgi
from cyan.rest.auth import Auth
from cyan.rest.call import Call
from cyan.rest.connection import MAX_AT_ONCE, MAX_HEAD_BYTES
from cyan.rest.errors import bad_request
from cyan.rest.registry import Registry, Route
from cyan.rest.responses import json_response
from tests.clock import HandClock
from tests.rest.listening import PATIENCE_S, ask, listening, read_answer
from tests.rest.listening import request as get

QUIET_S = 1
"""A connection that is quiet for so long is closed."""


@dataclass
class Counted:
    """Requests that came the short way, and those that came through ASGI."""

    port: int = 0
    at_once: int = 0
    long_way: int = 0


def _show(call: Call) -> Response:
    return json_response({"name": call.path["name"], "query": dict(call.query)})


def _tell_who(call: Call) -> Response:
    """What the headers say, of which one may be there several times."""
    said = call.request.headers.getlist("x-who")
    return json_response({"name": call.path["name"], "who": said})


async def _show_slowly(call: Call) -> Response:
    await asyncio.sleep(0)
    return _show(call)


def _refuse(_call: Call) -> Response:
    raise bad_request("Never.")


@pytest.fixture
async def server(clock: HandClock, tokens: Tokens) -> AsyncIterator[Counted]:
    routes = [
        Route("GET", "/now/{name}", _show, Auth.NONE, never_waits=True),
        Route("GET", "/later/{name}", _show_slowly, Auth.NONE),
        Route("GET", "/refused", _refuse, Auth.NONE, never_waits=True),
        Route("GET", "/secret/{name}", _show, never_waits=True),
        Route("GET", "/liar/{name}", _show_slowly, Auth.NONE, never_waits=True),
        Route("GET", "/who/{name}", _tell_who, Auth.NONE, never_waits=True),
    ]
    application = build_asgi(Registry(routes), tokens, clock)
    counted = Counted()

    async def asgi(scope, receive, send):  # type: ignore[no-untyped-def]
        counted.long_way += 1
        await application(scope, receive, send)

    def answer_now(scope):  # type: ignore[no-untyped-def]
        response = application.answer_now(scope)
        counted.at_once += response is not None
        return response

    async with listening(asgi, answer_now, quiet_s=QUIET_S) as (_, counted.port):
        yield counted


def shape(head: bytes) -> list[bytes]:
    """The status line and the names of the headers."""
    first, *rest = head.strip().split(b"\r\n")
    return [first, *sorted(line.split(b":")[0].lower() for line in rest)]


async def test_the_answer_is_the_one_of_the_long_way(server: Counted) -> None:
    ((quick, body),) = await ask(server.port, get("/now/a%20b?x=1&y=%C3%A9"))
    assert body == '{"name":"a b","query":{"x":"1","y":"é"}}'.encode()
    assert (server.at_once, server.long_way) == (1, 0)
    ((slow, same),) = await ask(server.port, get("/later/a%20b?x=1&y=%C3%A9"))
    assert (server.at_once, server.long_way) == (1, 1)
    assert same == body
    assert shape(quick) == shape(slow)


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/now/a", "Content-Length: 2") + b"{}",
        get("/now/a", "Content-Length: 0"),
        get("/now/a", "Connection: close"),
        get("/now/a", version="1.0"),
        get("/now/a", "Expect: 100-continue"),
        get("/later/a"),
        get("/nowhere"),
    ],
    ids=["body", "length", "close", "HTTP/1.0", "expect", "waits", "unknown"],
)
async def test_all_else_takes_the_long_way(server: Counted, request_bytes: bytes) -> None:
    await ask(server.port, request_bytes)
    assert (server.at_once, server.long_way) == (0, 1)


async def test_a_refusal_and_a_missing_token_are_answered_at_once_too(server: Counted) -> None:
    ((refused, _),) = await ask(server.port, get("/refused"))
    assert refused.startswith(b"HTTP/1.1 400 ")
    ((nobody, body),) = await ask(server.port, get("/secret/a"))
    assert nobody.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))
    assert b"access token" in body
    assert server.long_way == 0


async def test_pipelined_requests_are_answered_in_their_order(server: Counted) -> None:
    paths = [f"/{'later' if n % 5 == 3 else 'now'}/{n}" for n in range(3 * MAX_AT_ONCE)]
    answers = await ask(server.port, *map(get, paths), answers=len(paths))
    assert [body for _, body in answers] == [
        f'{{"name":"{n}","query":{{}}}}'.encode() for n in range(len(paths))
    ]


async def test_one_connection_gets_only_so_many_answers_in_a_turn(server: Counted) -> None:
    count = MAX_AT_ONCE + 5
    await ask(server.port, *(get(f"/now/{n}") for n in range(count)), answers=count)
    assert server.at_once >= MAX_AT_ONCE
    assert server.long_way >= 1


async def test_such_requests_are_counted_and_have_a_name(server: Counted) -> None:
    ((head, _),) = await ask(server.port, get("/now/counted"))
    assert b"x-request-id: " in head
    exposed = generate_latest(REGISTRY).decode()
    assert 'cyan_http_requests_total{method="GET",route="/now/{name}",status="200"}' in exposed


async def test_a_route_that_may_wait_after_all_is_an_error_of_ours(server: Counted) -> None:
    """And not a client that hangs."""
    with capture_logs() as logs:
        ((head, body),) = await ask(server.port, get("/liar/a"))
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"internal_error" in body
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["http.failed"]


class Talk:
    """A connection on which each piece is read before the next one comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, piece: bytes) -> None:
        self._writer.write(piece)
        await self._writer.drain()
        for _ in range(3):  # the server has its turn on the same loop
            await asyncio.sleep(0.001)

    async def hear(self) -> bytes:
        """The body of the next answer."""
        return (await read_answer(self._reader))[1]

    async def hears_nothing(self) -> bool:
        try:
            async with asyncio.timeout(0.2):
                return await self._reader.read(1) == b""
        except TimeoutError:
            return True


@pytest.fixture
async def talk(server: Counted) -> AsyncIterator[Talk]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    yield Talk(reader, writer)
    writer.close()


def who(name: str, *said: str) -> bytes:
    return f'{{"name":"{name}","who":[{",".join(map("{!r}".format, said))}]}}'.encode().replace(
        b"'", b'"'
    )


async def test_requests_alike_but_for_their_path(server: Counted, talk: Talk) -> None:
    for name in "abc":
        await talk.say(get(f"/who/{name}", "X-Who: me", "X-Who: too"))
        assert await talk.hear() == who(name, "me", "too")
    assert (server.at_once, server.long_way) == (3, 0)


async def test_other_headers_and_other_urls_are_read(server: Counted, talk: Talk) -> None:
    await talk.say(get("/who/a", "X-Who: me"))
    assert await talk.hear() == who("a", "me")
    await talk.say(get("/who/b", "X-Who: he"))
    assert await talk.hear() == who("b", "he")
    await talk.say(get("/who/%C3%A9?x=1", "X-Who: he"))
    assert await talk.hear() == who("é", "he")
    await talk.say(get("/who/c", "X-Who: he", version="1.0"))
    assert await talk.hear() == who("c", "he")
    assert (server.at_once, server.long_way) == (3, 1)


async def test_others_between_requests_alike(server: Counted, talk: Talk) -> None:
    for path in ("/who/a", "/later/b", "/who/c", "/nowhere", "/who/d", "/refused", "/who/e"):
        await talk.say(get(path, "X-Who: me"))
        answer = await talk.hear()
        if path.startswith("/who/"):
            assert answer == who(path[-1], "me")
    assert (server.at_once, server.long_way) == (5, 2)


async def test_the_end_of_a_request_is_not_remembered_as_one(talk: Talk) -> None:
    """A value in the first request looks like the beginning of one."""
    await talk.say(b"GET /who/a HTTP/1.1\r\nX-Who: a stranger\r\nX-Hidden: ")
    await talk.say(get("/who/a"))
    assert await talk.hear() == who("a", "a stranger")
    await talk.say(get("/who/a"))
    assert await talk.hear() == who("a")


async def test_what_looks_like_a_first_line_is_none(talk: Talk) -> None:
    """The parser takes RTSP for HTTP, so that the first line is not where ours would be."""
    await talk.say(b"GET /who/a RTSP/1.1\r\nX-Who: a stranger\r\nX: " + get("/who/x")[4:])
    assert await talk.hear() == who("a", "a stranger")
    await talk.say(get("/who/a"))
    assert await talk.hear() == who("a")


async def test_a_request_alike_with_a_longer_path_is_too_long_as_well(talk: Talk) -> None:
    await talk.say(get("/who/a"))
    assert await talk.hear() == who("a")
    await talk.say(get("/who/" + "a" * 2 * MAX_HEAD_BYTES))
    assert b"at most 65536 bytes" in await talk.hear()


async def test_a_body_that_looks_like_a_request_is_a_body(talk: Talk) -> None:
    hidden = get("/who/hidden", "X-Who: me")
    await talk.say(get("/who/a", "X-Who: me"))
    assert await talk.hear() == who("a", "me")
    # Refused before its body comes.
    await talk.say(get("/now/a", f"Content-Length: {2 * len(hidden)}", method="POST"))
    assert b"method_not_allowed" in await talk.hear()
    await talk.say(hidden)
    await talk.say(hidden)
    assert await talk.hears_nothing()
    await talk.say(get("/who/b", "X-Who: me"))
    assert await talk.hear() == who("b", "me")


@pytest.mark.parametrize("seed", range(20))
async def test_it_does_not_matter_how_requests_are_cut(talk: Talk, seed: int) -> None:
    chance = random.Random(seed)
    stream = b""
    expected: list[bytes | None] = []
    """None: a refusal."""
    for n in range(30):
        said = chance.choice((["X-Who: me"], ["X-Who: me"], ["X-Who: he", "X-Who: she"], []))
        if chance.random() < 0.1:
            body = get(f"/who/{n}", *said)
            stream += get("/now/a", f"Content-Length: {len(body)}", method="POST") + body
            expected.append(None)
        else:
            stream += get(f"/who/{n}", *said)
            expected.append(who(str(n), *(line[7:] for line in said)))
    ends = [at + 4 for at in range(len(stream)) if stream.startswith(b"\r\n\r\n", at)]
    cuts = {*chance.sample(ends, 20), *chance.sample(range(1, len(stream)), 10), 0, len(stream)}
    places = sorted(cuts)
    for start, end in pairwise(places):
        await talk.say(stream[start:end])
    for answer in expected:
        body = await talk.hear()
        assert (body == answer) if answer else (b"method_not_allowed" in body)


@pytest.mark.parametrize("path", ["/now/a", "/later/a"])
async def test_a_connection_that_is_quiet_after_an_answer_is_closed(
    server: Counted, path: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(6):
            # Within the time, but all six take longer than that.
            await asyncio.sleep(QUIET_S / 4)
            writer.write(get(path))
            await reader.readuntil(b'"query":{}}')
            answered_s = loop.time()
        assert await reader.read() == b""
    assert loop.time() - answered_s >= 0.9 * QUIET_S
    writer.close()


async def test_a_server_that_stops_breaks_into_no_answer(clock: HandClock, tokens: Tokens) -> None:
    application = build_asgi(
        Registry([Route("GET", "/now/{name}", _show, Auth.NONE, never_waits=True)]), tokens, clock
    )
    answered = 0
    async with listening(application, application.answer_now) as (serving, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)) as ended:
            while True:
                writer.write(get("/now/a"))
                await read_answer(reader)
                answered += 1
                serving.should_exit = answered >= 5
        if isinstance(ended.value, asyncio.IncompleteReadError):
            assert ended.value.partial == b""
        writer.close()
    assert answered >= 5


async def test_who_reads_late_gets_all_answers_in_their_order(server: Counted) -> None:
    """Some are answered at once, the others when there is room again."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", server.port))
        reader, writer = await asyncio.open_connection(sock=client)
        names = [f"{n}-{'y' * 1_000}" for n in range(5_000)]
        for name in names:
            writer.write(get(f"/now/{name}"))
        while server.long_way == 0 or server.at_once == 0:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        for name in names:
            assert (await read_answer(reader))[1] == f'{{"name":"{name}","query":{{}}}}'.encode()
        writer.close()
