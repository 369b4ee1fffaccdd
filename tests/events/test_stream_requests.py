"""The three stream forms of a person, byte for byte, over a real server and socket."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from cyan.accounts.tokens import Tokens
from cyan.core.bus import Bus
from cyan.core.ids import UserId
from cyan.devices import registry
from cyan.devices.access import DeviceAccess
from cyan.events.api import routes
from cyan.events.hub import follow
from cyan.rest import sse
from cyan.rest.application import build_asgi
from cyan.rest.registry import Registry
from tests.cast import Cast
from tests.clock import HandClock
from tests.events.http_server import OPENING, RawStream, served
from tests.events.world import LAMP, PUMP, UNLIMITED, World

Open = Callable[..., Awaitable[RawStream]]


@dataclass
class Server:
    """A running server with Ada's lamp and pump; `get` opens a path as Ada or with `headers`."""

    world: World
    cast: Cast
    port: int
    streams: list[RawStream]

    async def get(self, path: str, headers: dict[str, str] | None = None) -> RawStream:
        sent = self.cast.ada.headers if headers is None else headers
        stream = await RawStream.open(self.port, path, sent)
        self.streams.append(stream)
        return stream

    async def stream(self, path: str, headers: dict[str, str] | None = None) -> RawStream:
        """A stream that has opened as it should."""
        opened = await self.get(path, headers)
        assert opened.status == 200
        assert await opened.chunk() == OPENING
        return opened

    async def publish(self, name: str, data: bytes = b"21.5", owner: UserId | None = None) -> None:
        owner_id = self.cast.ada.user_id if owner is None else owner
        assert await self.world.publish(self.world.event(name, data, owner_id=owner_id)) == [True]


@pytest.fixture
async def server(
    world: World, cast: Cast, clock: HandClock, tokens: Tokens, bus: Bus
) -> AsyncIterator[Server]:
    for device_id, name in ((LAMP, "attic lamp"), (PUMP, "pump")):
        registry.register_device(world.db, clock, device_id, name=name, owner=cast.ada.user_id)
        world.owners.book[device_id] = cast.ada.user_id
    follow(bus, world.hub)
    access = DeviceAccess(world.db)
    app = build_asgi(
        Registry(routes(world.service, world.hub, world.cursors, access, UNLIMITED)), tokens, clock
    )
    async with served(app) as port:
        server = Server(world, cast, port, [])
        yield server
        for stream in server.streams:
            await stream.close()
        world.hub.close()


def names(chunk: str) -> list[str]:
    return re.findall(r"^event: (.*)$", chunk, re.MULTILINE)


async def test_a_stream_is_to_the_byte_what_clients_read(server: Server) -> None:
    stream = await server.stream("/v1/devices/events")
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-cache"
    await server.publish("temperature")
    assert await stream.chunk() == (
        "event: temperature\n"
        'data: {"data":"21.5","ttl":60,"published_at":"2026-01-02T03:04:05.678Z",'
        f'"coreid":"{LAMP}","userid":"{server.cast.ada.user_id}","version":0,"public":false}}\n'
        "\n"
    )


async def test_no_ids_are_sent_to_readers_that_did_not_ask(server: Server) -> None:
    stream = await server.stream("/v1/devices/events?nonce=0.123")
    await server.publish("a")
    assert "id:" not in await stream.chunk()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/events/temp", ["temp/1"]),
        ("/v1/events/temp%2F", ["temp/1"]),
        ("/v1/events/temp/1", ["temp/1"]),
        ("/v1/events/temp/2", []),
        ("/v1/devices/events", ["temp/1", "žár"]),
        ("/v1/devices/events/", ["temp/1", "žár"]),
        ("/v1/devices/events/%C5%BE", ["žár"]),
        ("/v1/devices/events/Temp", []),
        (f"/v1/devices/{LAMP}/events", ["temp/1", "žár"]),
        (f"/v1/devices/{LAMP.upper()}/events/temp/", ["temp/1"]),
        ("/v1/devices/attic%20lamp/events/temp", ["temp/1"]),
        (f"/v1/devices/{PUMP}/events", []),
        ("/v1/devices/pump/events/temp", []),
    ],
)
async def test_the_stream_forms_and_their_prefixes(
    server: Server, path: str, expected: list[str]
) -> None:
    stream = await server.stream(path)
    for name in ("temp/1", "žár"):
        await server.publish(name)
    await asyncio.sleep(0.01)
    server.world.hub.close_streams(server.cast.ada.token_id)
    body = ""
    while chunk := await stream.chunk():
        body += chunk
    assert names(body) == expected


