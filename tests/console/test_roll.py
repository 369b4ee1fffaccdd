"""Pages of a person's devices: what an address asks for, and what is on the page."""

import pytest

from cyan.accounts.people import People
from cyan.console import roll
from cyan.console.roll import Roll, Rolls, View, read_view
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from cyan.devices import presence, store
from cyan.devices.flags import set_development
from cyan.devices.presence import PresenceRow
from cyan.rest.auth import Caller
from tests.cast import Cast, Person
from tests.clock import HandClock
from tests.conftest import Serve
from tests.devices.world import BORON, PHOTON, World, device_id, make_world


@pytest.fixture
def world(
    db: Database, clock: HandClock, bus: Bus, cast: Cast, serve: Serve, people: People
) -> World:
    return make_world(db, clock, bus, cast, serve, people)


@pytest.fixture
def rolls(world: World) -> Rolls:
    return Rolls(world.db, world.ownership, world.presence)


def caller(person: Person) -> Caller:
    return Caller(person.user_id, person.username, person.token_id, "console", None)


def put_online(world: World, number: int, *, at_ms: int) -> None:
    """As the gateway notes it: in memory and in the row."""
    world.connect(number, platform_id=PHOTON if number % 2 else BORON)
    row = PresenceRow(device_id(number), True, "test", 1, at_ms, at_ms, "192.0.2.7")
    world.db.write_blocking(lambda connection: presence.store(connection, [row]))


def names(found: Roll) -> list[str | None]:
    return [device.name for device in found.devices]


async def test_devices_come_in_the_order_of_their_names(world: World, rolls: Rolls) -> None:
    for number, name in enumerate(["pump", "lamp", "valve"]):
        world.register(number, world.cast.ada, name=name)
    found = await rolls.read(caller(world.cast.ada), View())
    assert names(found) == ["lamp", "pump", "valve"]
    assert (found.count, found.total, found.online, found.first, found.last) == (3, 3, 0, 1, 3)
    turned = await rolls.read(caller(world.cast.ada), View(descending=True))
    assert names(turned) == ["valve", "pump", "lamp"]


async def test_a_stranger_sees_not_found(world: World, rolls: Rolls) -> None:
    world.register(1, world.cast.ada, name="lamp")
    found = await rolls.read(caller(world.cast.cleo), View(text="lamp"))
    assert (found.devices, found.count, found.total) == ([], 0, 0)


@pytest.mark.parametrize("text", ["LAM", "e00fce680000000000000001", "ce68000000000000000", "p046"])
async def test_a_text_is_looked_for_inside_names_ids_and_serial_numbers(
    world: World, rolls: Rolls, text: str
) -> None:
    world.register(1, world.cast.ada, name="my lamp")
    label = dict.fromkeys(("secret", "mac", "new_imei", "new_iccid", "platform"))
    world.db.write_blocking(
        lambda connection: connection.execute(
            store.SET_LABEL, {**label, "device_id": device_id(1), "serial": "P046AD123456789"}
        )
    )
    found = await rolls.read(caller(world.cast.ada), View(text=text))
    assert names(found) == ["my lamp"]


@pytest.mark.parametrize("text", ["%", "_", "!", "lamp'--"])
async def test_signs_of_the_query_language_are_looked_for_as_they_are(
    world: World, rolls: Rolls, text: str
) -> None:
    world.register(1, world.cast.ada, name="lamp")
    world.register(2, world.cast.ada, name=f"a {text} b")
    found = await rolls.read(caller(world.cast.ada), View(text=text))
    assert names(found) == [f"a {text} b"]


async def test_filters_narrow_the_page_together(world: World, rolls: Rolls) -> None:
    for number in range(6):
        world.register(number, world.cast.ada, name=f"d{number}")
    for number in (1, 2, 3):
        put_online(world, number, at_ms=1000 + number)
    ada = world.cast.ada.user_id
    world.db.write_blocking(
        lambda connection: set_development(connection, device_id(3), ada, True, at_ms=1)
    )

    async def found(view: View) -> list[str | None]:
        return names(await rolls.read(caller(world.cast.ada), view))

    assert await found(View(online=True)) == ["d1", "d2", "d3"]
    assert await found(View(online=False)) == ["d0", "d4", "d5"]
    assert await found(View(platform_id=PHOTON)) == ["d1", "d3"]
    assert await found(View(development=True)) == ["d3"]
    assert await found(View(online=True, platform_id=PHOTON, development=False)) == ["d1"]
    assert (await rolls.read(caller(world.cast.ada), View())).online == 3


