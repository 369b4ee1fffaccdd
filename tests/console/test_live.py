"""Live parts: what a stream says, and when it ends."""

import asyncio

import pytest

from cyan.console.live import MAX_WAITING_BYTES, LiveStream, OfSession, frame_of


def test_a_piece_of_several_lines_is_one_event() -> None:
    assert frame_of("dot", "<i>\n\n</i>") == b"event: dot\ndata: <i>\ndata: \ndata: </i>\n\n"
    assert frame_of("dot", "") == b"event: dot\ndata: \n\n"


def test_no_text_can_begin_another_event() -> None:
    assert b"\nevent: forged" not in frame_of("dot", "a\r\n\r\nevent: forged\rdata: b")


async def test_what_was_put_comes_in_one_write() -> None:
    stream = LiveStream()
    stream.put("a", "1")
    stream.put("b", "2")
    assert await stream.next_chunk() == frame_of("a", "1") + frame_of("b", "2")


async def test_a_cancelled_wait_loses_nothing() -> None:
    stream = LiveStream()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await stream.next_chunk()
    stream.put("a", "1")
    assert await stream.next_chunk() == frame_of("a", "1")


async def test_a_closed_one_ends_and_tells_once() -> None:
    told: list[str] = []
    stream = LiveStream(lambda: told.append("closed"))
    stream.close()
    stream.close()
    stream.put("a", "1")
    assert await stream.next_chunk() is None
    assert told == ["closed"]


async def test_a_browser_that_takes_nothing_is_cut_off() -> None:
    told: list[str] = []
    stream = LiveStream(lambda: told.append("closed"))
    for _ in range(3):
        stream.put("a", "x" * (MAX_WAITING_BYTES // 2))
    assert stream.was_cut_off
    assert told == ["closed"]
    assert await stream.next_chunk() is None


async def test_a_stream_ends_with_its_session() -> None:
    living = True
    inner = LiveStream()
    stream = OfSession(inner, lambda: living)
    inner.put("a", "1")
    assert await stream.next_chunk() == frame_of("a", "1")
    living = False
    inner.put("a", "2")
    assert await stream.next_chunk() is None


async def test_nothing_leaves_that_came_after_the_sessions_end() -> None:
    living = True
    inner = LiveStream()
    stream = OfSession(inner, lambda: living)
    waiting = asyncio.ensure_future(stream.next_chunk())
    await asyncio.sleep(0)
    living = False
    inner.put("a", "secret")
    assert await waiting is None
