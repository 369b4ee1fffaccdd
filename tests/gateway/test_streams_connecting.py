"""Devices over TCP: from the first byte to a device that is online, and who is refused."""

import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from cyan.core.db.engine import Database
from cyan.devices import keys, refusals
from cyan.devices.registry import find_device
from cyan.gateway.admission import NO_KEY
from cyan.wire import coap
from cyan.wire.lightssl.frames import Channel
from cyan.wire.lightssl.handshake import (
    NONCE_BYTES,
    RESPONSE_BYTES,
    SESSION_BYTES,
    make_response,
)
from cyan.wire.messages import encode_hello, encode_time_request
from tests.clock import HandClock
from tests.gateway.board import Board
from tests.gateway.stream_board import PHOTON, StreamBoard, make_key
from tests.gateway.world import STREAM_KEY, World, make_world, metric


async def refusal_of(world: World, board: StreamBoard) -> refusals.Refusal | None:
    """What was written down of its attempts."""
    await world.advance(2)
    found = refusals.list_recent(world.db)
    return next((each for each in found if each.device_id == board.device_id), None)


async def test_the_server_speaks_first_a_nonce_for_each_connection(world: World) -> None:
    boards = [StreamBoard(world, index) for index in (1, 2, 3)]
    for board in boards:
        await board.open()
    await world.settle()
    assert [len(board.received) for board in boards] == [NONCE_BYTES] * 3
    assert len({board.received for board in boards}) == 3


async def test_a_device_connects_says_hello_and_is_online(world: World) -> None:
    before = metric("cyan_handshakes_total", kind="tcp")
    board = StreamBoard(world)
    await board.shake_hands()
    assert len(board.received) == NONCE_BYTES + RESPONSE_BYTES, "nothing before its Hello"
    assert metric("cyan_handshakes_total", kind="tcp") == before + 1
    assert not world.presence.is_online(board.device_id)
    answer = await board.say_hello()
    assert answer is not None
    assert (answer.type, answer.code, answer.payload) == (coap.NON, coap.POST, b"")
    assert world.presence.is_online(board.device_id)
    assert world.statuses() == ["online"]
    stored = find_device(world.db, board.device_id)
    assert stored is not None
    assert stored.platform_id == PHOTON
    assert world.presence.last_ip(board.device_id) == "127.0.0.1"
    assert world.sessions() == [], "a connection is not stored"


async def test_a_confirmable_hello_is_acknowledged_and_answered_by_ours(world: World) -> None:
    board = StreamBoard(world)
    await board.shake_hands()
    hello_id = board.next_id
    acknowledgement = await board.say(lambda id_: encode_hello(id_, board.hello_message()))
    assert acknowledgement == coap.Message(coap.ACK, coap.EMPTY, hello_id)
    assert len(board.requests_for(b"h")) == 1


async def test_the_servers_hello_waits_for_the_disk(world: World) -> None:
    board = StreamBoard(world)
    world.register(board.device_id)
    await board.connect()
    await board.hang_up()
    await board.shake_hands()
    hello = encode_hello(board.take_id(), board.hello_message(), confirmable=False)
    before = len(board.messages)
    with world.slow_disk():
        board.transmit(hello)
        await world.linger()
        assert len(board.messages) == before
    await world.settle()
    assert board.messages[before].options == ((coap.URI_PATH, b"h"),)


async def test_the_first_key_of_an_unknown_device_is_pinned_by_its_hello_and_not_before(
    world: World,
) -> None:
    board = StreamBoard(world)
    await board.shake_hands()
    assert keys.find_by_key(world.db, board.public_key) is None, "a claim proves nothing"
    await board.say_hello()
    assert keys.find_by_key(world.db, board.public_key) == board.device_id


async def test_a_handshake_in_single_bytes_and_frames_in_pieces_go_well(world: World) -> None:
    board = StreamBoard(world)
    board.holds_back = True
    assert not await board.try_to_shake_hands()
    for byte in board.sent.pop():
        board.write(bytes((byte,)))
        await world.spin()
    await world.settle()
    assert board.channel is not None
    board.transmit(encode_hello(board.take_id(), board.hello_message(), confirmable=False))
    for byte in board.sent.pop():
        board.write(bytes((byte,)))
    await world.settle()
    assert world.presence.is_online(board.device_id)


