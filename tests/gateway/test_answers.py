"""Every confirmable message is answered, whatever it is: an unanswered one costs the session."""

import pytest

from cyan.core.ids import DeviceId
from cyan.gateway.session import MAX_SUBSCRIPTIONS
from cyan.wire import coap
from cyan.wire.blockwise import Block
from cyan.wire.dtls.record import ALERT
from cyan.wire.messages import (
    APPLICATION,
    DescribePost,
    Goodbye,
    Subscribe,
    encode_describe_post,
    encode_goodbye,
    encode_subscribe,
)
from tests.gateway.board import Board
from tests.gateway.world import World


def path(*segments: bytes) -> tuple[tuple[int, bytes], ...]:
    return tuple((coap.URI_PATH, segment) for segment in segments)


@pytest.mark.parametrize(
    ("code", "options"),
    [
        (coap.POST, path(b"Q")),
        (coap.GET, path(b"nothing")),
        (coap.PUT, path(b"E", b"x")),
        (coap.DELETE, ()),
        (coap.GET, ()),
        (0x1F, path(b"E")),
        (0x20, ()),
    ],
)
async def test_an_unknown_request_gets_a_coded_answer_with_its_token(
    world: World, code: int, options: tuple[tuple[int, bytes], ...]
) -> None:
    board = await Board(world).connect()
    message = lambda id_: coap.encode(coap.Message(coap.CON, code, id_, b"\x55", options))  # noqa: E731
    answer = await board.say(message)
    assert answer is not None
    assert (answer.code, answer.token) == (coap.NOT_FOUND, b"\x55")
    assert not board.was_closed


@pytest.mark.parametrize(
    "tail",
    [b"\x40\x02%s\xf0", b"\x49\x02%s", b"\x40\x00%s\x01", b"\x41\x00%s\x01"],
    ids=["option", "token length", "ping with a tail", "ping with a token"],
)
async def test_a_confirmable_message_that_is_no_coap_gets_4_00(world: World, tail: bytes) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()
    board.transmit(tail % message_id.to_bytes(2, "big"))
    await world.settle()
    answer = board.answer_to(message_id)
    assert answer is not None
    assert answer.code in (coap.BAD_REQUEST, coap.EMPTY)


@pytest.mark.parametrize("content", [b"", b"\x40", b"\x40\x02\x01", b"\x80\x02\0\1", b"\xff" * 40])
async def test_bytes_that_are_no_confirmable_message_are_dropped(
    world: World, content: bytes
) -> None:
    board = await Board(world).connect()
    before = len(board.datagrams)
    board.transmit(content)
    await world.settle()
    assert len(board.datagrams) == before
    assert await board.ping() is not None


async def test_an_unknown_message_without_confirmation_is_not_answered(world: World) -> None:
    board = await Board(world).connect()
    unknown = coap.Message(coap.NON, coap.POST, 99, b"", path(b"Q"))
    assert await board.say(lambda id_: coap.encode(unknown)) is None


async def test_a_reset_of_an_unknown_message_changes_nothing(world: World) -> None:
    board = await Board(world).connect()
    board.transmit(coap.encode_reset(12_345))
    board.transmit(coap.encode_empty_ack(12_345))
    assert await board.ping() is not None
    assert world.presence.is_online(board.device_id)


async def test_the_server_never_sends_a_reset(world: World) -> None:
    # It would cost the device its session (device-protocol.md §2.2).
    board = await Board(world).connect()
    late = coap.Message(coap.CON, coap.CONTENT, board.take_id(), b"\x77", (), b"late")
    board.transmit(coap.encode(late))
    board.transmit(coap.encode(late))
    board.transmit(coap.encode(coap.Message(coap.NON, coap.CONTENT, board.take_id(), b"\x77")))
    await world.settle()
    assert [m.type for m in board.messages if m.message_id == late.message_id] == [coap.ACK] * 2
    assert all(m.type != coap.RST for m in board.messages)


async def test_a_subscription_is_not_acknowledged_before_it_is_on_disk(world: World) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()
    with world.slow_disk():
        board.transmit(encode_subscribe(message_id, Subscribe("fleet/")))
        await world.linger()
        assert board.answer_to(message_id) is None
    await world.settle()
    assert board.answer_to(message_id) is not None


