"""Online and offline: by silence, by goodbye, and back."""

from cyan.devices.presence import DeviceOffline, DeviceOnline, is_held
from cyan.gateway.keeper import FLUSH_S, LAZY_TURNS
from cyan.wire.messages import Goodbye, encode_goodbye
from tests.gateway.board import ARGON, BORON, Board
from tests.gateway.world import ADA, World, metric


async def test_a_wifi_device_is_offline_after_75_s_of_silence(world: World) -> None:
    board = await Board(world, platform_id=ARGON).connect()
    await world.advance(74)
    assert world.presence.is_online(board.device_id)
    await world.advance(2)
    assert not world.presence.is_online(board.device_id)
    assert world.statuses() == ["online", "offline"]
    assert len(world.sessions()) == 1, "its session is kept"


async def test_a_cellular_device_is_offline_after_two_of_its_pings_were_missed(
    world: World,
) -> None:
    board = await Board(world, platform_id=BORON).connect()
    await world.advance(46 * 60 - 2)
    assert world.presence.is_online(board.device_id)
    await world.advance(4)
    assert not world.presence.is_online(board.device_id)


async def test_every_sign_of_life_puts_silence_off(world: World) -> None:
    board = await Board(world, platform_id=ARGON).connect()
    for _ in range(4):
        await world.advance(60)
        await board.ping()
    assert world.statuses() == ["online"]
    assert world.presence.last_heard_ms(board.device_id) == world.clock.now_ms()
    await world.advance(76)
    assert world.statuses() == ["online", "offline"]


async def test_a_silent_device_is_online_again_with_its_next_word(world: World) -> None:
    board = await Board(world).connect()
    handshakes = metric("cyan_handshakes_total", kind="full")
    await world.advance(80)
    assert await board.ping() is not None
    assert world.presence.is_online(board.device_id)
    assert world.statuses() == ["online", "offline", "online"]
    assert metric("cyan_handshakes_total", kind="full") == handshakes


async def test_silence_is_noticed_after_each_return(world: World) -> None:
    board = await Board(world).connect()
    for _ in range(3):
        await board.say(lambda id_: encode_goodbye(id_, Goodbye(6)))
        await world.advance(10)
        await board.ping()
    assert world.statuses()[-1] == "online"
    await world.advance(76)
    assert world.statuses() == ["online", *["offline", "online"] * 3, "offline"]


async def test_coming_and_going_is_told_on_the_bus_with_the_reason(world: World) -> None:
    board = await Board(world).connect()
    await board.say(lambda id_: encode_goodbye(id_, Goodbye(disconnect_reason=6)))
    assert world.facts == [
        DeviceOnline(board.device_id),
        DeviceOffline(board.device_id, "goodbye: sleep"),
    ]


async def test_online_events_belong_to_the_owner_and_the_device(world: World) -> None:
    board = Board(world)
    world.register(board.device_id, ADA)
    await board.connect()
    (event,) = world.logged("spark/status")
    assert (event.origin, event.owner_id, event.message_id) == (board.device_id, ADA, None)


async def test_the_metric_counts_devices_online(world: World) -> None:
    await Board(world, 1).connect()
    board = await Board(world, 2).connect()
    await world.advance(2)
    assert metric("cyan_devices_online") == 2
    await board.say(lambda id_: encode_goodbye(id_, Goodbye(2)))
    await world.advance(2)
    assert metric("cyan_devices_online") == 1


async def test_a_device_is_held_online_as_long_as_its_holder_lives(world: World) -> None:
    board = await Board(world, platform_id=BORON).connect()
    await world.advance(60)
    assert is_held(world.db, board.device_id, world.clock.now_ms())
    await world.crash()
    assert not is_held(world.db, board.device_id, world.clock.now_ms() + 31_000)
    await world.start()
    await world.settle()
    assert is_held(world.db, board.device_id, world.clock.now_ms())


async def test_what_a_failed_flush_did_not_write_is_written_later(world: World) -> None:
    board = await Board(world).connect()
    assert is_held(world.db, board.device_id, world.clock.now_ms()), "with its Hello, at once"
    with world.broken_table("devices_presence"):
        await board.say(lambda id_: encode_goodbye(id_, Goodbye(disconnect_reason=2)))
        await world.advance(3)
    await world.advance(3)
    assert not is_held(world.db, board.device_id, world.clock.now_ms())
    await world.advance(LAZY_TURNS * FLUSH_S)
    (row,) = world.sessions()
    assert row["device_message_id"] == board.next_id - 1
