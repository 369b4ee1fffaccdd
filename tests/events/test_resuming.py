"""A reader goes on where it was: from the log, then live, with nothing lost or doubled."""

import asyncio
import re

import pytest

from cyan.events import log as log_module
from cyan.events import store
from cyan.events.model import GAP_EVENT
from cyan.events.streams import Stream
from tests.events.world import ADA, CLEO, LAMP, PUMP, World, names_in


async def last_id(stream: Stream) -> str:
    chunk = await stream.next_chunk()
    assert chunk is not None
    ids: list[str] = re.findall(r"^id: (\S+)$", chunk.decode(), re.MULTILINE)
    return ids[-1]


async def test_a_cursor_from_a_stream_goes_on_behind_that_event(world: World) -> None:
    stream = world.open(with_ids=True)
    await world.publish(world.event("first"), world.event("second"))
    cursor = await last_id(stream)
    stream.close()
    await world.publish(world.event("missed"))
    again = world.open(with_ids=True, resume_after=world.cursors.decode(cursor))
    await world.publish(world.event("live"))
    assert await names_in(again) == ["missed", "live"]
    await world.publish(world.event("later"))
    assert await names_in(again) == ["later"]


async def test_the_change_from_log_to_live_loses_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SCAN_SPAN", 7)
    expected = [f"n{number}" for number in range(200)]
    await world.publish(*(world.event(name) for name in expected[:100]))
    stream = world.open(with_ids=True, resume_after=0)

    async def go_on() -> None:
        for name in expected[100:]:
            world.service.accept(world.event(name), lambda committed: None)
            await asyncio.sleep(0.001)

    publishing = asyncio.ensure_future(go_on())
    names: list[str] = []
    while len(names) < 200:
        more = await names_in(stream)
        assert more
        names += more
    await publishing
    assert names == expected


async def test_a_long_log_is_read_in_pieces(world: World) -> None:
    page = store.OWNER_PAGE
    await world.publish(*(world.event(f"n{number}") for number in range(2 * page + 50)))
    stream = world.open(with_ids=True, resume_after=0)
    pieces = [await names_in(stream) for _ in range(3)]
    assert [len(piece) for piece in pieces] == [page, page, 50]
    assert len({name for piece in pieces for name in piece}) == 2 * page + 50


