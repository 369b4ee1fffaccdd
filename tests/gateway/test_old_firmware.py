"""Firmware of before 3.1 over UDP: records without connection id, found by their address, and by
the device's id behind them when a session goes on from elsewhere (device-protocol.md §1.4.6)."""

import os

import pytest

from cyan.devices import keys, refusals
from cyan.gateway.udp import read_address
from cyan.wire import coap
from cyan.wire.dtls.alerts import CLOSE_NOTIFY
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import (
    ALERT,
    MOVED,
)
from cyan.wire.messages import Goodbye, Publish, encode_goodbye, encode_hello, encode_publish
from tests.gateway.board import BORON, ELECTRON, Board, old_board
from tests.gateway.world import ADA, SERVER_KEY, World, make_port, metric

PENDING = "particle/device/updates/pending"


def dropped(reason: str) -> float:
    return metric("cyan_datagrams_dropped_total", reason=reason)


# -- connecting --------------------------------------------------------------------------------


async def test_old_firmware_connects_and_no_record_has_a_connection_id(world: World) -> None:
    board = await old_board(world).connect()
    assert board.connection_id == b""
    assert world.presence.is_online(board.device_id)
    assert await board.publish("temperature", b"21.5") is not None
    (event,) = world.logged("temperature")
    assert event.origin == board.device_id
    (row,) = world.sessions()
    assert len(row["connection_id"]) == 8, "the session's name, for the server alone"  # type: ignore[arg-type]


async def test_old_and_new_firmware_live_side_by_side(world: World) -> None:
    old, new = old_board(world, 1), Board(world, 2)
    for board in (old, new):
        world.register(board.device_id, ADA)
        await board.connect()
        await board.subscribe("fleet/")
    await new.publish("fleet/news", b"1")
    await old.publish("fleet/news", b"2")
    for board in (old, new):
        assert [m.payload for m in board.requests_for(b"E") if m.payload != b"false"] == [
            b"1",
            b"2",
        ]


async def test_gen_2_is_told_hello_back_after_its_acknowledgement(world: World) -> None:
    board = await old_board(world, platform_id=ELECTRON).connect()
    hello_at = next(i for i, m in enumerate(board.messages) if m.options == (HELLO,))
    assert board.messages[hello_at].type == coap.NON
    assert [m.type for m in board.messages[:hello_at]] == [coap.ACK]


async def test_a_handshake_of_one_record_in_each_datagram_goes_well(world: World) -> None:
    # Older TLS libraries do not put several records into one datagram.
    board = old_board(world)
    board.splits_records = True
    await board.shake_hands()
    board.splits_records = False
    assert await board.say_hello() is not None


async def test_a_lost_finished_is_sent_again(world: World) -> None:
    board = old_board(world)
    handshake = ClientHandshake(
        device_key=board.key,
        server_public_key=SERVER_KEY.public_key(),
        entropy=os.urandom(64),
        offer_connection_id=False,
        device_id=bytes.fromhex(board.device_id),
    )
    world.peers.pop(board.address)
    board.send(handshake.start())
    await world.settle()
    for _ in range(2):
        (flight,) = handshake.feed(world.sent[-1][0])
        board.send(flight)
        await world.settle()
    lost = world.sent[-1][0]
    (again,) = handshake.retransmit()
    board.send(again)
    await world.settle()
    assert world.sent[-1][0] != lost
    handshake.feed(world.sent[-1][0])
    assert handshake.established is not None
    assert len(world.sessions()) == 1


async def test_a_wrong_key_is_refused_and_noted(world: World) -> None:
    await old_board(world, 1).connect()
    impostor = old_board(world, 1)
    impostor.move(40_999)
    impostor.key = old_board(world, 77).key
    await impostor.shake_hands()
    assert await impostor.say_hello() is None
    assert impostor.was_closed
    await world.advance(2)
    (noted,) = refusals.list_recent(world.db)
    assert (noted.reason, noted.transport) == (keys.WRONG_KEY, refusals.UDP)


# -- going on ----------------------------------------------------------------------------------


async def test_a_session_goes_on_from_another_address_by_the_id_behind_its_records(
    world: World,
) -> None:
    board = await old_board(world).connect()
    before = metric("cyan_handshakes_total", kind="resumed")
    board.resume(41_000)
    datagram = board.transmit(encode_publish(board.take_id(), Publish("one")))
    assert datagram[0] == MOVED
    board.transmit(encode_publish(board.take_id(), Publish("two")))
    await world.settle()
    assert len(world.logged("one")) == len(world.logged("two")) == 1
    assert metric("cyan_handshakes_total", kind="resumed") == before + 1


async def test_after_that_its_records_are_found_at_the_new_address(world: World) -> None:
    board = await old_board(world).connect()
    board.resume(41_000)
    assert await board.ping() is not None
    assert board.records is not None
    assert not board.records.moving
    assert await board.publish() is not None
    await world.advance(2)
    (row,) = world.sessions()
    assert read_address(row["address"]) == ("192.0.2.7", 41_000)  # type: ignore[arg-type]
    assert world.statuses() == ["online"]
    assert world.gateway._by_address.keys() == {make_port(41_000)}


async def test_a_device_that_was_reset_is_told_its_update_status_again(world: World) -> None:
    board = await old_board(world).connect()
    board.resume(41_000)
    await board.ping()
    assert board.event_names() == [PENDING, PENDING]


