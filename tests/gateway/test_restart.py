"""A server that ends and begins again, and devices that do not notice."""

from collections import Counter

import pytest

from cyan.gateway.datagrams import DatagramLink
from cyan.gateway.session import FORMAT, without_id
from cyan.sim.behaviour import built_in
from cyan.sim.facts import Outcome, State
from cyan.wire import coap
from cyan.wire.messages import Publish, encode_publish
from tests.gateway.board import BORON, FUNCTIONS, Board, settled_board
from tests.gateway.firmware import Firmware
from tests.gateway.world import ADA, World, metric

BUSY = built_in(event_interval_s=1.0)


def sequence_of(datagram: bytes) -> int:
    """The send sequence of a record of ours."""
    return int.from_bytes(datagram[5:11], "big")


@pytest.mark.parametrize("crash", [True, False], ids=["killed", "stopped"])
async def test_a_device_does_not_notice_a_restart(world: World, crash: bool) -> None:
    board = await Board(world).connect()
    full = metric("cyan_handshakes_total", kind="full")
    adopted = metric("cyan_sessions_adopted_total")
    await world.advance(2)
    await world.restart(crash=crash)
    assert metric("cyan_sessions_adopted_total") == adopted + 1
    assert world.presence.is_online(board.device_id)
    assert world.links.state(board.device_id) is not None
    assert await board.publish("after") is not None
    assert metric("cyan_handshakes_total", kind="full") == full
    assert world.statuses() == ["online"]
    assert len(world.facts) == 1, "no offline and no online"
    assert board.alerts == []


async def test_send_sequences_go_on_from_the_next_adoption(world: World) -> None:
    board = await Board(world).connect()
    await world.advance(2)
    for adoption in (1, 2, 3):
        await world.restart()
        assert await board.ping() is not None
        assert sequence_of(board.datagrams[-1]) == adoption << 32
    assert board.alerts == []


async def test_a_device_can_be_called_right_after_a_restart(world: World) -> None:
    firmware = await Firmware(world, platform="boron").connect()
    await world.advance(2)
    await world.restart(outage_s=5)
    assert await world.links.call_function(firmware.device_id, "led", "on") == 1
    assert firmware.handshakes == [False]


async def test_message_ids_of_ours_are_not_used_again_after_crashes(world: World) -> None:
    # Within 45 s the device would take them for copies of earlier ones (device-protocol.md §2.1).
    board = await Board(world, platform_id=BORON).connect()
    await world.advance(2)
    for _ in range(4):
        assert world.links.send_event(board.device_id, "fleet/news", b"1")
        await world.settle()
        await world.restart()
    used = Counter(message.message_id for message in board.requests())
    assert max(used.values()) == 1


async def test_hello_describes_and_subscriptions_outlive_a_restart(world: World) -> None:
    board = Board(world)
    world.register(board.device_id, ADA)
    await board.connect()
    await board.subscribe("fleet/")
    await world.advance(2)
    await world.restart()
    await world.events.publish(ADA, "fleet/news", b"hello")
    await world.settle()
    assert board.event_names()[-1] == "fleet/news"
    link = world.gateway.online_link(board.device_id)
    assert link is not None
    assert link.session.hello == without_id(board.hello_message())
    assert link.session.has_application
    row = world.db.driver.execute("SELECT functions FROM devices_device").fetchone()
    assert all(name in row[0] for name in FUNCTIONS)


async def test_a_copy_of_an_acknowledged_event_is_recognised_after_a_restart(world: World) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()
    event = encode_publish(message_id, Publish("temperature", b"21.5"))
    board.transmit(event)
    await world.settle()
    await world.restart(outage_s=20)
    board.messages.clear()
    board.transmit(event)
    await world.settle()
    assert board.answer_to(message_id) == coap.Message(coap.ACK, coap.EMPTY, message_id)
    assert len(world.logged("temperature")) == 1


