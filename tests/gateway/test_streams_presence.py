"""Devices over TCP that come, go, come twice and over another transport; and a server that ends."""

import pytest

from cyan.devices.presence import DeviceOffline, DeviceOnline, is_held
from cyan.devices.registry import forget_key
from cyan.gateway.attendance import COME_BACK_S
from cyan.wire import coap
from cyan.wire.messages import encode_hello
from tests.gateway.board import Board
from tests.gateway.stream_board import StreamBoard
from tests.gateway.world import ADA, World, metric


async def test_a_connection_that_ends_is_a_device_offline(world: World) -> None:
    board = await StreamBoard(world).connect()
    await board.hang_up()
    assert not world.presence.is_online(board.device_id)
    assert world.statuses() == ["online", "offline"]
    assert world.facts == [
        DeviceOnline(board.device_id),
        DeviceOffline(board.device_id, "the connection was closed"),
    ]
    await world.advance(2)
    assert not is_held(world.db, board.device_id, world.clock.now_ms())


async def test_a_device_that_half_closes_is_offline_and_gets_our_end_too(world: World) -> None:
    board = await StreamBoard(world).connect()
    board.finish()
    await world.settle()
    assert not board.is_open
    assert not board.was_reset
    assert world.statuses() == ["online", "offline"]


async def test_a_connection_without_hello_makes_nobody_online_or_offline(world: World) -> None:
    board = StreamBoard(world)
    await board.shake_hands()
    await board.hang_up()
    assert world.facts == []
    assert world.statuses() == []


async def test_a_silent_device_is_hung_up_on_after_75_s(world: World) -> None:
    board = await StreamBoard(world).connect()
    await world.advance(74)
    assert world.presence.is_online(board.device_id)
    await world.advance(2)
    assert not world.presence.is_online(board.device_id)
    assert not board.is_open
    assert world.statuses() == ["online", "offline"]


async def test_a_cellular_device_over_tcp_has_no_longer_limit(world: World) -> None:
    # Every device over TCP says something each 25 s (§1.3.3).
    board = await StreamBoard(world, platform_id=13).connect()
    await world.advance(76)
    assert not world.presence.is_online(board.device_id)


async def test_every_frame_puts_silence_off(world: World) -> None:
    board = await StreamBoard(world).connect()
    for _ in range(4):
        await world.advance(60)
        await board.ping()
    assert world.statuses() == ["online"]
    assert world.presence.last_heard_ms(board.device_id) == world.clock.now_ms()


async def test_half_a_frame_is_no_sign_of_life(world: World) -> None:
    board = await StreamBoard(world).connect()
    assert board.channel is not None
    frame = board.channel.seal(coap.encode_ping(board.take_id()))
    for byte in frame[:-1]:
        board.send(bytes((byte,)))
        await world.advance(10)
    assert not world.presence.is_online(board.device_id)
    assert not board.is_open


async def test_a_device_that_connects_again_replaces_its_old_connection(world: World) -> None:
    board = await StreamBoard(world).connect()
    await board.listen("fleet/")
    board.forget_line()
    await world.advance(3)
    await board.connect()
    assert world.statuses() == ["online", "offline", "online"]
    assert world.lines[0].is_closing(), "the old connection is closed"
    assert world.presence.is_online(board.device_id)
    assert await board.publish() is not None
    await world.advance(5)
    assert world.statuses() == ["online", "offline", "online"], "its end changed nothing"
    assert is_held(world.db, board.device_id, world.clock.now_ms())


async def test_a_device_that_goes_and_comes_back_at_once_is_stored_as_online(
    world: World,
) -> None:
    board = await StreamBoard(world).connect()
    await world.advance(2)
    for _ in range(3):
        await board.hang_up()
        await board.connect()
    assert is_held(world.db, board.device_id, world.clock.now_ms())
    await world.advance(3)
    assert is_held(world.db, board.device_id, world.clock.now_ms())
    await board.hang_up()
    await world.advance(3)
    assert not is_held(world.db, board.device_id, world.clock.now_ms())


