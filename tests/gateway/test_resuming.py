"""Sessions that go on from another address, and after a reset of the device."""

import pytest

from cyan.gateway.udp import read_address
from cyan.wire import coap
from cyan.wire.messages import Goodbye, Publish, encode_goodbye, encode_publish
from tests.gateway.board import Board
from tests.gateway.firmware import Firmware
from tests.gateway.world import World, metric

PENDING = "particle/device/updates/pending"


async def test_a_resumed_session_is_counted_once_and_goes_on_at_its_new_address(
    world: World,
) -> None:
    board = await Board(world).connect()
    before = metric("cyan_handshakes_total", kind="resumed")
    full = metric("cyan_handshakes_total", kind="full")
    board.resume(41_000)
    for name in ("one", "two", "three"):
        board.transmit(encode_publish(board.take_id(), Publish(name)))
    await world.settle()
    assert all(board.answer_to(board.next_id - back) is not None for back in (1, 2, 3))
    assert metric("cyan_handshakes_total", kind="resumed") == before + 1
    assert metric("cyan_handshakes_total", kind="full") == full
    assert world.statuses() == ["online"]


async def test_each_resumption_of_a_device_counts(world: World) -> None:
    board = await Board(world).connect()
    before = metric("cyan_handshakes_total", kind="resumed")
    for port in (41_000, 41_001):
        board.resume(port)
        assert await board.ping() is not None
        assert await board.ping() is not None
    assert metric("cyan_handshakes_total", kind="resumed") == before + 2


async def test_a_device_that_was_reset_is_told_its_update_status_again(world: World) -> None:
    board = await Board(world).connect()
    board.resume(41_000)
    await board.ping()
    assert board.event_names() == [PENDING, PENDING]


async def test_a_sleeper_that_wakes_up_is_online_and_told_its_update_status(world: World) -> None:
    board = await Board(world).connect()
    await board.say(lambda id_: encode_goodbye(id_, Goodbye(disconnect_reason=6)))
    await world.advance(600)
    board.resume(41_000)
    await board.ping()
    assert world.presence.is_online(board.device_id)
    assert board.event_names() == [PENDING, PENDING]
    assert world.statuses() == ["online", "offline", "online"]


async def test_a_nat_that_forgot_moves_the_session_without_a_resumption(world: World) -> None:
    board = await Board(world).connect()
    before = metric("cyan_handshakes_total", kind="resumed")
    board.move(41_000)
    assert await board.ping() is not None
    assert metric("cyan_handshakes_total", kind="resumed") == before
    await world.advance(2)
    (row,) = world.sessions()
    assert isinstance(row["address"], bytes)
    assert read_address(row["address"]) == ("192.0.2.7", 41_000)


async def test_a_replayed_record_neither_moves_a_session_nor_is_answered(world: World) -> None:
    board = await Board(world).connect()
    assert board.records is not None
    overheard = board.transmit(coap.encode_ping(board.take_id()))
    await world.settle()
    before = len(world.sent)
    world.arrive(overheard, b"\x02\0\x11\x11\xc6\x33\x64\x01" + bytes(8))
    await world.settle()
    assert len(world.sent) == before
    assert await board.ping() is not None


async def test_a_record_that_was_held_up_does_not_move_a_session_back(world: World) -> None:
    board = await Board(world).connect()
    assert board.records is not None
    held_up = board.records.seal_data(coap.encode_ping(board.take_id()))
    old_address = board.address
    board.move(41_000)
    await board.ping()
    world.arrive(held_up, old_address)
    await world.settle()
    assert world.sent[-1][1] == board.address, "answered, but where the device is now"
    assert await board.ping() is not None


async def test_a_held_up_record_of_a_resumption_is_no_further_resumption(world: World) -> None:
    board = await Board(world).connect()
    board.resume(41_000)
    assert board.records is not None
    first = board.records.seal_data(coap.encode_ping(board.take_id()))
    await board.ping()
    await board.ping()
    before = metric("cyan_handshakes_total", kind="resumed")
    board.send(first)
    await world.settle()
    assert metric("cyan_handshakes_total", kind="resumed") == before


async def test_records_of_an_unknown_session_get_no_answer(world: World) -> None:
    board = await Board(world).connect()
    assert board.records is not None
    before = metric("cyan_datagrams_dropped_total", reason="unknown_session")
    board.records.connection_id = b"unknown!"
    assert await board.ping() is None
    assert metric("cyan_datagrams_dropped_total", reason="unknown_session") == before + 1


@pytest.mark.parametrize("at", [3, 11, 21, 30, -1])
async def test_a_forged_record_changes_nothing(world: World, at: int) -> None:
    board = await Board(world).connect()
    assert board.records is not None
    link = world.gateway.online_link(board.device_id)
    assert link is not None
    heard_s = link.heard_s
    await world.advance(5)
    forged = bytearray(board.records.seal_data(coap.encode_ping(board.take_id())))
    forged[at] ^= 1
    before = len(world.sent)
    board.send(bytes(forged))
    await world.settle()
    assert len(world.sent) == before
    assert link.heard_s == heard_s


async def test_firmware_that_falls_silent_comes_back_without_a_handshake(world: World) -> None:
    firmware = await Firmware(world).connect()
    world.socket.is_broken = True
    await world.advance(58)
    world.socket.is_broken = False
    await world.advance(20)
    assert firmware.handshakes == [False, True]
    assert world.presence.is_online(firmware.device_id)


async def test_several_records_in_one_datagram_are_all_served(world: World) -> None:
    board = await Board(world).connect()
    assert board.records is not None
    ids = [board.take_id() for _ in range(3)]
    board.send(b"".join(board.records.seal_data(coap.encode_ping(id_)) for id_ in ids))
    await world.settle()
    assert all(board.answer_to(id_) is not None for id_ in ids)