async def test_a_describe_is_not_acknowledged_before_it_is_on_disk(world: World) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()
    post = DescribePost(APPLICATION, b'{"f":["brew"],"v":{}}')
    with world.slow_disk():
        board.transmit(encode_describe_post(message_id, b"\1", post))
        await world.linger()
        assert board.answer_to(message_id) is None
    await world.settle()
    answer = board.answer_to(message_id)
    assert answer is not None
    assert (answer.code, answer.token) == (coap.CHANGED, b"\1")


async def test_a_subscription_whose_commit_failed_is_taken_when_it_comes_again(
    world: World,
) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()
    subscribe = encode_subscribe(message_id, Subscribe("fleet/"))
    with world.broken_table("gateway_session"):
        board.transmit(subscribe)
        await world.settle()
        assert board.answer_to(message_id) is None
    board.transmit(subscribe)
    await world.settle()
    assert board.answer_to(message_id) is not None


async def test_the_same_subscription_may_come_again_and_too_many_are_refused(world: World) -> None:
    board = await Board(world).connect()
    for number in range(MAX_SUBSCRIPTIONS):
        answer = await board.subscribe(f"fleet/{number}")
        assert answer is not None
        assert answer.code == coap.EMPTY
    again = await board.subscribe("fleet/0")
    assert again is not None
    assert again.code == coap.EMPTY
    one_more = await board.subscribe("fleet/one-more")
    assert one_more is not None
    assert one_more.code == coap.FORBIDDEN


async def test_a_describe_in_blocks_is_kept_with_its_last_block(world: World) -> None:
    board = await Board(world).connect()
    names = [f"function_{number:03d}_of_this_device" for number in range(60)]
    payload = ('{"f":["' + '","'.join(names) + '"],"v":{}}').encode()
    for number in range(2):
        block = Block(number, number == 0, 6)
        part = payload[number * 1024 : (number + 1) * 1024]
        post = DescribePost(APPLICATION, part, 0, block)
        token = board.take_token()
        answer = await board.say(lambda id_, p=post, t=token: encode_describe_post(id_, t, p))  # type: ignore[misc]
        assert answer is not None
        assert answer.token == token
    assert len(payload) > 1024
    row = world.db.driver.execute("SELECT functions FROM devices_device").fetchone()
    assert names[-1] in row[0]


async def test_a_describe_with_a_missing_block_makes_the_device_start_anew(world: World) -> None:
    board = await Board(world).connect()
    post = DescribePost(APPLICATION, b"x" * 1024, 0, Block(2, True, 6))
    assert await board.say(lambda id_: encode_describe_post(id_, b"\1", post)) is None
    assert board.was_closed


async def test_a_describe_that_cannot_be_read_does_not_make_the_device_circle(
    world: World,
) -> None:
    # It would be the same after the next handshake, and the next.
    board = await Board(world).connect()
    post = DescribePost(APPLICATION, b"{nonsense")
    answer = await board.say(lambda id_: encode_describe_post(id_, b"\1", post))
    assert answer is not None
    assert answer.code == coap.BAD_REQUEST
    assert not board.was_closed
    assert world.presence.is_online(board.device_id)


async def test_a_describe_without_flags_ends_the_session(world: World) -> None:
    board = await Board(world).connect()
    message = lambda id_: coap.encode(  # noqa: E731
        coap.Message(coap.CON, coap.POST, id_, b"\1", path(b"d"), b"{}")
    )
    assert await board.say(message) is None
    assert board.was_closed


async def test_a_goodbye_is_acknowledged_and_the_device_offline_at_once(world: World) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()
    goodbye = encode_goodbye(message_id, Goodbye(disconnect_reason=6, sleep_s=60))
    board.transmit(goodbye)
    await world.settle()
    assert board.answer_to(message_id) is not None
    assert not world.presence.is_online(board.device_id)
    board.transmit(goodbye)
    await world.settle()
    assert not world.presence.is_online(board.device_id), "a copy of it is no sign of life"
    assert world.statuses() == ["online", "offline"]
    assert len(world.sessions()) == 1


async def test_a_device_that_closes_its_session_is_forgotten(world: World) -> None:
    board = await Board(world).connect()
    assert board.records is not None
    board.send(board.records.seal(ALERT, b"\1\0"))
    await world.settle()
    assert world.sessions() == []
    assert world.statuses() == ["online", "offline"]
    assert board.alerts == []


async def test_a_device_that_missed_the_close_notify_is_told_again(world: World) -> None:
    board = await Board(world).connect()
    world.socket.is_broken = True
    world.gateway.disconnect(DeviceId(board.device_id), "test")
    await world.settle()
    world.socket.is_broken = False
    assert not board.was_closed
    assert await board.ping() is None
    assert board.was_closed
