"""From the first datagram to a device that is online."""

import pytest

from cyan.audit.store import list_entries
from cyan.devices import keys
from cyan.devices.description import described
from cyan.devices.registry import find_device
from cyan.wire import coap
from cyan.wire.messages import Publish, encode_hello, encode_publish, encode_time_request
from tests.gateway.board import FUNCTIONS, Board
from tests.gateway.world import ADA, World, metric


async def test_a_device_connects_says_hello_and_is_online(world: World) -> None:
    before = metric("cyan_handshakes_total", kind="full")
    board = Board(world)
    await board.shake_hands()
    assert metric("cyan_handshakes_total", kind="full") == before + 1
    assert not world.presence.is_online(board.device_id)
    hello_id = board.next_id
    assert await board.say_hello() == coap.Message(coap.ACK, coap.EMPTY, hello_id)
    assert world.presence.is_online(board.device_id)
    assert world.statuses() == ["online"]
    stored = find_device(world.db, board.device_id)
    assert stored is not None
    assert (stored.platform_id, stored.system_version) == (board.platform_id, 6200)
    assert world.presence.last_ip(board.device_id) == "192.0.2.7"


async def test_what_a_device_offers_is_kept_and_its_update_status_told(world: World) -> None:
    board = await Board(world).connect()
    assert described(world.db, board.device_id).functions == FUNCTIONS
    (pending,) = board.requests()
    assert board.event_names() == ["particle/device/updates/pending"]
    assert pending.payload == b"false"


async def test_ping_and_time_are_answered_inside_the_acknowledgement(world: World) -> None:
    board = await Board(world).connect()
    assert await board.ping() == coap.Message(coap.ACK, coap.EMPTY, board.next_id - 1)
    answer = await board.say(lambda id_: encode_time_request(id_, b"\x21"))
    unix_s = world.clock.now_ms() // 1000
    assert answer == coap.Message(
        coap.ACK, coap.CONTENT, board.next_id - 1, b"\x21", (), unix_s.to_bytes(4, "big")
    )


async def test_the_first_key_of_an_unknown_device_is_pinned_where_enrolment_is_open(
    world: World,
) -> None:
    board = await Board(world).connect()
    assert keys.find_by_key(world.db, board.public_key) == board.device_id
    actions = [
        entry.action for entry in list_entries(world.db, subject=f"device:{board.device_id}")
    ]
    assert set(actions) == {"device.registered", "device.key_pinned"}


