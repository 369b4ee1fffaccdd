"""Firmware without connection ids: whom an address belongs to, and what strangers can do."""

import os

import pytest

from cyan.sim.facts import State
from cyan.wire import coap
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import MOVED
from cyan.wire.messages import Publish, encode_publish
from tests.gateway.board import Board, old_board
from tests.gateway.firmware import Firmware
from tests.gateway.world import SERVER_KEY, World, make_port, metric


def dropped(reason: str) -> float:
    return metric("cyan_datagrams_dropped_total", reason=reason)


async def test_an_address_that_another_device_has_now_belongs_to_that_one(world: World) -> None:
    first, second = old_board(world, 1), old_board(world, 2)
    await first.connect()
    port = first.port
    second.port = port
    world.peers[second.address] = second
    await second.connect()
    assert await second.publish("n", b"2") is not None
    first.resume(41_000)
    assert await first.publish("n", b"1") is not None
    world.peers[second.address] = second
    assert await second.publish("n", b"2 again") is not None
    origins = [event.origin for event in world.logged("n")]
    assert origins == [second.device_id, first.device_id, second.device_id]


async def test_devices_that_change_their_addresses_with_each_other_go_on(world: World) -> None:
    first, second = await old_board(world, 1).connect(), await old_board(world, 2).connect()
    ports = first.port, second.port
    first.resume(ports[1])
    assert await first.ping() is not None
    second.resume(ports[0])
    assert await second.ping() is not None
    world.peers[first.address] = first
    assert await first.publish() is not None
    assert await second.publish() is not None


async def test_the_session_that_ended_does_not_take_the_address_of_the_next_with_it(
    world: World,
) -> None:
    first, second = old_board(world, 1), old_board(world, 2)
    await first.connect()
    second.port = first.port
    world.peers[second.address] = second
    await second.connect()
    world.gateway.disconnect(first.device_id, "test")
    for _ in range(3):
        await world.advance(60)
        assert await second.ping() is not None


@pytest.mark.parametrize("platform", ["electron", "argon"])
async def test_a_board_that_was_away_when_its_session_ended_hears_of_it_elsewhere(
    world: World, platform: str
) -> None:
    device = Firmware(world, platform=platform)
    device.on_time(world.clock.monotonic())
    await world.advance(2)
    assert device.device.state is State.ONLINE
    device.device.restart_updated(world.clock.monotonic())
    world.gateway.disconnect(device.device_id, "test")
    await world.advance(5)
    assert device.device.state is State.ONLINE
    link = world.gateway.online_link(device.device_id)
    assert link is not None
    assert link.ended is None


@pytest.mark.parametrize("heard_last", [0, 3, 5])
async def test_after_a_restart_an_address_belongs_to_whom_it_was_heard_from_last(
    world: World, heard_last: int
) -> None:
    boards = [old_board(world, index) for index in range(1, 7)]
    for board in boards:
        board.port = 40_001
        world.peers[board.address] = board
        await board.connect()
        await world.advance(2)
    last = boards[heard_last]
    world.peers[last.address] = last
    assert last.records is not None
    last.records.moving = True
    assert await last.ping() is not None
    await world.advance(12)
    await world.restart()
    assert await last.publish() is not None


async def test_a_device_that_shakes_hands_anew_at_its_old_address_has_one_session(
    world: World,
) -> None:
    board = await old_board(world).connect()
    await board.subscribe("fleet/")
    await board.connect()
    assert len(world.sessions()) == 1
    assert await board.publish() is not None
    assert len(world.gateway._by_address) == 1
    assert world.statuses() == ["online", "offline", "online"]


async def test_an_update_to_new_firmware_and_back_leaves_nothing_behind(world: World) -> None:
    board = await old_board(world).connect()
    board.has_connection_id = True
    await board.connect()
    assert world.gateway._by_address == {}
    assert await board.publish() is not None
    board.resume(41_000)
    assert await board.publish() is not None
    board.has_connection_id = False
    await board.connect()
    assert world.gateway._by_address.keys() == {board.address}
    assert await board.publish() is not None
    assert len(world.sessions()) == 1


async def test_a_session_that_moved_is_answered_when_its_new_address_is_stored(
    world: World,
) -> None:
    board = await old_board(world).connect()
    await world.advance(12)
    with world.slow_disk():
        board.resume(41_000)
        before = len(world.sent)
        board.transmit(coap.encode_ping(board.take_id()))
        board.resume(41_001)
        message_id = board.take_id()
        board.transmit(coap.encode_ping(message_id))
        await world.linger()
        assert len(world.sent) == before
    await world.settle()
    assert board.answer_to(message_id) is not None
    assert {address for _, address in world.sent[before:]} == {board.address}


async def test_a_new_address_that_cannot_be_stored_is_tried_again(world: World) -> None:
    board = await old_board(world).connect()
    await world.advance(12)
    with world.broken_table("gateway_journal"):
        board.resume(41_000)
        assert await board.ping() is None
    await world.advance(2)
    assert board.records is not None
    assert not board.records.moving
    assert await board.publish() is not None


