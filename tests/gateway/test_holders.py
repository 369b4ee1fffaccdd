"""Two processes with one session: the one that took it over last writes, the other does not."""

from cyan.devices.presence import is_held
from cyan.gateway.datagrams import DatagramLink
from cyan.wire import coap
from cyan.wire.messages import Subscribe, encode_subscribe
from tests.gateway.board import Board
from tests.gateway.world import World


async def test_a_late_holder_changes_nothing(world: World) -> None:
    board = await Board(world).connect()
    await world.advance(2)
    late, late_socket = world.gateway, world.socket
    await world.start()
    await world.settle()
    await board.publish("to the new holder")
    await world.advance(2)
    (before,) = world.sessions()
    assert board.records is not None

    # A subscription that reaches the late holder is not acknowledged: it cannot be kept there.
    message_id = board.take_id()
    record = board.records.seal_data(encode_subscribe(message_id, Subscribe("late/")))
    late_socket.arrive(record, b"\x02\0\x11\x11\xc6\x33\x64\x01" + bytes(8))
    await world.settle()
    await world.linger()
    assert board.answer_to(message_id) is None
    late.turn()
    await world.settle()
    assert world.sessions() == [before]

    # It believes that the device is silent, or wants to end its session. The new one must not look
    # at the clock meanwhile, which it would do now and then.
    assert world.gateway._ticker is not None
    world.gateway._ticker.cancel()
    world.clock.advance(100)
    late.turn()
    late.disconnect(board.device_id, "test")
    world.clock.advance(1.5)
    late.turn()
    await world.settle()
    assert [row["connection_id"] for row in world.sessions()] == [board.connection_id]
    assert is_held(world.db, board.device_id, world.clock.now_ms() - 101_000)
    late.stop_listening()
    await late.stop()
    await world.settle()
    assert is_held(world.db, board.device_id, world.clock.now_ms() - 101_000)
    assert [row["adoption"] for row in world.sessions()] == [1]


async def test_records_of_a_late_holder_are_refused_by_the_device(world: World) -> None:
    board = await Board(world).connect()
    await world.advance(2)
    late = world.gateway
    late_link = late.online_link(board.device_id)
    assert isinstance(late_link, DatagramLink)
    await world.start()
    await world.settle()
    # What the new holder sends pushes the window far beyond the late one's numbers.
    assert await board.ping() is not None
    assert board.records is not None
    overheard = late_link.records.seal_data(coap.encode_ping(1))
    assert board.records.open(overheard) is None
    late.stop_listening()
    await late.stop()
