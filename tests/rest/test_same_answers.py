"""Whatever is sent over one connection, and however it is cut, each request has the answer that it
has alone on a connection of its own, at a server without the short way (decisions 23 and 33)."""

import asyncio
import random
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, cast

import pytest
from starlette.responses import Response
from starlette.types import Scope

from cyan.core.ids import UserId
from cyan.rest import patience
from cyan.rest.application import build_asgi
from cyan.rest.atonce import no_answer_now
from cyan.rest.auth import Auth, Caller
from cyan.rest.call import Call
from cyan.rest.connection import MAX_AT_ONCE, MAX_HEAD_BYTES, PIECE_BYTES
from cyan.rest.registry import Registry, Route
from cyan.rest.responses import json_response
from cyan.rest.tls import Certificate
from tests.clock import HandClock
from tests.rest.certificates import trusting, write_certificate
from tests.rest.listening import PATIENCE_S, listening, request

TURNS: Final = 4
"""Of the loop, after which a piece has arrived, is answered, and the answer has arrived."""

QUIET_TURNS: Final = 20
"""Of the loop, in which nothing comes after an answer that is complete."""

SOAK: Final = pytest.mark.soak

STREAMS: Final = 200
LONG: Final = 5_000
"""Streams of each kind, in `make test` and in `make soak`."""


class Tokens:
    """Each token is the name of its owner."""

    def authenticate(self, token: str) -> Caller:
        return Caller(UserId(token), token, token, "test", None)


def _tell(call: Call) -> Response:
    """All that an endpoint knows of a request without a body."""
    scope = call.scope
    return json_response(
        {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "headers": [b": ".join(header).decode("latin-1") for header in scope["headers"]],
            "caller": call.known_caller and call.known_caller.username,
        }
    )


async def _tell_later(call: Call) -> Response:
    await asyncio.sleep(0)
    return _tell(call)


async def _tell_body(call: Call) -> Response:
    content = (await call.content()).decode("latin-1")
    said = call.request.headers.getlist("x-who")
    return json_response({"path": call.scope["path"], "body": content, "who": said})


ROUTES: Final = (
    Route("GET", "/now/{name}", _tell, Auth.OPTIONAL, never_waits=True),
    Route("GET", "/mine/{name}", _tell, never_waits=True),
    Route("GET", "/later/{name}", _tell_later, Auth.OPTIONAL),
    Route("POST", "/body/{name}", _tell_body, Auth.NONE),
    Route("PATCH", "/body/{name}", _tell_body, Auth.NONE),
)