async def test_a_hello_that_is_kept_beside_a_flush_has_the_last_word(world: World) -> None:
    board = await StreamBoard(world).connect()
    await world.advance(2)
    await board.hang_up()
    await board.shake_hands()
    hello = encode_hello(board.take_id(), board.hello_message(), confirmable=False)
    with world.slow_disk():
        board.transmit(hello)
        await world.linger()
        world.clock.advance(1.5)
        world.gateway.turn()
        assert world.gateway._keeper.is_flushing, "which writes that it went"
    await world.advance(3)
    assert world.presence.is_online(board.device_id)
    assert is_held(world.db, board.device_id, world.clock.now_ms())


async def test_a_connection_that_ends_while_its_hello_is_kept_leaves_nobody_online(
    world: World,
) -> None:
    board = await StreamBoard(world).connect()
    await board.hang_up()
    await world.advance(2)
    await board.shake_hands()
    hello = encode_hello(board.take_id(), board.hello_message(), confirmable=False)
    with world.slow_disk():
        board.transmit(hello)
        await world.linger()
        board.cut()
        await world.linger()
    await world.advance(2)
    assert not world.presence.is_online(board.device_id)
    assert not is_held(world.db, board.device_id, world.clock.now_ms())
    await world.restart()
    await world.advance(COME_BACK_S + 2)
    assert world.statuses() == ["online", "offline"]


async def test_what_an_old_connection_still_says_counts_for_nothing(world: World) -> None:
    old = await StreamBoard(world).connect()
    board = await StreamBoard(world).connect()
    assert not old.is_open
    assert await board.publish("temperature", b"new") is not None
    assert [event.data for event in world.logged("temperature")] == [b"new"]
    assert world.presence.is_online(board.device_id)


async def test_a_hello_that_was_held_up_does_not_replace_a_newer_connection(world: World) -> None:
    late = StreamBoard(world)
    await late.shake_hands()
    await world.advance(2)
    board = await StreamBoard(world).connect()
    await late.say_hello()
    assert not late.is_open
    assert board.is_open
    assert await board.publish() is not None
    assert world.statuses() == ["online"]


async def test_a_second_hello_on_a_connection_begins_anew(world: World) -> None:
    board = await StreamBoard(world).connect()
    await board.listen("fleet/")
    assert await board.say_hello() is not None
    assert board.is_open
    await board.tell("fleet/news")
    assert "fleet/news" not in board.event_names()
    assert world.statuses() == ["online", "offline", "online"]


async def test_a_device_may_change_from_udp_to_tcp_and_back_when_its_key_is_forgotten(
    world: World,
) -> None:
    datagrams, stream = Board(world), StreamBoard(world)
    stream.device_id = datagrams.device_id
    world.register(datagrams.device_id, ADA)
    await datagrams.connect()
    await datagrams.subscribe("fleet/")
    await world.advance(3)
    forget_key(world.db, world.clock, datagrams.device_id)

    await stream.connect()
    assert world.statuses() == ["online", "offline", "online"]
    assert world.sessions() == []
    assert await datagrams.ping() is None, "its session is over"
    await world.events.publish(ADA, "fleet/news", b"1")
    await world.settle()
    assert "fleet/news" not in datagrams.event_names() + stream.event_names()
    await world.advance(20)
    assert world.presence.is_online(stream.device_id)
    assert is_held(world.db, stream.device_id, world.clock.now_ms())

    forget_key(world.db, world.clock, datagrams.device_id)
    await world.advance(1)
    await datagrams.connect()
    assert not stream.is_open
    assert world.statuses() == ["online", "offline", "online", "offline", "online"]
    await world.advance(20)
    assert await datagrams.publish() is not None
    assert len(world.sessions()) == 1
    assert is_held(world.db, datagrams.device_id, world.clock.now_ms())


@pytest.mark.parametrize("crash", [True, False], ids=["killed", "stopped"])
async def test_a_device_that_comes_back_after_a_restart_was_offline_once(
    world: World, crash: bool
) -> None:
    board = await StreamBoard(world).connect()
    await world.advance(2)
    await world.restart(outage_s=2, crash=crash)
    assert not board.is_open
    assert world.statuses() == ["online"]
    assert not world.presence.is_online(board.device_id), "it cannot be called"
    await world.advance(5)
    await board.connect()
    assert world.statuses() == ["online", "offline", "online"]
    await world.advance(COME_BACK_S + 5)
    assert world.statuses() == ["online", "offline", "online"]
    assert [type(fact) for fact in world.facts].count(DeviceOffline) <= 1