async def test_an_event_that_met_a_dead_server_is_logged_when_it_comes_again(world: World) -> None:
    firmware = await Firmware(world, behaviour=BUSY).connect()
    await world.advance(5)
    await world.restart(outage_s=10)
    await world.advance(60)
    assert firmware.device.state is State.ONLINE
    assert firmware.handshakes == [False]
    assert firmware.settled(Outcome.REFUSED) == []
    acknowledged = firmware.settled(Outcome.ACKNOWLEDGED)
    logged = Counter(event.data for event in world.logged("heartbeat"))
    assert len(acknowledged) > 50
    assert all(logged[data] == 1 for data in acknowledged)


async def test_acknowledged_events_are_in_the_log_once_over_many_crashes(world: World) -> None:
    fleet = [await Firmware(world, index, behaviour=BUSY).connect() for index in range(4)]
    for outage_s in (0.0, 3.0, 8.0, 1.0):
        await world.advance(3)
        await world.restart(outage_s=outage_s)
    await world.advance(30)
    logged = Counter(event.data for event in world.logged("heartbeat"))
    for firmware in fleet:
        assert firmware.handshakes == [False]
        acknowledged = firmware.settled(Outcome.ACKNOWLEDGED)
        assert len(acknowledged) > 30
        assert all(logged[data] == 1 for data in acknowledged)
    assert max(logged.values()) == 1


async def test_after_a_long_outage_missed_ids_are_answered_with_the_truth(world: World) -> None:
    board = await settled_board(world)
    logged_id = board.next_id + 1
    lost = [board.take_id() for _ in range(3)]
    await world.crash()
    # The second one was logged by the process that died; its acknowledgement was lost.
    await world.start()
    await world.settle()
    link = world.gateway.online_link(board.device_id)
    assert isinstance(link, DatagramLink)
    world.socket.is_broken = True
    board.transmit(encode_publish(logged_id, Publish("logged", b"1")))
    await world.settle()
    link.expect(lost[0])
    await world.advance(2)
    await world.restart(outage_s=40)
    board.messages.clear()
    assert await board.ping() is not None
    codes = {id_: answer.code if (answer := board.answer_to(id_)) else None for id_ in lost}
    assert codes == {
        lost[0]: coap.SERVICE_UNAVAILABLE,
        lost[1]: coap.EMPTY,
        lost[2]: coap.SERVICE_UNAVAILABLE,
    }
    assert not board.was_closed
    board.messages.clear()
    assert await board.ping() is not None
    assert len(board.messages) == 1, "once"


async def test_after_a_short_outage_nothing_is_answered_that_may_come_again(world: World) -> None:
    board = await settled_board(world)
    lost = [board.take_id() for _ in range(3)]
    await world.restart(outage_s=10)
    assert await board.ping() is not None
    assert [board.answer_to(id_) for id_ in lost] == [None] * 3
    board.transmit(encode_publish(lost[1], Publish("again", b"1")))
    await world.settle()
    assert board.answer_to(lost[1]) is not None
    assert len(world.logged("again")) == 1


async def test_at_most_64_missed_ids_are_answered(world: World) -> None:
    board = await settled_board(world)
    board.next_id += 64
    await world.restart(outage_s=40)
    before = len(board.messages)
    await board.ping()
    assert len(board.messages) == before + 65
    await world.advance(6)
    board.next_id += 65
    await world.restart(outage_s=40)
    before = len(board.messages)
    await board.ping()
    assert len(board.messages) == before + 1, "a new start of the counter, not so many messages"


async def test_a_session_whose_setup_was_missed_is_ended(world: World) -> None:
    board = await Board(world, platform_id=BORON).connect()
    await world.advance(2)
    board.take_id()
    await world.restart(outage_s=40)
    assert await board.ping() is None
    assert board.was_closed
    assert world.sessions() == []


async def test_a_session_whose_setup_is_unfinished_but_complete_so_far_goes_on(
    world: World,
) -> None:
    board = await Board(world, platform_id=BORON).connect()
    await world.advance(2)
    await world.restart(outage_s=40)
    assert await board.subscribe("fleet/") is not None
    assert not board.was_closed


