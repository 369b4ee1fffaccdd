"""Looking back into the log: by prefix, device and time, a page at a time."""

import pytest

from cyan.events import history
from cyan.events.history import EventHistory
from cyan.events.model import Wanted
from tests.events.world import ADA, CLEO, LAMP, PUMP, World


@pytest.fixture
def past(world: World) -> EventHistory:
    return EventHistory(world.db, world.owners)


async def names(past: EventHistory, wanted: Wanted, limit: int = 100) -> list[str]:
    """Of all pages."""
    found: list[str] = []
    after = None
    while True:
        page = await past.search(wanted, limit, after)
        assert len(page.events) <= limit
        found += [event.name for _, event in page.events]
        after = page.go_on_from
        if after is None:
            return found


async def test_the_newest_come_first_and_the_oldest_when_asked_for(
    world: World, past: EventHistory
) -> None:
    await world.publish(*(world.event(f"n{number}") for number in range(5)))
    assert await names(past, Wanted(ADA)) == ["n4", "n3", "n2", "n1", "n0"]
    oldest = Wanted(ADA, newest_first=False)
    assert await names(past, oldest) == ["n0", "n1", "n2", "n3", "n4"]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("span", [1, 3, 50_000])
@pytest.mark.parametrize("limit", [1, 4, 100])
async def test_pages_and_pieces_leave_nothing_out_and_double_nothing(
    world: World,
    past: EventHistory,
    monkeypatch: pytest.MonkeyPatch,
    newest_first: bool,
    span: int,
    limit: int,
) -> None:
    monkeypatch.setattr(history, "SPAN", span)
    for number in range(10):
        await world.publish(
            world.event(f"n{number}"), world.event("cleos", owner_id=CLEO), world.event("other")
        )
    expected = [f"n{number}" for number in range(10)]
    found = await names(past, Wanted(ADA, prefix="n", newest_first=newest_first), limit)
    assert found == (expected[::-1] if newest_first else expected)


async def test_nobody_sees_the_events_of_others(world: World, past: EventHistory) -> None:
    await world.publish(world.event("adas"), world.event("cleos", owner_id=CLEO))
    await world.publish(world.event("nobodys", owner_id=None))
    assert await names(past, Wanted(ADA)) == ["adas"]
    assert await names(past, Wanted(CLEO)) == []  # the lamp was hers then, and is Ada's now


async def test_what_a_device_said_for_its_former_owner_stays_there_and_is_not_shown(
    world: World, past: EventHistory
) -> None:
    await world.publish(world.event("lamp"), world.event("pump", origin=PUMP))
    await world.service.publish(ADA, "api", b"")
    world.owners.book[LAMP] = CLEO
    assert await names(past, Wanted(ADA)) == ["api", "pump"]
    assert await names(past, Wanted(CLEO)) == []


async def test_one_device_alone(world: World, past: EventHistory) -> None:
    await world.publish(world.event("lamp"), world.event("pump", origin=PUMP))
    await world.service.publish(ADA, "api", b"")
    assert await names(past, Wanted(ADA, device_id=PUMP)) == ["pump"]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a%b", "žár", "Temp", "temp/1", "temp"]),
        ("temp", ["temp/1", "temp"]),
        ("temp/", ["temp/1"]),
        ("ž", ["žár"]),
        ("a%", ["a%b"]),
        ("%", []),
        ("_", []),
    ],
)
async def test_a_prefix_is_taken_as_it_is(
    world: World, past: EventHistory, prefix: str, expected: list[str]
) -> None:
    await world.publish(*(world.event(n) for n in ("temp", "temp/1", "Temp", "žár", "a%b")))
    assert await names(past, Wanted(ADA, prefix=prefix)) == expected


async def test_a_time_has_both_its_ends(world: World, past: EventHistory) -> None:
    start_ms = world.clock.now_ms()
    for number in range(5):
        await world.publish(world.event(f"n{number}"))
        world.clock.advance(600)
    wanted = Wanted(ADA, from_ms=start_ms + 600_000, to_ms=start_ms + 1_800_000)
    assert await names(past, wanted) == ["n3", "n2", "n1"]
    assert await names(past, Wanted(ADA, from_ms=start_ms + 2_400_001)) == []
    assert await names(past, Wanted(ADA, to_ms=start_ms - 1)) == []


async def test_a_time_is_found_in_a_long_log_without_looking_through_all_of_it(
    world: World, past: EventHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_ms = world.clock.now_ms()
    for number in range(200):
        await world.publish(world.event(f"n{number}"))
        world.clock.advance(3600)
    looked: list[int] = []
    look = past._look

    def noticed(wanted: Wanted, low: int, high: int, limit: int, size: int) -> object:
        looked.append(high - low + 1)
        return look(wanted, low, high, limit, size)

    monkeypatch.setattr(past, "_look", noticed)
    hour_ms = 3_600_000
    wanted = Wanted(ADA, from_ms=start_ms + 100 * hour_ms, to_ms=start_ms + 102 * hour_ms)
    assert await names(past, wanted) == ["n102", "n101", "n100"]
    assert sum(looked) <= 5


async def test_a_page_of_large_events_is_short(
    world: World, past: EventHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE_BYTES", 100_000)
    await world.publish(*(world.event(f"n{number}", b"x" * 60_000) for number in range(5)))
    page = await past.search(Wanted(ADA), 100)
    assert len(page.events) == 2
    assert await names(past, Wanted(ADA)) == ["n4", "n3", "n2", "n1", "n0"]


async def test_a_long_search_gives_up_and_goes_on_on_the_next_page(
    world: World, past: EventHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SPAN", 2)
    monkeypatch.setattr(history, "PATIENCE_S", 0.0)
    await world.publish(world.event("first"), *(world.event("n") for _ in range(6)))
    page = await past.search(Wanted(ADA, prefix="first"), 100)
    assert page.events == []
    assert page.go_on_from == 6
    assert await names(past, Wanted(ADA, prefix="first")) == ["first"]


async def test_an_empty_log_has_no_pages(past: EventHistory) -> None:
    for newest_first in (True, False):
        page = await past.search(Wanted(ADA, newest_first=newest_first), 100)
        assert (page.events, page.go_on_from) == ([], None)
