"""Who reads which event in a stream (platform-semantics.md §6.2, acceptance row 17)."""

import asyncio

import pytest

from cyan.events import readers, streams
from cyan.events.readers import TooManyStreamsError
from tests.events.world import ADA, CLEO, LAMP, PUMP, World, names_in


async def test_the_owner_reads_what_their_devices_publish(world: World) -> None:
    stream = world.open()
    await world.publish(world.event("temperature"), world.event("pressure", origin=PUMP))
    assert await names_in(stream) == ["temperature", "pressure"]


async def test_other_accounts_see_nothing(world: World) -> None:
    strangers = [
        world.open(owner_id=CLEO),
        world.open(owner_id=CLEO, prefix="temp"),
        world.open(owner_id=CLEO, device_id=LAMP),
    ]
    await world.publish(world.event("temperature"))
    for stream in strangers:
        assert await names_in(stream) == []


async def test_only_names_with_the_prefix_are_read(world: World) -> None:
    stream = world.open("temp")
    await world.publish(*(world.event(n) for n in ("temperature", "Temp", "tem", "temp")))
    assert await names_in(stream) == ["temperature", "temp"]


async def test_a_stream_of_one_device_leaves_the_others_out(world: World) -> None:
    stream = world.open(device_id=LAMP)
    await world.publish(world.event("from-the-pump", origin=PUMP), world.event("from-the-lamp"))
    await world.service.publish(ADA, "from-ada", b"")
    assert await names_in(stream) == ["from-the-lamp"]


async def test_what_a_person_publishes_is_in_their_own_stream_only(world: World) -> None:
    own, foreign = world.open(), world.open(owner_id=CLEO)
    await world.service.publish(ADA, "hello", b"world")
    assert await names_in(own) == ["hello"]
    assert await names_in(foreign) == []


async def test_system_events_of_a_device_are_in_its_owners_stream(world: World) -> None:
    stream = world.open("spark/")
    world.service.emit("spark/status", b"online", LAMP, ADA, version=3)
    await world.log.drain()
    assert await names_in(stream) == ["spark/status"]


async def test_an_event_without_an_owner_is_read_by_nobody(world: World) -> None:
    stream = world.open()
    await world.publish(world.event(owner_id=None))
    assert await names_in(stream) == []


async def test_after_a_release_the_former_owner_reads_no_more(world: World) -> None:
    stream, of_device = world.open(), world.open(device_id=LAMP)
    world.owners.book[LAMP] = CLEO
    await world.publish(world.event("secret", owner_id=CLEO))
    assert await names_in(stream) == []
    assert await names_in(of_device) == []


async def test_the_events_of_one_tick_are_one_chunk(world: World) -> None:
    stream = world.open()
    reading = asyncio.ensure_future(stream.next_chunk())
    await asyncio.sleep(0)
    await world.publish(*(world.event(f"n{number}") for number in range(20)))
    chunk = await reading
    assert chunk is not None
    assert chunk.count(b"\n\n") == 20


async def test_waiting_can_be_cancelled_without_losing_an_event(world: World) -> None:
    stream = world.open()
    reading = asyncio.ensure_future(stream.next_chunk())
    await asyncio.sleep(0)
    reading.cancel()
    await world.publish(world.event("kept"))
    assert await names_in(stream) == ["kept"]


async def test_a_slow_reader_is_cut_off_without_harm_to_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_BACKLOG_BYTES", 2000)
    slow, quick = world.open(), world.open()
    for _ in range(3):
        assert not slow.was_cut_off
        await world.publish(*(world.event("n") for _ in range(8)))
        assert await names_in(quick) == ["n"] * 8
    assert slow.was_cut_off
    assert await slow.next_chunk() is None
    assert world.hub.stream_count == 1
    await world.publish(world.event("after"))
    assert await names_in(quick) == ["after"]


async def test_the_readers_of_one_account_share_what_may_wait_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_BACKLOG_OF_OWNER_BYTES", 10_000)
    alone = world.open(owner_id=CLEO)
    crowd = [world.open(f"{number}" if number else "") for number in range(10)]
    for owner_id in (ADA, CLEO):
        await world.publish(*(world.event("n", owner_id=owner_id) for _ in range(8)))
        await world.publish(world.event("n", owner_id=owner_id))
    assert crowd[0].was_cut_off  # more than a thousand bytes waited
    assert not alone.was_cut_off
    assert len(await names_in(alone)) == 9


async def test_a_closed_stream_leaves_nothing_behind(world: World) -> None:
    stream, of_device = world.open("a"), world.open("b", device_id=LAMP)
    assert world.hub.stream_count == 2
    for one in (stream, of_device):
        one.close()
        one.close()
        assert await one.next_chunk() is None
    assert world.hub.stream_count == 0


async def test_closing_wakes_a_reader_that_waits(world: World) -> None:
    stream = world.open()
    reading = asyncio.ensure_future(stream.next_chunk())
    await asyncio.sleep(0)
    stream.close()
    assert await reading is None


async def test_streams_end_with_their_revoked_token(world: World) -> None:
    revoked, other = world.open(token_id="one"), world.open(token_id="two")
    world.hub.close_streams("one")
    world.hub.close_streams("unknown")
    assert await revoked.next_chunk() is None
    await world.publish(world.event("still"))
    assert await names_in(other) == ["still"]


async def test_a_stream_ends_when_its_token_expires(world: World) -> None:
    stream = world.open(expires_at_ms=world.clock.now_ms() + 20)
    lasting = world.open(expires_at_ms=world.clock.now_ms() + 7_776_000_000)
    assert await stream.next_chunk() is None
    assert world.hub.stream_count == 1
    lasting.close()


async def test_an_account_has_a_bounded_number_of_streams(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MAX_STREAMS_OF_AN_OWNER", 2)
    first = world.open()
    world.open()
    with pytest.raises(TooManyStreamsError):
        world.open()
    world.open(owner_id=CLEO)
    first.close()
    world.open()


async def test_the_end_of_the_server_ends_every_stream(world: World) -> None:
    open_streams = [world.open(), world.open(owner_id=CLEO, token_id="hers")]
    world.hub.close()
    assert [await stream.next_chunk() for stream in open_streams] == [None, None]