class Peer(asyncio.Protocol):
    """A client that keeps all that comes."""

    def __init__(self) -> None:
        self.received = b""
        self.is_over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # as far as any loop says

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over.set()

    async def say(self, piece: bytes) -> None:
        """Let the server read this before the next."""
        if not self.is_over.is_set():
            self._transport.write(piece)
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def listen(self) -> None:
        """Until nothing comes for a while."""
        before, quiet = self.received, 0
        while quiet < QUIET_TURNS and not self.is_over.is_set():
            quiet = quiet + 1 if self.received == before else 0
            before = self.received
            await asyncio.sleep(0)

    async def all(self) -> bytes:
        """What has come when the server has ended the connection."""
        async with asyncio.timeout(PATIENCE_S):
            await self.is_over.wait()
        return self.received

    async def answer(self) -> bytes:
        """What has come when no more comes."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.received and not self.is_over.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0)
        await self.listen()
        self._transport.abort()
        return self.received


def comparable(answers: bytes) -> bytes:
    """Without what is another one each time."""
    return re.sub(rb"\r\n(date|x-request-id): [^\r]*", b"", answers)


@dataclass
class Servers:
    """One with the short way, and TLS if there is a context for it; one without either."""

    port: int
    plain_port: int
    tls: ssl.SSLContext | None = None
    at_once: int = 0
    known: dict[bytes, bytes] = field(default_factory=dict)
    """Answers to requests that came alone."""

    async def connect(self) -> Peer:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Peer, "127.0.0.1", self.port, ssl=self.tls))[1]

    async def connect_plain(self) -> Peer:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Peer, "127.0.0.1", self.plain_port))[1]

    async def alone(self, one: bytes) -> bytes:
        """The answer to a request that comes alone."""
        if one not in self.known:
            peer = await self.connect_plain()
            await peer.say(one)
            self.known[one] = comparable(await peer.answer())
        return self.known[one]


@asynccontextmanager
async def both(
    clock: HandClock, certificate: Certificate | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Servers]:
    application = build_asgi(Registry(ROUTES), Tokens(), clock)
    servers = Servers(0, 0, tls)

    def answer_now(scope: Scope) -> Response | None:
        response = application.answer_now(scope)
        servers.at_once += response is not None
        return response

    async with (
        listening(application, answer_now, certificate) as (_, servers.port),
        listening(application, no_answer_now) as (_, servers.plain_port),
    ):
        yield servers


@pytest.fixture
async def servers(clock: HandClock) -> AsyncIterator[Servers]:
    async with both(clock) as running:
        yield running


@pytest.fixture
async def https(
    clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Servers]:
    monkeypatch.setattr(patience, "LINGER_S", 0.3)  # who is refused over TLS has to wait for it
    file = tmp_path / "api.pem"
    write_certificate(file, file)
    async with both(clock, Certificate(file, file), trusting(file)) as running:
        yield running


LAST: Final = request("/now/last", "Connection: close")

SAID: Final = (
    ("Authorization: Bearer ada",),
    ("Authorization: Bearer ada",),
    ("Authorization: Bearer ben",),
    ("X-Who: ada", "X-Who: ben", "X-Empty:"),
    ("x-who:ada",),
    (),
)
"""Headers of which most requests of a connection have the same."""

CHUNKED: Final = "Transfer-Encoding: chunked"
WISH: Final = ("Connection: Upgrade", "Upgrade: h2c")


def _ordinary(chance: random.Random) -> bytes:
    """What a client sends that is not out to confuse anybody."""
    name = chance.randrange(10)
    said = chance.choice(SAID)
    hidden = request(f"/now/hidden{name}", *chance.choice(SAID)) * chance.randrange(1, 3)
    chunked = b"".join(
        b"%x;e=f\r\n%b\r\n" % (len(part), part) for part in re.findall(rb"(?s).{1,50}", hidden)
    )
    sized = f"Content-Length: {len(hidden)}"
    kinds: dict[Callable[[], bytes], int] = {
        lambda: request(f"/now/{name}", *said): 40,
        lambda: request(f"/mine/{name}", *said): 10,
        lambda: request(f"/now/{name}?access_token=ben&x=%20", *said): 3,
        lambda: request(f"/now/%C3%A9{name}", *said): 1,
        lambda: request(f"/now//{name}", *said): 1,
        lambda: request(f"/later/{name}", *said): 5,
        lambda: request(f"/nowhere/{name}", *said): 2,
        lambda: request(f"/now/{name}", *said, method="HEAD"): 2,
        lambda: request(f"/now/{name}", *said, method="OPTIONS"): 1,
        lambda: request(f"/now/{name}", *said, "Content-Length: 0"): 1,
        lambda: request(f"/now/{name}", *said, sized, body=hidden): 2,
        lambda: request(f"/now/{name}", *said, sized, method="POST", body=hidden): 4,
        lambda: request(f"/body/{name}", *said, sized, method="POST", body=hidden): 4,
        lambda: request(
            f"/body/{name}",
            *(*said, sized, "Expect: 100-continue"),
            method="POST",
            body=hidden,
        ): 1,
        lambda: request(
            f"/body/{name}",
            *(*said, CHUNKED),
            method="POST",
            body=chunked + b"0\r\nX-Who: a trailer\r\n\r\n",
        ): 3,
        lambda: request(
            f"/now/{name}", *said, CHUNKED, method="POST", body=chunked + b"0\r\n\r\n"
        ): 2,
        lambda: request(f"/body/{name}", *said, *WISH, sized, method="POST", body=hidden): 1,
        lambda: request(f"/now/{name}", *said, *WISH): 1,
        lambda: request(f"http://cyan.test/now/{name}", *said): 1,
        lambda: b"\r\n" * chance.randrange(1, 3) + request(f"/now/{name}", *said): 3,
        lambda: request(f"/now/{name}", *said) + b"\r\n" * chance.randrange(1, 3): 3,
        lambda: request(f"/now/{name}", *said, "X-Long: " + "y" * PIECE_BYTES): 1,
        lambda: request(f"/now/{'y' * PIECE_BYTES}", *said): 1,
    }
    return chance.choices(list(kinds), list(kinds.values()))[0]()


def _odd(chance: random.Random) -> list[bytes]:
    """What nobody sends who means well, and then a good one with headers that look the same."""
    name = chance.randrange(10)
    said = chance.choice(SAID)
    plain = request(f"/now/{name}", *said)
    line, _, rest = plain.partition(b" HTTP/1.1\r\n")
    other_words = line + b" RTSP/1.1\r\nX-Who: cleo\r\nX: HTTP/1.1\r\n" + rest
    odd = chance.choice(
        [
            *[other_words] * 4,
            line + b"  HTTP/1.1\r\n" + rest,
            line + b" HTTP/1.1\nX: HTTP/1.1\r\n" + rest,
            line + b"\r\nX: HTTP/1.1\r\n" + rest,
            line + b" HTTP/1.0\r\n" + rest,
            line + b" HTTP/2.0\r\n" + rest,
            plain.replace(b"GET ", b"get "),
            plain.replace(b"\r\n", b"\n"),
            plain.replace(b": ", b" : "),
            plain.replace(b": ", b":\r\n "),
            plain.replace(b"cyan.test", b"cyan\0test"),
            plain.replace(b"Host", b"Hose"),
            request(f"/now/{name}", *said, "Host: cyan.test"),
            request(f"/now/{name}", *said, "Connection: close"),
            request(f"/now/{name}", *said, "Transfer-Encoding: gzip"),
            request(f"/now/{name}", *said, "Content-Length: 1", CHUNKED),
            request(f"/body/{name}", *said, CHUNKED, method="POST", body=b"1\r\nabc"),
            request(f"/now/{'y' * 2 * MAX_HEAD_BYTES}", *said),
            request(f"/now/{name}", *said, method="CONNECT"),
            request("*", *said),
        ]
    )
    return [odd, plain]


def _requests(chance: random.Random) -> list[bytes]:
    made = [_ordinary(chance) for _ in range(chance.randrange(1, 25))]
    if chance.random() < 0.3:
        at = chance.randrange(len(made))
        made[at : at + 1] = [request("/now/x", *chance.choice(SAID))] * 3 * MAX_AT_ONCE
    if chance.random() < 0.5:
        at = chance.randrange(len(made) + 1)
        made[at:at] = _odd(chance)
    if chance.random() < 0.2:  # in small letters, as browsers send it, and as the first
        made.insert(0, request("/body/x", "Content-Length: 2", method="patch", body=b"{}"))
    return [*made, LAST]


def _cut(chance: random.Random, requests: list[bytes]) -> list[bytes]:
    """Mostly where one ends, and anywhere."""
    stream = b"".join(requests)
    ends = [0]
    for one in requests:
        ends.append(ends[-1] + len(one))
    cuts = {end for end in ends if chance.random() < 0.7} | {0, len(stream)}
    for _ in range(chance.choice([0, 0, 1, 5, 20])):
        near = chance.choice(ends) + chance.randrange(-6, 7)
        cuts.add(min(max(near, 0), len(stream)))
        cuts.add(chance.randrange(len(stream)))
    return [stream[start:end] for start, end in pairwise(sorted(cuts))]


async def _compare(servers: Servers, seed: int) -> None:
    chance = random.Random(seed)
    requests = _requests(chance)
    pieces = _cut(chance, requests)
    expected, end = b"", 0
    for one in requests:
        answer = await servers.alone(one)
        expected, end = expected + answer, end + len(one)
        if b"\r\nconnection: close\r\n" in answer:
            break
    peer = await servers.connect()
    sent = 0
    for piece in pieces:
        if sent < end:  # later ones would meet a connection that is closed already
            await peer.say(piece)
        sent += len(piece)
    assert comparable(await peer.all()) == expected, f"of the stream {seed}"


async def _compare_damaged(servers: Servers, seed: int) -> None:
    """With single bytes changed, nobody can tell one request from the next. So all of them come to
    the other server over one connection too, and in the same pieces."""
    chance = random.Random(seed)
    pieces = _cut(chance, _requests(chance))
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(pieces))
        piece = bytearray(pieces[at])
        piece[chance.randrange(len(piece))] = chance.choice(b"\r\n :/\0aG0;\xff")
        pieces[at] = bytes(piece)
    answers = []
    for peer in (await servers.connect_plain(), await servers.connect()):
        for said in pieces:
            await peer.say(said)
            await peer.listen()
        answers.append(comparable(await peer.all()))
    assert answers[0] == answers[1], f"of the stream {seed}"


@pytest.mark.parametrize("seeds", [range(STREAMS), pytest.param(range(LONG), marks=SOAK)])
async def test_each_is_answered_as_if_it_were_alone(servers: Servers, seeds: range) -> None:
    for seed in seeds:
        await _compare(servers, seed)
    assert servers.at_once > 5 * len(seeds)


@pytest.mark.parametrize(
    "seeds", [range(STREAMS // 10), pytest.param(range(LONG // 5), marks=SOAK)]
)
async def test_over_tls_too(https: Servers, seeds: range) -> None:
    for seed in seeds:
        await _compare(https, seed)
    assert https.at_once > 5 * len(seeds)


@pytest.mark.parametrize("seeds", [range(STREAMS // 4), pytest.param(range(LONG), marks=SOAK)])
async def test_damaged_streams_are_read_as_without_the_short_way(
    servers: Servers, seeds: range
) -> None:
    for seed in seeds:
        await _compare_damaged(servers, seed)
