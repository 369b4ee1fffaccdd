"""The event stream response: frames, opening, keep-alive, leaving."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.types import Message

from cyan.rest import sse
from cyan.rest.sse import KEEPALIVE, OPENING, Outlet, SseResponse, frame

SCOPE = {"type": "http"}


class Script:
    """A stream that gives prepared chunks, then waits until it is closed."""

    was_cut_off = False

    def __init__(self, chunks: Iterable[bytes] = (), *, ends: bool = False) -> None:
        self._chunks = list(chunks)
        self._ends = ends
        self._closed = asyncio.Event()
        self.closed = False

    async def next_chunk(self) -> bytes | None:
        if self._chunks:
            return self._chunks.pop(0)
        if not self._ends:
            await self._closed.wait()
        return None

    def attach(self, outlet: Outlet) -> bool:
        raise AssertionError("no transport was shown")

    def close(self) -> None:
        self.closed = True
        self._closed.set()


class Reader:
    """The other end: what was sent, and when to leave."""

    def __init__(self, leave_after: int | None = None) -> None:
        self.sent: list[Message] = []
        self._leave_after = leave_after
        self._left = asyncio.Event()
        self.opened = asyncio.Event()

    async def receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if self.writes:
            self.opened.set()
        if len(self.writes) == self._leave_after:
            self._left.set()

    @property
    def writes(self) -> list[bytes]:
        return [message["body"] for message in self.sent[1:] if message["more_body"]]


def test_a_frame_is_event_then_data_then_a_blank_line() -> None:
    # The layout of rest-api-core.md §10.3, to the byte.
    assert frame("temperature", b'{"data":"21.5"}') == (
        b'event: temperature\ndata: {"data":"21.5"}\n\n'
    )


def test_an_id_line_is_there_only_when_asked_for() -> None:
    assert frame("t", b"{}", "7.42") == b"id: 7.42\nevent: t\ndata: {}\n\n"


def test_a_line_break_in_a_name_cannot_break_the_frame() -> None:
    assert frame("a\r\ndata: x", b"{}") == b"event: a  data: x\ndata: {}\n\n"


async def test_the_opening_goes_out_alone_and_chunks_as_they_are() -> None:
    reader, stream = Reader(), Script([b"one", b"two"], ends=True)
    await SseResponse(stream)(SCOPE, reader.receive, reader.send)
    assert reader.sent[0]["status"] == 200
    headers = dict(reader.sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-cache"
    assert reader.writes == [OPENING, b"one", b"two"]
    assert reader.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert stream.closed


async def test_silence_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sse.KEEPALIVE_AFTER_S < 10  # clients give up after 15 s (§10.4)
    monkeypatch.setattr(sse, "KEEPALIVE_AFTER_S", 0.01)
    reader, stream = Reader(leave_after=4), Script([b"one"])
    await SseResponse(stream)(SCOPE, reader.receive, reader.send)
    assert reader.writes[:4] == [OPENING, b"one", KEEPALIVE, KEEPALIVE]


async def test_a_reader_who_leaves_closes_the_stream() -> None:
    reader, stream = Reader(leave_after=1), Script()
    await SseResponse(stream)(SCOPE, reader.receive, reader.send)
    assert stream.closed
    assert reader.writes == [OPENING]


async def test_a_reader_who_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "STALL_LIMIT_S", 0.01)
    reader, stream = Reader(), Script([b"one"])

    async def send(message: Message) -> None:
        await reader.send(message)
        if message.get("body") == b"one":
            await asyncio.Event().wait()

    await SseResponse(stream)(SCOPE, reader.receive, send)
    assert stream.closed


async def test_a_broken_connection_ends_the_stream_quietly() -> None:
    reader, stream = Reader(), Script([b"one"])

    async def send(message: Message) -> None:
        if message.get("body") == b"one":
            raise ConnectionResetError
        await reader.send(message)

    await SseResponse(stream)(SCOPE, reader.receive, send)
    assert stream.closed


async def test_a_cancelled_response_lets_go_of_its_stream_and_leaves_no_task() -> None:
    reader, stream = Reader(), Script()
    before = asyncio.all_tasks()
    task = asyncio.create_task(SseResponse(stream)(SCOPE, reader.receive, reader.send))
    await reader.opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert stream.closed
    assert asyncio.all_tasks() == before


async def test_who_asks_for_the_head_alone_gets_no_endless_answer() -> None:
    reader, stream = Reader(), Script()
    await SseResponse(stream)({**SCOPE, "method": "HEAD"}, reader.receive, reader.send)
    assert reader.sent[0]["status"] == 200
    assert not reader.sent[-1]["more_body"]
    assert stream.closed