async def test_nothing_is_believed_before_hello(world: World) -> None:
    board = StreamBoard(world)
    await board.shake_hands()
    await board.tell("early")
    assert await board.say(lambda id_: encode_time_request(id_, b"\1")) is None
    assert world.logged("early") == []
    assert await board.say_hello() is not None
    await board.tell("later")
    assert len(world.logged("later")) == 1


async def test_a_peer_without_the_devices_private_key_gets_nowhere(world: World) -> None:
    board = await StreamBoard(world).connect()
    thief = StreamBoard(world)
    await thief.open()
    await world.settle()
    claim = bytes.fromhex(board.device_id) + board.public_key
    thief.send(STREAM_KEY.public_key().encrypt(thief.received + claim, PKCS1v15()))
    await world.settle()
    # Everybody may see an answer that only the device can open.
    assert len(thief.received) == NONCE_BYTES + RESPONSE_BYTES
    guessed = Channel(bytes(SESSION_BYTES))
    thief.send(guessed.seal(encode_hello(1, board.hello_message(), confirmable=False)))
    await world.settle()
    assert not thief.is_open
    assert board.is_open
    assert await board.publish() is not None
    assert world.statuses() == ["online"]


async def test_a_wrong_key_is_refused_before_it_is_answered(world: World) -> None:
    await StreamBoard(world).connect()
    impostor = StreamBoard(world)
    impostor.key = make_key(77)
    before = metric("cyan_devices_refused_total", reason=keys.WRONG_KEY)
    assert not await impostor.try_to_shake_hands()
    assert not impostor.is_open
    assert len(impostor.received) == NONCE_BYTES
    assert metric("cyan_devices_refused_total", reason=keys.WRONG_KEY) == before + 1
    noted = await refusal_of(world, impostor)
    assert noted is not None
    assert (noted.reason, noted.transport, noted.address) == (
        keys.WRONG_KEY,
        refusals.TCP,
        "127.0.0.1",
    )
    assert noted.fingerprint == keys.fingerprint(impostor.public_key)
    assert world.clock.now_ms() - 2000 <= noted.last_at_ms <= world.clock.now_ms()


async def test_a_wrong_key_does_not_disturb_the_device_itself(world: World) -> None:
    board = await StreamBoard(world).connect()
    impostor = StreamBoard(world)
    impostor.key = make_key(77)
    await impostor.try_to_shake_hands()
    assert board.is_open
    assert await board.publish() is not None
    assert world.statuses() == ["online"]


async def test_a_key_of_another_device_is_refused(world: World) -> None:
    await StreamBoard(world, 1).connect()
    other = StreamBoard(world, 2)
    other.key = make_key(1)
    assert not await other.try_to_shake_hands()
    noted = await refusal_of(world, other)
    assert noted is not None
    assert noted.reason == keys.KEY_OF_ANOTHER_DEVICE


async def test_a_device_that_has_a_key_for_udp_is_not_taken_with_another_over_tcp(
    world: World,
) -> None:
    connected = await Board(world).connect()
    board = StreamBoard(world)
    board.device_id = connected.device_id
    assert not await board.try_to_shake_hands()
    noted = await refusal_of(world, board)
    assert noted is not None
    assert noted.reason == keys.WRONG_KEY
    assert await connected.ping() is not None


async def test_an_unknown_id_is_refused_where_enrolment_is_closed(
    db: Database, clock: HandClock, tmp_path: Path
) -> None:
    world = make_world(db, clock, tmp_path, enrolment="registered")
    await world.start()
    stranger, known = StreamBoard(world, 1), StreamBoard(world, 2)
    world.register(known.device_id)
    assert not await stranger.try_to_shake_hands()
    noted = await refusal_of(world, stranger)
    assert noted is not None
    assert noted.reason == keys.UNKNOWN_DEVICE
    assert find_device(world.db, stranger.device_id) is None
    await known.connect()
    assert world.presence.is_online(known.device_id)
    await world.end()