@pytest.mark.parametrize("crash", [True, False], ids=["killed", "stopped"])
async def test_a_device_that_does_not_come_back_after_a_restart_goes_offline(
    world: World, crash: bool
) -> None:
    board = await StreamBoard(world).connect()
    await world.advance(2)
    await world.restart(outage_s=2, crash=crash)
    await world.advance(COME_BACK_S - 1)
    assert world.statuses() == ["online"]
    await world.advance(2)
    assert world.statuses() == ["online", "offline"]
    assert world.facts[-1] == DeviceOffline(board.device_id, "silence")
    await world.advance(2)
    assert not is_held(world.db, board.device_id, world.clock.now_ms())
    await board.connect()
    assert world.statuses() == ["online", "offline", "online"]


async def test_restarts_in_a_row_put_the_decision_off_and_show_nothing_twice(world: World) -> None:
    board = await StreamBoard(world).connect()
    await world.advance(2)
    for _ in range(3):
        await world.restart(outage_s=2)
        await world.advance(COME_BACK_S / 2)
    assert world.statuses() == ["online"]
    await world.advance(COME_BACK_S)
    assert world.statuses() == ["online", "offline"]
    await world.restart()
    await world.advance(COME_BACK_S + 2)
    await board.connect()
    assert world.statuses() == ["online", "offline", "online"]


async def test_a_device_that_was_offline_before_a_restart_stays_so(world: World) -> None:
    board = await StreamBoard(world).connect()
    await board.hang_up()
    await world.advance(2)
    await world.restart()
    await world.advance(COME_BACK_S + 2)
    assert world.statuses() == ["online", "offline"]


async def test_events_that_were_acknowledged_over_tcp_outlive_a_kill(world: World) -> None:
    board = await StreamBoard(world).connect()
    for number in range(10):
        assert await board.publish("n", str(number).encode()) is not None
    await world.restart()
    assert [event.data for event in world.logged("n")] == [b"%d" % n for n in range(10)]
    await board.connect()
    assert await board.publish("n", b"10") is not None
    assert len(world.logged("n")) == 11, "its ids may begin where they were: another session"


async def test_a_server_that_stops_closes_every_connection_and_takes_no_more(
    world: World,
) -> None:
    connected = await StreamBoard(world, 1).connect()
    unfinished = StreamBoard(world, 2)
    await unfinished.shake_hands()
    silent = StreamBoard(world, 3)
    await silent.open()
    before = metric("cyan_handshakes_ended_total", how="failed")
    await world.stop()
    await world.spin()
    assert [board.is_open for board in (connected, unfinished, silent)] == [False] * 3
    with pytest.raises(ConnectionRefusedError):
        await connected.open()
    assert metric("cyan_handshakes_ended_total", how="failed") == before
    await world.start()
    await connected.connect()


async def test_a_stop_in_the_middle_of_many_handshakes_leaves_nothing_behind(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    boards = [StreamBoard(world, index) for index in range(12)]
    for board in boards:
        await board.open()
    await world.settle()
    for board in boards:
        board.begin_handshake()
    for _ in range(30):
        await world.spin()
        if world.gateway._listener._is_busy:
            break
    await world.stop()
    for _ in range(50):
        await world.linger()
        if world.gateway._listener.count() == 0:
            break
    assert caplog.records == []
    assert world.gateway._listener.count() == 0
    await world.start()
    await boards[0].connect()


async def test_what_was_taken_before_the_end_is_still_answered(world: World) -> None:
    board = await StreamBoard(world).connect()
    message_id = board.take_id()
    with world.slow_disk():
        board.transmit(
            coap.encode(coap.Message(coap.CON, coap.POST, message_id, b"", _EVENT, b"21"))
        )
        await world.linger()
        world.gateway.stop_listening()
    await world.log.drain()
    await world.settle()
    assert board.answer_to(message_id) is not None
    assert len(world.logged("n")) == 1


async def test_a_hello_under_way_when_the_server_stops_costs_nothing(world: World) -> None:
    board = StreamBoard(world)
    await board.shake_hands()
    board.transmit(encode_hello(board.take_id(), board.hello_message(), confirmable=False))
    await world.spin()
    await world.stop()
    await world.start()
    await world.settle()
    await board.connect()
    assert world.presence.is_online(board.device_id)
    assert world.statuses()[-1] == "online"


_EVENT = ((coap.URI_PATH, b"E"), (coap.URI_PATH, b"n"))
