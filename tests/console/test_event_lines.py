"""Events as lines of a page, from the log and as they come."""

import asyncio
from collections.abc import Sequence

import pytest

from cyan.console import eventlines
from cyan.console.eventlines import DeviceNames, EventLine, EventTail, line_of_event
from cyan.core.db.engine import Database
from cyan.core.ids import API_ORIGIN, UserId
from cyan.devices import registry
from cyan.devices.access import DeviceAccess
from cyan.events.model import INTERNAL_ORIGIN
from cyan.rest.auth import Caller
from tests.clock import HandClock
from tests.events.world import ADA, CLEO, CLEOS_LAMP, LAMP, World, make_world


@pytest.fixture
def world(db: Database, clock: HandClock) -> World:
    for device_id, owner, name in ((LAMP, ADA, "lamp"), (CLEOS_LAMP, CLEO, "cleo's lamp")):
        registry.register_device(db, clock, device_id, name=name, owner=owner)
    return make_world(db, clock)


@pytest.fixture
def names(db: Database) -> DeviceNames:
    return DeviceNames(DeviceAccess(db), Caller(UserId(ADA), "ada", "session", "console", None))


def told(lines: Sequence[EventLine], left_out: int) -> str:
    return "\n".join([f"{line.source}: {line.name} = {line.summary}" for line in lines]) + (
        f"\n{left_out} left out" if left_out else ""
    )


async def test_what_comes_is_sent_as_html_with_the_cursor_of_the_last(
    world: World, names: DeviceNames
) -> None:
    tail = EventTail(world.open(with_ids=True), names, told)
    await world.publish(world.event("first"), world.event("second", b"a\r\nb"))
    position = world.committed[-1][-1][0]
    assert (
        await tail.next_chunk()
        == (
            f"id: {world.cursors.encode(position)}\nevent: events\n"
            "data: lamp: first = 21.5\ndata: lamp: second = a b\n\n"
        ).encode()
    )


async def test_a_crowd_is_cut_to_the_newest_and_the_rest_is_counted(
    world: World, names: DeviceNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventlines, "MAX_AT_ONCE", 2)
    tail = EventTail(world.open(with_ids=True), names, told)
    await world.publish(*(world.event(f"n{number}") for number in range(5)))
    chunk = await tail.next_chunk() or b""
    assert b"n3" in chunk
    assert b"n4" in chunk
    assert b"n2" not in chunk
    assert b"3 left out" in chunk


async def test_events_that_come_while_nobody_waits_are_not_lost(
    world: World, names: DeviceNames
) -> None:
    tail = EventTail(world.open(with_ids=True), names, told)
    for number in range(3):
        waiting = asyncio.ensure_future(tail.next_chunk())
        await asyncio.sleep(0)
        waiting.cancel()
        await world.publish(world.event(f"n{number}"))
    assert (await tail.next_chunk() or b"").count(b"data: ") == 3


async def test_a_closed_tail_ends(world: World, names: DeviceNames) -> None:
    tail = EventTail(world.open(with_ids=True), names, told)
    tail.close()
    assert await tail.next_chunk() is None


def line(world: World, names: DeviceNames, **event: object) -> EventLine:
    return line_of_event(7, world.event(**event), world.cursors, names)  # type: ignore[arg-type]


def test_who_sent_it_has_the_readers_own_name_for_it(world: World, names: DeviceNames) -> None:
    found = line(world, names)
    assert (found.source, found.device_id) == ("lamp", LAMP)
    assert line(world, names, origin=API_ORIGIN).source == "you, by API or console"
    assert line(world, names, origin=INTERNAL_ORIGIN).source == "the cloud"


def test_the_name_of_a_strangers_device_is_not_told(world: World, names: DeviceNames) -> None:
    found = line(world, names, origin=CLEOS_LAMP)
    assert (found.source, found.device_id) == (CLEOS_LAMP, None)


def test_json_is_spread_over_lines_and_other_text_stays_as_it_is(
    world: World, names: DeviceNames
) -> None:
    assert line(world, names, data=b'{"a":[1,2]}').text.count("\n") > 2
    assert line(world, names, data=b"{not json").text == "{not json"
    assert line(world, names, data=None).text == ""
    assert line(world, names, data=b"[" * 900).text == "[" * 900


def test_a_long_text_has_a_short_line(world: World, names: DeviceNames) -> None:
    found = line(world, names, data=b"word " * 200)
    assert len(found.summary) == eventlines.SUMMARY_CHARACTERS
    assert len(found.text) == 1000


def test_events_of_the_system_are_told_apart(world: World, names: DeviceNames) -> None:
    assert line(world, names, name="spark/status").is_system
    assert not line(world, names, name="temperature").is_system