async def test_the_oldest_firmware_sends_no_key_and_is_known_by_its_stored_one(
    world: World,
) -> None:
    board = await StreamBoard(world).connect()
    await board.hang_up()
    board.sends_public_key = False
    await board.connect()
    assert world.presence.is_online(board.device_id)
    assert await board.publish() is not None


async def test_without_a_key_an_unknown_device_is_refused_and_told_apart(world: World) -> None:
    board = StreamBoard(world)
    board.sends_public_key = False
    assert not await board.try_to_shake_hands()
    noted = await refusal_of(world, board)
    assert noted is not None
    assert (noted.reason, noted.fingerprint) == (NO_KEY, None)
    assert find_device(world.db, board.device_id) is None


async def test_without_a_key_a_device_of_the_other_transport_is_refused(world: World) -> None:
    connected = await Board(world).connect()
    board = StreamBoard(world, sends_public_key=False)
    board.device_id = connected.device_id
    assert not await board.try_to_shake_hands()
    noted = await refusal_of(world, board)
    assert noted is not None
    assert noted.reason == NO_KEY


async def test_a_request_for_another_server_is_refused_without_a_word(world: World) -> None:
    board = StreamBoard(world)
    board.server_public_key = rsa.generate_private_key(65537, 2048).public_key()
    before = metric("cyan_handshakes_ended_total", how="failed")
    assert not await board.try_to_shake_hands()
    assert not board.is_open
    assert len(board.received) == NONCE_BYTES
    assert metric("cyan_handshakes_ended_total", how="failed") == before + 1
    assert refusals.list_recent(world.db) == [], "nobody has named himself"


async def test_a_request_that_was_overheard_is_worth_nothing(world: World) -> None:
    board = StreamBoard(world)
    await board.shake_hands()
    listener = StreamBoard(world, 2)
    await listener.open()
    await world.settle()
    listener.write(board.sent[0])
    await world.settle()
    assert not listener.is_open
    assert len(listener.received) == NONCE_BYTES


async def test_a_hello_whose_commit_failed_ends_nothing_and_is_taken_when_said_again(
    world: World,
) -> None:
    board = StreamBoard(world)
    world.register(board.device_id)
    await board.connect()
    await board.hang_up()
    await board.shake_hands()
    with world.broken_table("devices_presence"):
        assert await board.say_hello() is None
    assert board.is_open
    assert await board.say_hello() is not None
    assert world.presence.is_online(board.device_id)


async def test_a_database_that_fails_during_a_handshake_costs_that_connection_alone(
    world: World,
) -> None:
    board, later = StreamBoard(world, 1), StreamBoard(world, 2)
    with world.broken_table("devices_device"):
        assert not await board.try_to_shake_hands()
    assert not board.is_open
    await later.connect()
    await board.connect()
    assert world.presence.is_online(later.device_id)
    assert world.presence.is_online(board.device_id)


async def test_many_devices_connect_at_once(world: World) -> None:
    boards = [StreamBoard(world, index, host=f"127.0.0.{1 + index % 3}") for index in range(40)]
    for board in boards:
        await board.open()
        board.begin_handshake()
    await world.settle()
    for board in boards:
        board.transmit(encode_hello(board.take_id(), board.hello_message(), confirmable=False))
    await world.settle()
    assert all(world.presence.is_online(board.device_id) for board in boards)
    assert all(len(board.requests_for(b"h")) == 1 for board in boards)


async def test_no_rsa_runs_on_the_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = list[str]()

    def noted(key: rsa.RSAPrivateKey, device_key: bytes, session: bytes) -> bytes:
        threads.append(threading.current_thread().name)
        return make_response(key, device_key, session)

    monkeypatch.setattr("cyan.gateway.tcp.make_response", noted)
    board = await StreamBoard(world).connect()
    await board.hang_up()
    board.sends_public_key = False
    await board.connect()
    assert len(threads) == 2
    assert all(name.startswith("tcp-handshake") for name in threads)