async def test_the_token_may_be_in_the_query(server: Server) -> None:
    stream = await server.stream(f"/v1/events/a?access_token={server.cast.ada.token}", {})
    await server.publish("a")
    assert names(await stream.chunk()) == ["a"]


async def test_a_stranger_reads_nothing_of_what_is_not_theirs(server: Server) -> None:
    stream = await server.stream("/v1/devices/events", server.cast.cleo.headers)
    await server.publish("adas")
    await server.publish("cleos", owner=server.cast.cleo.user_id)
    assert names(await stream.chunk()) == ["cleos"]


@pytest.mark.parametrize("device", [LAMP, "attic%20lamp", "e00fce680000000000000bad", "nothing"])
async def test_a_device_that_is_not_the_callers_is_refused(server: Server, device: str) -> None:
    answer = await server.get(f"/v1/devices/{device}/events", server.cast.cleo.headers)
    assert answer.status == 403
    assert json.loads(await answer.body())["error"] == "Permission Denied"


async def test_all_events_without_a_prefix_are_refused(server: Server) -> None:
    for path in ("/v1/events", "/v1/events/"):
        answer = await server.get(path)
        assert answer.status == 400
        assert await answer.body() == b'{"ok":false,"error":"event prefix filter is required"}'


async def test_a_prefix_has_at_most_64_bytes(server: Server) -> None:
    await server.stream("/v1/events/" + "a" * 64)
    answer = await server.get("/v1/events/" + "a" * 65)
    assert answer.status == 400
    assert "64 bytes" in json.loads(await answer.body())["error_description"]


async def test_without_a_token_no_stream_opens(server: Server) -> None:
    assert (await server.get("/v1/devices/events", {})).status == 400
    expired = {"authorization": f"Bearer {server.cast.expired_token}"}
    assert (await server.get("/v1/devices/events", expired)).status == 401


async def test_silence_is_broken_by_a_comment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sse.KEEPALIVE_AFTER_S < 10  # api-js gives up after 15 s
    monkeypatch.setattr(sse, "KEEPALIVE_AFTER_S", 0.02)
    stream = await server.stream("/v1/devices/events")
    assert await stream.chunk() == ":\n\n"
    await server.publish("a")
    while (chunk := await stream.chunk()) == ":\n\n":
        pass
    assert names(chunk) == ["a"]


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_reader_that_asks_gets_ids_and_goes_on_behind_the_last_one(
    server: Server, how: str
) -> None:
    first = await server.stream("/v1/devices/events?cursor=")
    await server.publish("seen")
    chunk = await first.chunk()
    assert re.match(r"id: [-_A-Za-z0-9]{22}\nevent: seen\ndata: {", chunk)
    last_id = chunk.split("\n")[0].removeprefix("id: ")
    await first.close()
    await server.publish("missed")
    if how == "header":
        headers = {**server.cast.ada.headers, "last-event-id": last_id}
        again = await server.stream("/v1/devices/events", headers)
    else:
        again = await server.stream(f"/v1/devices/events?cursor={last_id}")
    chunk = await again.chunk()
    assert (names(chunk), chunk[:4]) == (["missed"], "id: ")
    await server.publish("live")
    assert names(await again.chunk()) == ["live"]


async def test_a_cursor_of_somebody_else_shows_nothing_of_theirs(server: Server) -> None:
    await server.publish("adas")
    cursor = server.world.cursors.encode(0)
    stream = await server.stream(f"/v1/devices/events?cursor={cursor}", server.cast.cleo.headers)
    await server.publish("cleos", owner=server.cast.cleo.user_id)
    assert names(await stream.chunk()) == ["cleos"]


async def test_a_cursor_that_is_not_ours_is_refused_and_such_a_header_ignored(
    server: Server,
) -> None:
    answer = await server.get("/v1/devices/events?cursor=17")
    assert answer.status == 400
    assert "cursor" in json.loads(await answer.body())["error_description"]
    headers = {**server.cast.ada.headers, "last-event-id": "17"}
    stream = await server.stream("/v1/devices/events", headers)
    await server.publish("live")
    assert (await stream.chunk()).startswith("id: ")


async def test_a_reader_that_leaves_is_noticed(server: Server) -> None:
    stream = await server.stream("/v1/devices/events")
    assert server.world.hub.stream_count == 1
    await stream.close()
    async with asyncio.timeout(10):
        while server.world.hub.stream_count:  # noqa: ASYNC110 - the hub tells nobody
            await asyncio.sleep(0.001)


async def test_a_stream_ends_when_its_token_is_deleted(server: Server, tokens: Tokens) -> None:
    stream = await server.stream("/v1/devices/events")
    await tokens.revoke_of(server.cast.ada.user_id)
    assert await stream.chunk() == ""
