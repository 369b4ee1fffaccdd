"""Several streams as one."""

import asyncio

from cyan.console.live import LiveStream, frame_of
from cyan.console.together import Together


async def test_what_any_of_them_has_comes_at_once() -> None:
    first, second = LiveStream(), LiveStream()
    both = Together([first, second])
    second.put("b", "2")
    assert await both.next_chunk() == frame_of("b", "2")
    first.put("a", "1")
    assert await both.next_chunk() == frame_of("a", "1")


async def test_a_cancelled_wait_loses_nothing() -> None:
    first, second = LiveStream(), LiveStream()
    both = Together([first, second])
    for number in range(3):
        waiting = asyncio.ensure_future(both.next_chunk())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        second.put("b", str(number))
        first.put("a", str(number))
        found = b""
        while len(found) < len(frame_of("a", "0") * 2):
            found += await both.next_chunk() or b""
        assert sorted(found.splitlines()) == sorted(
            (frame_of("a", str(number)) + frame_of("b", str(number))).splitlines()
        )


async def test_the_end_of_one_is_the_end() -> None:
    first, second = LiveStream(), LiveStream()
    both = Together([first, second])
    second.close()
    assert await both.next_chunk() is None
    both.close()


async def test_closing_it_closes_all_and_ends_who_waits() -> None:
    closed: list[str] = []
    both = Together(
        [LiveStream(lambda: closed.append("a")), LiveStream(lambda: closed.append("b"))]
    )
    waiting = asyncio.ensure_future(both.next_chunk())
    await asyncio.sleep(0)
    both.close()
    assert await waiting is None
    assert closed == ["a", "b"]


async def test_one_that_was_cut_off_cuts_all_off() -> None:
    first, second = LiveStream(), LiveStream()
    second.put("b", "x" * 2_000_000)
    both = Together([first, second])
    assert both.was_cut_off
    both.close()