async def test_a_session_goes_on_at_the_same_address_too(world: World) -> None:
    board = await old_board(world).connect()
    assert board.records is not None
    for _ in range(3):
        board.records.moving = True
        assert await board.publish() is not None
    assert world.gateway._by_address.keys() == {board.address}


async def test_an_ordinary_record_from_an_unknown_address_belongs_to_nobody(world: World) -> None:
    board = await old_board(world).connect()
    before = dropped("unknown_session")
    old_address = board.address
    board.move(41_000)
    assert await board.ping() is None
    assert dropped("unknown_session") == before + 1
    board.move(40_001)
    assert board.address == old_address
    assert await board.ping() is not None


async def test_calls_go_to_where_the_device_is_now(world: World) -> None:
    board = await old_board(world).connect()
    board.resume(41_000)
    await board.ping()
    await world.links.ping(board.device_id)
    assert world.sent[-1][1] == make_port(41_000)


async def test_a_sleeper_wakes_up_elsewhere_and_is_online(world: World) -> None:
    board = await old_board(world, platform_id=BORON).connect()
    await board.say(lambda id_: encode_goodbye(id_, Goodbye(disconnect_reason=6)))
    await world.advance(600)
    board.resume(41_000)
    assert await board.ping() is not None
    assert world.statuses() == ["online", "offline", "online"]


async def test_a_session_before_its_hello_cannot_move(world: World) -> None:
    # Its device is not known yet; real firmware stores no session before its Hello.
    board = old_board(world)
    await board.shake_hands()
    board.resume(41_000)
    assert await board.say_hello() is None
    board.move(40_001)
    assert board.records is not None
    board.records.moving = False
    assert await board.say_hello() is not None


# -- a server that ends ------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [True, False], ids=["killed", "stopped"])
async def test_a_restart_is_not_noticed(world: World, crash: bool) -> None:
    board = await old_board(world).connect()
    full = metric("cyan_handshakes_total", kind="full")
    await world.advance(2)
    await world.restart(outage_s=3, crash=crash)
    assert world.presence.is_online(board.device_id)
    assert await board.publish() is not None
    assert metric("cyan_handshakes_total", kind="full") == full
    assert world.statuses() == ["online"]
    assert board.alerts == []


async def test_a_device_that_moves_while_the_server_is_away_goes_on(world: World) -> None:
    board = await old_board(world).connect()
    await world.advance(2)
    await world.crash()
    board.resume(41_000)
    lost = encode_publish(board.take_id(), Publish("n"))
    board.transmit(lost)
    await world.start()
    board.transmit(lost)
    await world.settle()
    assert len(world.logged("n")) == 1
    assert board.answer_to(board.next_id - 1) is not None


async def test_a_device_that_moved_just_before_a_crash_is_found_where_it_went(
    world: World,
) -> None:
    board = await old_board(world).connect()
    await world.advance(2)
    board.resume(41_000)
    assert await board.ping() is not None
    await world.advance(1.5)
    await world.restart()
    assert await board.publish() is not None, "an ordinary record, from the new address"


async def test_a_restart_right_after_the_answer_to_a_move_costs_nothing(world: World) -> None:
    board = await old_board(world).connect()
    await world.advance(2)
    board.resume(41_000)
    assert await board.ping() is not None
    await world.restart()
    assert board.records is not None
    assert not board.records.moving
    assert await board.publish() is not None
    assert board.alerts == []
    assert len(world.sessions()) == 1


# -- alerts and several records ----------------------------------------------------------------


async def test_a_device_that_closes_its_session_is_forgotten(world: World) -> None:
    board = await old_board(world).connect()
    assert board.records is not None
    board.send(board.records.seal(ALERT, CLOSE_NOTIFY))
    await world.settle()
    assert world.sessions() == []
    assert world.statuses() == ["online", "offline"]
    await world.advance(125)
    assert world.gateway._by_address == {}


async def test_an_alert_that_anyone_can_make_changes_nothing(world: World) -> None:
    board = await old_board(world).connect()
    world.arrive(b"\x15\xfe\xfd\0\0" + bytes(6) + b"\0\2\2\x0a", board.address)
    await world.settle()
    assert await board.ping() is not None
    assert world.statuses() == ["online"]


async def test_a_device_is_told_of_the_end_until_it_has_heard_it(world: World) -> None:
    board = await old_board(world).connect()
    world.socket.is_broken = True
    world.gateway.disconnect(board.device_id, "test")
    await world.settle()
    world.socket.is_broken = False
    assert not board.was_closed
    assert await board.ping() is None
    assert board.was_closed


async def test_several_records_in_one_datagram_are_all_taken(world: World) -> None:
    board = await old_board(world).connect()
    assert board.records is not None
    ids = [board.take_id() for _ in range(3)]
    datagram = b"".join(
        board.records.seal_data(encode_publish(id_, Publish("n", b"%d" % id_))) for id_ in ids
    )
    board.send(datagram)
    await world.settle()
    assert [event.data for event in world.logged("n")] == [b"%d" % id_ for id_ in ids]
    assert all(board.answer_to(id_) is not None for id_ in ids)


async def test_a_hello_that_comes_after_the_ending_is_not_taken(world: World) -> None:
    board = await old_board(world).connect()
    world.gateway.disconnect(board.device_id, "test")
    await world.settle()
    assert await board.say(lambda id_: encode_hello(id_, board.hello_message())) is None
    assert not world.presence.is_online(board.device_id)
    await board.connect()
    assert world.presence.is_online(board.device_id)


HELLO = (coap.URI_PATH, b"h")