async def test_firmware_outlives_an_outage_of_47_s(world: World) -> None:
    firmware = await Firmware(world, behaviour=built_in(event_interval_s=5.0)).connect()
    await world.advance(20)
    await world.restart(outage_s=47)
    await world.advance(120)
    assert firmware.device.state is State.ONLINE
    assert False not in firmware.handshakes[1:], "session-behaviour.md: the cure"


async def test_a_device_silent_since_before_the_restart_goes_offline_in_time(world: World) -> None:
    board = await Board(world).connect()
    await world.advance(30)
    await world.restart(outage_s=5)
    assert world.presence.is_online(board.device_id)
    await world.advance(38)
    assert world.presence.is_online(board.device_id)
    await world.advance(6)
    assert not world.presence.is_online(board.device_id)
    assert world.statuses() == ["online", "offline"]


async def test_after_an_outage_longer_than_its_silence_limit_a_device_has_time_to_come_back(
    world: World,
) -> None:
    board = await Board(world).connect()
    await world.restart(outage_s=80)
    await world.advance(26)
    assert world.presence.is_online(board.device_id)
    assert await board.ping() is not None
    await world.advance(70)
    assert world.statuses() == ["online"], "nobody saw it go and come"


async def test_a_device_that_does_not_come_back_after_a_long_outage_goes_offline(
    world: World,
) -> None:
    board = await Board(world).connect()
    await world.restart(outage_s=80)
    await world.advance(31)
    assert not world.presence.is_online(board.device_id)
    assert world.statuses() == ["online", "offline"]


async def test_an_offline_device_stays_offline_over_a_restart_until_heard(world: World) -> None:
    board = await Board(world).connect()
    await world.advance(80)
    await world.restart()
    assert not world.presence.is_online(board.device_id)
    assert await board.ping() is not None
    assert world.statuses() == ["online", "offline", "online"]


async def test_a_session_before_its_hello_outlives_a_restart(world: World) -> None:
    board = Board(world)
    await board.shake_hands()
    await world.restart(outage_s=3)
    assert await board.say_hello() is not None
    assert world.presence.is_online(board.device_id)


async def test_a_session_that_never_said_hello_is_not_adopted_for_ever(world: World) -> None:
    board = Board(world)
    await board.shake_hands()
    await world.restart(outage_s=130)
    assert world.sessions() == []
    assert await board.ping() is None


async def test_a_session_of_an_unknown_format_is_left_out_and_the_device_comes_anew(
    world: World,
) -> None:
    board = await Board(world).connect()
    await world.db.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE gateway_session SET format = ?", (FORMAT + 1,)
        )
    )
    await world.restart()
    assert await board.ping() is None
    await board.connect()
    assert len(world.sessions()) == 1


async def test_a_session_whose_adoptions_are_used_up_is_not_adopted(world: World) -> None:
    board = await Board(world).connect()
    await world.advance(2)
    await world.db.write(
        lambda connection: connection.exec_driver_sql("UPDATE gateway_session SET adoption = 65534")
    )
    await world.restart()
    assert await board.ping() is not None
    assert sequence_of(board.datagrams[-1]) == 0xFFFF << 32
    await world.restart()
    assert await board.ping() is None


async def test_records_of_before_the_restart_cannot_be_replayed_into_effects(world: World) -> None:
    board = await Board(world).connect()
    event = board.transmit(encode_publish(board.take_id(), Publish("temperature", b"21.5")))
    await world.settle()
    await world.advance(2)
    await world.restart()
    board.send(event)
    await world.settle()
    assert len(world.logged("temperature")) == 1


async def test_a_record_of_the_last_unflushed_second_is_a_copy_after_a_crash(world: World) -> None:
    board = await Board(world).connect()
    await world.advance(3)
    event = board.transmit(encode_publish(board.take_id(), Publish("temperature", b"21.5")))
    await world.settle()
    await world.restart()
    board.send(event)
    await world.settle()
    assert len(world.logged("temperature")) == 1
