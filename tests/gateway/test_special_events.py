"""Reserved events of boards and what becomes of them, over a real session."""

import pytest

from cyan.devices import registry
from cyan.devices.model import Device
from cyan.wire import coap
from cyan.wire.describe import Module, SystemDescribe, encode_system_json
from cyan.wire.describe.system import SYSTEM_PART, USER_PART
from cyan.wire.messages import SYSTEM, DescribePost, encode_describe_post
from tests.gateway.board import Board
from tests.gateway.world import ADA, World

HASH = "a6" * 32
FIT = SystemDescribe(
    (Module(SYSTEM_PART, 1, 6200), Module(USER_PART, 1, 5, hash=bytes.fromhex(HASH)))
)
UNFIT = SystemDescribe((Module(USER_PART, 1, 5, checked=30, passed=26),))


async def own(world: World, *, name: str | None = None) -> Board:
    board = Board(world)
    registry.register_device(world.db, world.clock, board.device_id, owner=ADA, name=name)
    return await board.connect()


async def describe(board: Board, system: SystemDescribe) -> None:
    token, post = board.take_token(), DescribePost(SYSTEM, encode_system_json(system))
    assert await board.say(lambda id_: encode_describe_post(id_, token, post)) is not None


def stored(world: World, board: Board) -> Device:
    found = registry.find_device(world.db, board.device_id)
    assert found is not None
    return found


def last_event(board: Board) -> coap.Message:
    """The last event that reached the board."""
    return [m for m in board.requests() if m.options[:1] == ((coap.URI_PATH, b"E"),)][-1]


@pytest.mark.parametrize("prefix", ["particle", "spark"])
async def test_a_board_learns_its_name_and_address_and_nobody_else_does(
    world: World, prefix: str
) -> None:
    board = await own(world, name="attic")
    other = await Board(world, 2).connect()
    await other.subscribe(prefix)
    for matter, answer in (("name", b"attic"), ("ip", b"192.0.2.7")):
        assert await board.publish(f"{prefix}/device/{matter}", b"") is not None
        assert board.event_names()[-1] == f"{prefix}/device/{matter}"
        assert last_event(board).payload == answer
        assert world.logged(f"{prefix}/device/{matter}") == []
    assert f"{prefix}/device/name" not in other.event_names()


async def test_a_board_gets_forty_random_bytes_others_each_time(world: World) -> None:
    board = await own(world)
    given = set()
    for _ in range(3):
        await board.publish("particle/device/random", b"")
        given.add(last_event(board).payload)
    assert len(given) == 3
    assert {len(payload) for payload in given} == {40}


@pytest.mark.parametrize(
    "name", ["spark/device/key/restore", "spark/device/reset", "spark/device/ident/0"]
)
async def test_an_event_that_would_be_a_command_elsewhere_goes_nowhere(
    world: World, name: str
) -> None:
    board, other = await own(world), Board(world, 2)
    world.register(other.device_id, ADA)
    await other.connect()
    await other.subscribe("spark")
    assert await board.publish(name, b"safe mode") is not None
    assert world.logged(name) == []
    assert name not in other.event_names()


async def test_the_hash_of_an_application_is_told_when_it_is_another_than_before(
    world: World,
) -> None:
    board = await own(world)
    await describe(board, FIT)
    await board.connect()
    await describe(board, FIT)
    assert [event.data for event in world.logged("spark/device/app-hash")] == [HASH.encode()]


async def test_safe_mode_is_shown_with_the_describe_until_the_device_runs_again(
    world: World,
) -> None:
    board = await own(world)
    await describe(board, UNFIT)
    await board.publish("spark/device/safemode", b"")
    (shown,) = world.logged("spark/status/safe-mode")
    assert shown.data is not None
    assert shown.data.startswith(b'{"p":12,"m":[{')
    assert shown.owner_id == ADA
    assert len(world.logged("spark/device/safemode")) == 1
    assert stored(world, board).is_in_safe_mode
    await board.connect()
    await describe(board, FIT)
    assert not stored(world, board).is_in_safe_mode


async def test_safe_mode_that_no_describe_shows_ends_with_the_next_start(world: World) -> None:
    board = await own(world)
    await describe(board, FIT)
    await board.publish("spark/device/safemode", b"")
    await board.publish("spark/device/last_reset", b"safe_mode")
    assert stored(world, board).is_in_safe_mode
    assert len(world.logged("spark/status/safe-mode")) == 1
    await world.advance(120)
    await board.publish("spark/device/last_reset", b"pin_reset")
    assert not stored(world, board).is_in_safe_mode
    resets = [event.data for event in world.logged("spark/device/last_reset")]
    assert resets == [b"safe_mode", b"pin_reset"]


async def test_what_old_firmware_says_of_its_sizes_is_kept(world: World) -> None:
    board = await own(world)
    await board.publish("spark/hardware/max_binary", b"413696")
    await board.publish("spark/hardware/ota_chunk_size", b"256")
    await board.publish("spark/cc3000-patch-version", b"1.28")
    await board.publish("spark/device/ota_result", b'{"r":"ok"}')
    device = stored(world, board)
    assert (device.max_binary_bytes, device.ota_chunk_bytes) == (413_696, 256)
    assert device.cc3000_patch_version == "1.28"
    assert [e.name for e in world.logged() if e.origin == board.device_id] == ["spark/status"]


async def test_what_hello_says_of_sizes_is_kept(world: World) -> None:
    device = stored(world, await own(world))
    sizes = (device.max_message_bytes, device.max_binary_bytes, device.ota_chunk_bytes)
    assert sizes == (1152, 1_536_000, 512)