@pytest.mark.parametrize("page_bytes", [store.OWNER_PAGE_BYTES, 1])
async def test_large_events_are_read_a_few_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch, page_bytes: int
) -> None:
    monkeypatch.setattr(store, "OWNER_PAGE_BYTES", page_bytes)
    expected = [f"n{number}" for number in range(7)]
    await world.publish(*(world.event(name, b"x" * 60_000) for name in expected))
    await world.publish(world.event("cleos", b"x" * 60_000, owner_id=CLEO), world.event("last"))
    stream = world.open(with_ids=True, resume_after=0)
    pieces: list[list[str]] = []
    while more := await names_in(stream):
        pieces.append(more)
    assert [name for piece in pieces for name in piece] == [*expected, "last"]
    assert max(len(piece) for piece in pieces) == max(1, page_bytes // 60_000)


async def test_however_many_go_on_from_the_log_it_is_read_once_a_turn_of_the_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SCAN_SPAN", 3)
    await world.publish(*(world.event(f"n{number}") for number in range(30)))
    loop, turn, read_in = asyncio.get_running_loop(), 0, list[int]()
    ticking: asyncio.Handle | None = None
    read_of_owner = world.log.read_of_owner

    def next_turn() -> None:
        nonlocal turn, ticking
        turn += 1
        ticking = loop.call_soon(next_turn)

    def noticed(owner_id: str, after: int) -> tuple[log_module.Batch, int]:
        read_in.append(turn)
        return read_of_owner(owner_id, after)

    monkeypatch.setattr(world.log, "read_of_owner", noticed)
    ticking = loop.call_soon(next_turn)

    async def read_all(stream: Stream) -> int:
        count = 0
        while count < 30:
            count += len(await names_in(stream))
        return count

    streams = [world.open(with_ids=True, resume_after=0) for _ in range(5)]
    assert await asyncio.gather(*map(read_all, streams)) == [30] * 5
    assert ticking is not None
    ticking.cancel()
    assert len(set(read_in)) == len(read_in) >= 50


async def test_a_stream_that_is_closed_while_it_waits_for_its_turn_ends(world: World) -> None:
    await world.publish(world.event("missed"))
    first, second = (world.open(with_ids=True, resume_after=0) for _ in range(2))
    chunks = [asyncio.ensure_future(stream.next_chunk()) for stream in (first, second)]
    await asyncio.sleep(0)
    second.close()
    assert b"missed" in (await chunks[0] or b"")
    assert await chunks[1] is None


async def test_only_events_of_the_reader_at_the_time_of_publishing_come_again(
    world: World,
) -> None:
    await world.publish(world.event("cleos-then", owner_id=CLEO), world.event("adas"))
    world.owners.book[LAMP] = ADA
    assert await names_in(world.open(resume_after=0, with_ids=True)) == ["adas"]


async def test_events_of_a_device_that_is_no_longer_theirs_do_not_come_again(
    world: World,
) -> None:
    await world.publish(world.event("lamp"), world.event("pump", origin=PUMP))
    await world.service.publish(ADA, "api", b"")
    world.owners.book[LAMP] = CLEO
    assert await names_in(world.open(resume_after=0, with_ids=True)) == ["pump", "api"]
    cleos = world.open(resume_after=0, with_ids=True, owner_id=CLEO)
    assert await names_in(cleos) == []


async def test_prefix_and_device_hold_for_what_comes_again(world: World) -> None:
    await world.publish(
        world.event("temp/lamp"), world.event("temp/pump", origin=PUMP), world.event("other")
    )
    stream = world.open("temp", device_id=LAMP, resume_after=0, with_ids=True)
    assert await names_in(stream) == ["temp/lamp"]


async def test_a_cursor_older_than_the_log_begins_with_what_there_is(world: World) -> None:
    await world.publish(*(world.event(f"n{number}") for number in range(5)))
    await world.db.write(lambda connection: store.trim(connection, 3))
    assert await names_in(world.open(resume_after=1, with_ids=True)) == [GAP_EVENT, "n3", "n4"]


async def test_a_cursor_at_the_end_reads_live_events_only(world: World) -> None:
    await world.publish(world.event("before"))
    stream = world.open(resume_after=1, with_ids=True)
    assert await names_in(stream) == []
    await world.publish(world.event("after"))
    assert await names_in(stream) == ["after"]


async def test_a_reader_whose_cursor_is_older_than_the_log_is_told_once(world: World) -> None:
    stream = world.open(with_ids=True)
    await world.publish(*(world.event(f"n{number}") for number in range(10)))
    chunk = await stream.next_chunk()
    assert chunk is not None
    seen = re.findall(rb"^id: (\S+)$", chunk, re.MULTILINE)
    stream.close()
    await world.db.write(lambda connection: store.trim(connection, 4))
    at = {number: world.cursors.decode(cursor.decode()) for number, cursor in enumerate(seen, 1)}
    late = world.open(with_ids=True, resume_after=at[3], prefix="n")
    first = await late.next_chunk()
    assert first is not None
    told, *kept = first.decode().strip().split("\n\n")
    assert told.splitlines()[1] == "event: particle/events/gap"
    assert [each.splitlines()[1] for each in kept] == [f"event: n{n}" for n in range(4, 10)]
    cursor = world.cursors.decode(told.splitlines()[0].removeprefix("id: "))
    assert await names_in(world.open(with_ids=True, resume_after=cursor)) == [
        f"n{n}" for n in range(4, 10)
    ]
    assert await names_in(world.open(with_ids=True, resume_after=at[4])) == [
        f"n{n}" for n in range(4, 10)
    ]