def forged(device_id: str, record: bytes) -> bytes:
    """A record as if that device's session went on with it."""
    return bytes((MOVED,)) + record[1:] + bytes.fromhex(device_id) + b"\x0c"


async def test_a_record_with_another_devices_id_changes_nothing(world: World) -> None:
    victim, thief = await old_board(world, 1).connect(), await old_board(world, 2).connect()
    assert thief.records is not None
    link = world.gateway.online_link(victim.device_id)
    assert link is not None
    heard_s = link.heard_s
    await world.advance(5)
    before = len(world.sent), dropped("not_authentic")
    record = thief.records.seal_data(encode_publish(thief.take_id(), Publish("forged")))
    world.arrive(forged(victim.device_id, record), make_port(9))
    await world.settle()
    assert (len(world.sent), dropped("not_authentic")) == (before[0], before[1] + 1)
    assert world.logged("forged") == []
    assert link.heard_s == heard_s
    assert make_port(9) not in world.gateway._by_address
    assert await victim.publish() is not None
    assert await thief.ping() is not None


async def test_a_flood_in_the_name_of_a_device_takes_nothing_of_it(world: World) -> None:
    board = await old_board(world).connect()
    await world.advance(2)
    lie = forged(board.device_id, b"\x17\xfe\xfd\0\1" + bytes(6) + b"\0\x20" + bytes(32))
    for _ in range(3 * world.config.device_messages_per_s):
        world.arrive(lie, make_port(9))
    await world.settle()
    assert await board.publish() is not None


async def test_a_moved_record_for_a_session_with_connection_id_is_dropped(world: World) -> None:
    new, old = await Board(world, 1).connect(), await old_board(world, 2).connect()
    assert old.records is not None
    before = dropped("unknown_session")
    record = old.records.seal_data(coap.encode_ping(old.take_id()))
    world.arrive(forged(new.device_id, record), make_port(9))
    world.arrive(forged("ab" * 12, record), make_port(9))
    await world.settle()
    assert dropped("unknown_session") == before + 2
    assert await new.ping() is not None


async def test_a_replayed_moved_record_neither_moves_a_session_nor_is_answered(
    world: World,
) -> None:
    board = await old_board(world).connect()
    board.resume(41_000)
    overheard = board.transmit(encode_publish(board.take_id(), Publish("n")))
    await world.settle()
    before = len(world.sent)
    world.arrive(overheard, make_port(9))
    await world.settle()
    assert len(world.sent) == before
    assert len(world.logged("n")) == 1
    assert world.gateway._by_address.keys() == {make_port(41_000)}
    assert await board.ping() is not None


async def test_a_moved_record_that_was_held_up_does_not_move_a_session_back(world: World) -> None:
    board = await old_board(world).connect()
    board.resume(41_000)
    assert board.records is not None
    held_up = board.records.seal_data(encode_publish(board.take_id(), Publish("n")))
    await board.ping()
    board.resume(41_001)
    await board.ping()
    world.arrive(held_up, make_port(41_000))
    await world.settle()
    assert world.sent[-1][1] == board.address
    assert len(world.logged("n")) == 1
    assert world.gateway._by_address.keys() == {board.address}


@pytest.mark.parametrize(
    "datagram",
    [
        b"\xfe",
        b"\xfe\xfe\xfd\0\1" + bytes(8),
        b"\xfe" * 60,
        b"\xfe\xfe\xfd\0\1" + bytes(6) + b"\0\x10" + bytes(16) + bytes(12) + b"\x0b",
        b"\xfe\xfe\xfd\0\1" + bytes(6) + b"\xff\xff" + bytes(16) + bytes(12) + b"\x0c",
        b"\xfe\xfe\xfd\0\0" + bytes(6) + b"\0\x10" + bytes(16) + bytes(12) + b"\x0c",
        b"\x17\xfe\xfd\0\1" + bytes(6) + b"\0\x10" + bytes(16),
        b"\x17",
        b"\x15\xfe\xfd\0\1" + bytes(6) + b"\0\x12" + bytes(18),
        b"\x17\xfe\xfd\0\1" + bytes(6) + b"\0\0" + b"\x17\xfe\xfd\0\1" + bytes(8),
    ],
)
async def test_garbage_gets_no_answer_and_leaves_nothing(world: World, datagram: bytes) -> None:
    board = await old_board(world).connect()
    before = len(world.sent), len(world.gateway._by_address)
    world.arrive(datagram, board.address)
    world.arrive(datagram, make_port(9))
    await world.settle()
    assert (len(world.sent), len(world.gateway._by_address)) == before
    assert await board.ping() is not None


async def test_a_client_hello_from_its_own_address_disturbs_nobody(world: World) -> None:
    board = await old_board(world).connect()
    handshake = ClientHandshake(
        device_key=SERVER_KEY,
        server_public_key=SERVER_KEY.public_key(),
        entropy=os.urandom(64),
        offer_connection_id=False,
        device_id=bytes(12),
    )
    world.arrive(handshake.start(), board.address)
    await world.settle()
    assert await board.publish() is not None
    assert not board.was_closed