async def test_a_wrong_key_is_refused_by_close_notify_counted_and_explained(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await Board(world).connect()
    impostor = Board(world)
    impostor.port = 40_999
    world.peers[impostor.address] = impostor
    impostor.key = Board(world, 77).key
    before = metric("cyan_devices_refused_total", reason="wrong_key")
    await impostor.shake_hands()
    assert await impostor.say_hello() is None
    assert impostor.was_closed
    assert metric("cyan_devices_refused_total", reason="wrong_key") == before + 1
    told = capsys.readouterr().out
    assert f"claimed_device_id={impostor.device_id}" in told
    assert f"fingerprint={keys.fingerprint(impostor.public_key)}" in told
    assert "reason=wrong_key" in told


async def test_a_wrong_key_does_not_disturb_the_device_itself(world: World) -> None:
    board = await Board(world).connect()
    impostor = Board(world)
    impostor.port = 40_999
    world.peers[impostor.address] = impostor
    world.peers[board.address] = board
    impostor.key = Board(world, 77).key
    await impostor.shake_hands()
    await impostor.say_hello()
    assert await board.publish() is not None
    assert world.presence.is_online(board.device_id)
    assert world.statuses() == ["online"]


async def test_a_key_that_belongs_to_another_device_is_refused(world: World) -> None:
    await Board(world, 1).connect()
    other = Board(world, 2)
    other.key = Board(world, 1).key
    world.peers[other.address] = other
    before = metric("cyan_devices_refused_total", reason="key_of_another_device")
    await other.shake_hands()
    assert await other.say_hello() is None
    assert other.was_closed
    assert metric("cyan_devices_refused_total", reason="key_of_another_device") == before + 1


async def test_a_second_hello_with_another_id_ends_the_session(world: World) -> None:
    board = await Board(world).connect()
    stranger = Board(world, 2).hello_message()
    assert await board.say(lambda id_: encode_hello(id_, stranger)) is None
    assert board.was_closed
    assert not world.presence.is_online(board.device_id)


async def test_nothing_is_believed_before_hello(world: World) -> None:
    board = Board(world)
    await board.shake_hands()
    assert await board.publish("early") is None
    assert world.logged("early") == []
    assert await board.ping() is not None
    assert not world.presence.is_online(board.device_id)


async def test_a_hello_that_cannot_be_read_ends_the_session(world: World) -> None:
    # Any acknowledgement, an error too, would tell the device that it is connected.
    board = Board(world)
    await board.shake_hands()
    short = coap.Message(coap.CON, coap.POST, 1, b"", ((coap.URI_PATH, b"h"),), b"\0\1\2")
    assert await board.say(lambda id_: coap.encode(short)) is None
    assert board.was_closed


async def test_bytes_that_are_no_coap_in_place_of_hello_end_the_session(world: World) -> None:
    board = Board(world)
    await board.shake_hands()
    board.transmit(b"\x40\x02\x00\x01\xf0")
    await world.settle()
    assert board.was_closed
    assert board.messages == []


async def test_hello_is_not_acknowledged_before_it_is_on_disk(world: World) -> None:
    board = Board(world)
    world.register(board.device_id)
    await board.shake_hands()
    await board.say_hello()
    await board.shake_hands()
    message_id = board.take_id()
    with world.slow_disk():
        board.transmit(encode_hello(message_id, board.hello_message()))
        await world.linger()
        board.transmit(encode_hello(message_id, board.hello_message()))
        await world.linger()
        assert board.answer_to(message_id) is None
    await world.settle()
    assert board.answer_to(message_id) is not None
    assert len([m for m in board.messages if m.message_id == message_id]) == 1


async def test_a_hello_whose_commit_failed_is_taken_when_it_comes_again(world: World) -> None:
    board = Board(world)
    await board.shake_hands()
    message_id = board.take_id()
    hello = encode_hello(message_id, board.hello_message())
    with world.broken_table("devices_device"):
        board.transmit(hello)
        await world.settle()
        assert board.answer_to(message_id) is None
    board.transmit(hello)
    await world.settle()
    assert board.answer_to(message_id) == coap.Message(coap.ACK, coap.EMPTY, message_id)
    assert world.presence.is_online(board.device_id)


async def test_a_hello_whose_session_could_not_be_saved_is_taken_when_it_comes_again(
    world: World,
) -> None:
    board = await Board(world).connect()
    await board.shake_hands()
    message_id = board.take_id()
    hello = encode_hello(message_id, board.hello_message())
    with world.broken_table("gateway_session"):
        board.transmit(hello)
        await world.settle()
        assert board.answer_to(message_id) is None
    board.transmit(hello)
    await world.settle()
    assert board.answer_to(message_id) is not None
    assert world.statuses() == ["online", "offline", "online"]


async def test_a_session_that_cannot_be_stored_is_not_begun(world: World) -> None:
    board = Board(world)
    with world.broken_table("gateway_session"), pytest.raises(AssertionError, match="no session"):
        await board.shake_hands()
    assert len(board.datagrams) == 2, "HelloVerifyRequest and our flight, but no Finished"
    await board.connect()
    assert world.presence.is_online(board.device_id)


async def test_the_newest_handshake_wins(world: World) -> None:
    board = await Board(world).connect()
    old = board.records
    assert old is not None
    await board.subscribe("fleet/")
    await world.advance(1)
    await board.connect()
    assert world.statuses() == ["online", "offline", "online"]
    assert [row["connection_id"] for row in world.sessions()] == [board.connection_id]
    before = len(board.datagrams)
    board.send(old.seal_data(encode_publish(90, Publish("from the old session"))))
    await world.settle()
    assert len(board.datagrams) == before
    assert world.logged("from the old session") == []


async def test_a_hello_that_was_held_up_does_not_replace_a_newer_session(world: World) -> None:
    board = Board(world)
    await board.shake_hands()
    held_up = board.records
    assert held_up is not None
    late = held_up.seal_data(encode_hello(1, board.hello_message()))
    await world.advance(70)
    await board.connect()
    board.send(late)
    await world.settle()
    assert await board.publish("on the newer session") is not None
    assert world.presence.is_online(board.device_id)
    assert [row["connection_id"] for row in world.sessions()] == [board.connection_id]


async def test_subscriptions_do_not_outlive_their_session(world: World) -> None:
    board = Board(world)
    world.register(board.device_id, ADA)
    await board.connect()
    await board.subscribe("fleet/")
    assert await board.say_hello() is not None, "a resumed session with changed firmware"
    await board.publish("fleet/news")
    assert "fleet/news" not in board.event_names()


async def test_a_session_without_hello_is_forgotten(world: World) -> None:
    board = Board(world)
    await board.shake_hands()
    assert len(world.sessions()) == 1
    await world.advance(121)
    assert world.sessions() == []
    assert board.was_closed
    await world.advance(121)
    assert world.gateway._links == {}


async def test_a_session_whose_hello_was_never_saved_is_forgotten(world: World) -> None:
    board = Board(world)
    await board.shake_hands()
    with world.broken_table("gateway_session"):
        await board.say_hello()
    await world.advance(125)
    assert world.sessions() == []
    assert not world.presence.is_online(board.device_id)