async def test_the_last_connected_comes_first_when_asked_for(world: World, rolls: Rolls) -> None:
    for number in range(3):
        world.register(number, world.cast.ada, name=f"d{number}")
    for number in (2, 0):
        put_online(world, number, at_ms=0)
        world.clock.advance(60)
    view = View(order="connected", descending=True)
    assert names(await rolls.read(caller(world.cast.ada), view)) == ["d0", "d2", "d1"]


async def test_pages_leave_nothing_out_and_double_nothing(
    world: World, rolls: Rolls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll, "PAGE_SIZE", 3)
    for number in range(7):
        world.register(number, world.cast.ada, name=f"d{number}")
    found: list[str | None] = []
    for page in (1, 2, 3):
        part = await rolls.read(caller(world.cast.ada), View(page=page))
        found += names(part)
        assert part.has_next == (page < 3)
    assert found == [f"d{number}" for number in range(7)]
    behind = await rolls.read(caller(world.cast.ada), View(page=4))
    assert (behind.devices, behind.has_next) == ([], False)


async def test_more_than_are_counted_is_said_to_be_more(
    world: World, rolls: Rolls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll, "COUNTED", 2)
    for number in range(3):
        world.register(number, world.cast.ada, name=f"d{number}")
    assert (await rolls.read(caller(world.cast.ada), View(text="d"))).count is None
    assert (await rolls.read(caller(world.cast.ada), View(text="d1"))).count == 1
    assert (await rolls.read(caller(world.cast.ada), View())).count == 3


async def test_in_a_large_fleet_is_found_what_begins_with_the_text(
    world: World, rolls: Rolls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll, "LARGE", 2)
    for number, name in enumerate(["Lamp b", "lamp a", "a lamp", "%"]):
        world.register(number, world.cast.ada, name=name)
    world.register(9, world.cast.cleo, name="lamp c")
    put_online(world, 1, at_ms=0)

    async def found(view: View) -> list[str | None]:
        return names(await rolls.read(caller(world.cast.ada), view))

    assert await found(View(text="lamp")) == ["Lamp b", "lamp a"]
    assert await found(View(text="lamp", descending=True)) == ["lamp a", "Lamp b"]
    assert await found(View(text="lamp", online=True)) == ["lamp a"]
    assert await found(View(text=device_id(2).upper())) == ["a lamp"]
    assert await found(View(text="E00F")) == ["%", "Lamp b", "a lamp", "lamp a"]
    assert await found(View(text="%")) == ["%"]
    assert await found(View(text="amp")) == []
    assert (await rolls.read(caller(world.cast.cleo), View(text="lamp"))).count == 1


async def test_a_large_fleet_is_sorted_by_name(
    world: World, rolls: Rolls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll, "LARGE", 2)
    for number in range(3):
        world.register(number, world.cast.ada, name=f"d{number}")
    put_online(world, 2, at_ms=0)
    view = View(order="connected", descending=True)
    found = await rolls.read(caller(world.cast.ada), view)
    assert names(found) == ["d0", "d1", "d2"]
    assert (found.view.order, found.view.descending, found.is_large) == ("name", False, True)


async def test_what_is_found_in_a_large_fleet_has_pages_and_a_bound(
    world: World, rolls: Rolls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll, "LARGE", 2)
    monkeypatch.setattr(roll, "PAGE_SIZE", 2)
    monkeypatch.setattr(roll, "COUNTED_OF_MANY", 3)
    for number in range(5):
        world.register(number, world.cast.ada, name=f"d{number}")
    first = await rolls.read(caller(world.cast.ada), View(text="d"))
    second = await rolls.read(caller(world.cast.ada), View(text="d", page=2))
    assert (names(first), first.count, first.has_next) == (["d0", "d1"], None, True)
    assert (names(second), second.has_next) == (["d2"], False)


@pytest.mark.parametrize(
    "view",
    [
        View(),
        View("lamp & co", True, 13, False, "connected", True, 4),
        View(online=False, order="id"),
    ],
)
def test_an_address_brings_the_same_view_back(view: View) -> None:
    from urllib.parse import parse_qsl

    assert read_view(dict(parse_qsl(view.query(page=view.page)))) == view


def test_what_makes_no_sense_in_an_address_counts_as_not_said() -> None:
    nonsense = {"online": "maybe", "platform": "-3", "sort": "-owner_id", "page": "0", "q": " "}
    assert read_view(nonsense) == View()
    assert read_view({"page": "9" * 400, "platform": "٣"}) == View()
    assert len(read_view({"q": "x" * 5000}).text) == 64


def test_a_changed_view_begins_at_its_first_page_and_an_order_turns_round() -> None:
    view = View(text="lamp", page=3)
    assert view.query(online=True) == "q=lamp&online=yes"
    assert view.sorted_by("name") == "q=lamp&sort=-name"
    assert view.sorted_by("connected") == "q=lamp&sort=connected"
