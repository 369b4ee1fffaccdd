"""What is said over TCP: nothing comes twice, ids of acknowledgements say nothing (§1.3.3)."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
)
from cyan.gateway.calls import CALL_TIMEOUT_S
from cyan.wire import coap
from cyan.wire.messages import (
    Goodbye,
    Publish,
    Subscribe,
    encode_function_result,
    encode_goodbye,
    encode_publish,
    encode_subscribe,
    encode_time_request,
    encode_variable_value_answer,
)
from tests.gateway.board import Board
from tests.gateway.stream_board import StreamBoard
from tests.gateway.world import ADA, CLEO, World, metric

PENDING = "particle/device/updates/pending"


@pytest.fixture
async def board(world: World) -> StreamBoard:
    made = StreamBoard(world)
    world.register(made.device_id, ADA)
    return await made.connect()


async def started(call: "asyncio.Future[Any]", world: World) -> None:
    """The call has sent what it sends."""
    await world.settle()
    assert not call.done()


async def test_an_event_without_confirmation_is_logged_and_not_answered(
    world: World, board: StreamBoard
) -> None:
    before = len(board.messages)
    await board.tell("temperature", b"21.5")
    (event,) = world.logged("temperature")
    assert (event.data, event.origin, event.owner_id) == (b"21.5", board.device_id, ADA)
    assert len(board.messages) == before


async def test_an_event_with_confirmation_is_acknowledged_after_its_commit(
    world: World, board: StreamBoard
) -> None:
    message_id = board.take_id()
    with world.slow_disk():
        board.transmit(encode_publish(message_id, Publish("temperature")))
        await world.linger()
        assert board.answer_to(message_id) is None
    await world.settle()
    assert board.answer_to(message_id) == coap.Message(coap.ACK, coap.EMPTY, message_id)
    assert len(world.logged("temperature")) == 1


async def test_events_are_logged_in_their_order_when_many_come_in_one_piece(
    world: World, board: StreamBoard
) -> None:
    assert board.channel is not None
    frames = [
        board.channel.seal(
            encode_publish(board.take_id(), Publish("n", str(number).encode(), confirmable=False))
        )
        for number in range(100)
    ]
    board.send(b"".join(frames))
    await world.settle()
    assert [event.data for event in world.logged("n")] == [b"%d" % n for n in range(100)]


async def test_ping_and_time_are_answered_inside_the_acknowledgement(
    world: World, board: StreamBoard
) -> None:
    assert await board.ping() == coap.Message(coap.ACK, coap.EMPTY, board.next_id - 1)
    answer = await board.say(lambda id_: encode_time_request(id_, b"\x21"))
    unix_s = world.clock.now_ms() // 1000
    assert answer == coap.Message(
        coap.ACK, coap.CONTENT, board.next_id - 1, b"\x21", (), unix_s.to_bytes(4, "big")
    )


async def test_what_a_device_offers_is_kept_and_its_update_status_told(
    world: World, board: StreamBoard
) -> None:
    link = world.gateway.online_link(board.device_id)
    assert link is not None
    assert link.session.has_application
    (pending,) = board.requests_for(b"E")
    assert (pending.type, pending.payload) == (coap.NON, b"false")
    assert board.event_names() == [PENDING]


@pytest.mark.parametrize("confirmable", [True, False])
async def test_events_are_delivered_without_confirmation(
    world: World, board: StreamBoard, confirmable: bool
) -> None:
    if confirmable:
        assert await board.subscribe("fleet/") is not None
    else:
        await board.listen("fleet/")
    other = Board(world)
    world.register(other.device_id, ADA)
    await other.connect()
    await other.publish("fleet/news", b"hello")
    await world.events.publish(CLEO, "fleet/news", b"from a stranger")
    await world.settle()
    event = board.requests_for(b"E")[-1]
    assert board.event_names() == [PENDING, "fleet/news"]
    assert (event.type, event.payload, event.token) == (coap.NON, b"hello", b"")
    await world.advance(120)
    assert board.event_names() == [PENDING, "fleet/news"], "nothing is sent again"


async def test_a_device_gets_its_own_event_when_it_subscribed(
    world: World, board: StreamBoard
) -> None:
    await board.listen("fleet/")
    await board.tell("fleet/news")
    assert board.event_names() == [PENDING, "fleet/news"]


async def test_a_subscription_ends_with_its_connection(world: World, board: StreamBoard) -> None:
    await board.listen("fleet/")
    await board.hang_up()
    board.messages.clear()
    await board.connect()
    await world.events.publish(ADA, "fleet/news", b"hello")
    await world.settle()
    assert board.event_names() == [PENDING]


async def test_an_event_larger_than_the_device_takes_is_not_sent_and_counted(
    world: World, board: StreamBoard
) -> None:
    # Its Hello tells no size: 800 bytes then (device-protocol.md §1.4.4).
    before = metric("cyan_events_undelivered_total", reason="too_large")
    assert world.links.send_event(board.device_id, "fleet/news", b"x" * 700)
    assert not world.links.send_event(board.device_id, "fleet/news", b"x" * 790)
    await world.settle()
    assert [len(event.payload) for event in board.requests_for(b"E")[1:]] == [700]
    assert metric("cyan_events_undelivered_total", reason="too_large") == before + 1


async def test_a_function_is_called_and_its_result_comes_by_its_token(
    world: World, board: StreamBoard
) -> None:
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))
    await started(call, world)
    (request,) = board.requests_for(b"f")
    assert (request.type, len(request.token)) == (coap.CON, 1)
    result = encode_function_result(board.take_id(), request.token, -7, confirmable=False)
    board.transmit(result)
    await world.settle()
    assert await call == -7


async def test_results_in_another_order_go_to_their_calls(world: World, board: StreamBoard) -> None:
    calls = [
        asyncio.ensure_future(world.links.call_function(board.device_id, "led", str(number)))
        for number in range(5)
    ]
    await started(calls[0], world)
    for number, request in reversed(list(enumerate(board.requests_for(b"f")))):
        board.transmit(
            encode_function_result(board.take_id(), request.token, number, confirmable=False)
        )
    await world.settle()
    assert await asyncio.gather(*calls) == [0, 1, 2, 3, 4]


async def test_a_variable_is_read_from_a_response_of_its_own_or_an_acknowledgement(
    world: World, board: StreamBoard
) -> None:
    call = asyncio.ensure_future(world.links.read_variable(board.device_id, "answer"))
    await started(call, world)
    token = board.requests_for(b"v")[-1].token
    value = encode_variable_value_answer(board.take_id(), token, b"\0\0\0\x2a", confirmable=False)
    board.transmit(value)
    assert await call == b"\0\0\0\x2a"

    def answer_at_once(message: coap.Message) -> Iterable[bytes]:
        # As 0.7 does.
        if message.type == coap.CON:
            yield coap.encode(
                coap.Message(coap.ACK, coap.CONTENT, message.message_id, message.token, (), b"\1")
            )

    board.respond = answer_at_once
    assert await world.links.read_variable(board.device_id, "answer") == b"\1"


async def test_a_refusal_of_the_device_is_one(world: World, board: StreamBoard) -> None:
    board.respond = lambda message: [
        coap.encode(coap.Message(coap.ACK, coap.NOT_FOUND, message.message_id, message.token))
    ]
    with pytest.raises(DeviceRefusedError, match=r"4\.04"):
        await world.links.read_variable(board.device_id, "nothing")


async def test_a_ping_is_answered_under_any_id(world: World, board: StreamBoard) -> None:
    board.respond = lambda message: [coap.encode_empty_ack(message.message_id ^ 0x8000)]
    before = len(board.messages)
    await world.links.ping(board.device_id)
    (ping,) = board.messages[before:]
    assert (ping.type, ping.code) == (coap.CON, coap.EMPTY)


async def test_two_pings_need_two_answers(world: World, board: StreamBoard) -> None:
    board.respond = lambda message: ()
    pings = [asyncio.ensure_future(world.links.ping(board.device_id)) for _ in range(2)]
    await started(pings[1], world)
    board.transmit(coap.encode_empty_ack(board.take_id()))
    await world.settle()
    assert [ping.done() for ping in pings] == [True, False], "the first one first"
    board.transmit(coap.encode_empty_ack(board.take_id()))
    await asyncio.gather(*pings)


async def test_the_acknowledgement_of_a_call_is_not_taken_for_a_pings(
    world: World, board: StreamBoard
) -> None:
    board.respond = lambda message: ()
    ping = asyncio.ensure_future(world.links.ping(board.device_id))
    await started(ping, world)
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))
    await started(call, world)
    (request,) = board.requests_for(b"f")
    board.transmit(coap.encode_empty_ack(request.message_id))
    await world.settle()
    assert not ping.done()
    board.transmit(coap.encode_empty_ack(board.take_id()))
    await ping
    call.cancel()


async def test_signal_is_answered_with_its_token_under_any_id(
    world: World, board: StreamBoard
) -> None:
    board.respond = lambda message: [
        coap.encode(coap.Message(coap.ACK, coap.CHANGED, board.take_id(), message.token))
    ]
    await world.links.signal(board.device_id, True)
    (request,) = board.requests_for(b"s")
    assert (request.code, request.options[1]) == (coap.PUT, (coap.URI_QUERY, b"\1"))


async def test_a_call_without_an_answer_ends_after_30_s_and_is_sent_once(
    world: World, board: StreamBoard
) -> None:
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))
    await started(call, world)
    await world.advance(CALL_TIMEOUT_S - 1)
    assert not call.done()
    await world.advance(1.5)
    with pytest.raises(DeviceTimeoutError):
        await call
    assert len(board.requests_for(b"f")) == 1
    await board.ping()
    assert board.is_open


async def test_a_late_result_is_nobody_elses(world: World, board: StreamBoard) -> None:
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))
    await started(call, world)
    await world.advance(CALL_TIMEOUT_S + 1)
    with pytest.raises(DeviceTimeoutError):
        await call
    (first,) = board.requests_for(b"f")
    second = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "off"))
    await started(second, world)
    board.transmit(encode_function_result(board.take_id(), first.token, 1, confirmable=False))
    await world.settle()
    assert not second.done()
    token = board.requests_for(b"f")[1].token
    board.transmit(encode_function_result(board.take_id(), token, 2, confirmable=False))
    assert await second == 2


async def test_a_call_is_over_when_the_connection_is(world: World, board: StreamBoard) -> None:
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))
    await started(call, world)
    await board.hang_up()
    with pytest.raises(DeviceOfflineError):
        await call


async def test_too_many_waiting_calls_are_refused_at_once(world: World, board: StreamBoard) -> None:
    board.respond = lambda message: ()
    calls = [
        asyncio.ensure_future(world.links.call_function(board.device_id, "led", str(number)))
        for number in range(64)
    ]
    await world.settle()
    with pytest.raises(DeviceBusyError):
        await world.links.call_function(board.device_id, "led", "one more")
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert board.is_open


async def test_every_confirmable_message_is_answered(world: World, board: StreamBoard) -> None:
    unknown = coap.Message(coap.CON, coap.GET, 4711, b"\x55", ((coap.URI_PATH, b"nothing"),))
    board.transmit(coap.encode(unknown))
    board.transmit(b"\x40\x02\x12\x34\xf0")
    await world.settle()
    answers = [(m.message_id, m.code) for m in board.messages[-2:]]
    assert answers == [(4711, coap.NOT_FOUND), (0x1234, coap.BAD_REQUEST)]
    assert board.is_open


async def test_a_reset_means_nothing(world: World, board: StreamBoard) -> None:
    board.transmit(coap.encode_reset(12_345))
    await world.settle()
    assert await board.ping() is not None


async def test_too_many_subscriptions_are_refused_in_words(
    world: World, board: StreamBoard
) -> None:
    for number in range(40):
        answer = await board.say(lambda id_, n=number: encode_subscribe(id_, Subscribe(f"f/{n}")))  # type: ignore[misc]
    assert answer is not None
    assert answer.code == coap.FORBIDDEN


async def test_nothing_counts_behind_the_message_that_ended_the_session(
    world: World, board: StreamBoard
) -> None:
    assert board.channel is not None
    events = [
        encode_publish(board.take_id(), Publish(name, b"1", confirmable=False))
        for name in ("before", "spark/device/session/end", "behind")
    ]
    board.write(b"".join(board.channel.seal(event) for event in events))
    await world.settle()
    assert not board.is_open
    assert len(world.logged("before")) == 1
    assert world.logged("behind") == []


async def test_a_goodbye_ends_the_connection_and_the_device_is_offline_once(
    world: World, board: StreamBoard
) -> None:
    # The device half-closes behind it and waits for our end (§1.3.3).
    goodbye = encode_goodbye(board.take_id(), Goodbye(disconnect_reason=2), confirmable=False)
    board.transmit(goodbye)
    board.finish()
    await world.settle()
    assert not board.is_open
    assert not board.was_reset
    assert world.statuses() == ["online", "offline"]


async def test_a_device_that_says_goodbye_and_stays_is_hung_up_on(
    world: World, board: StreamBoard
) -> None:
    # Its end may have been lost: nobody would ever look at the connection again.
    goodbye = encode_goodbye(board.take_id(), Goodbye(disconnect_reason=2), confirmable=False)
    board.transmit(goodbye)
    await world.settle()
    assert not world.presence.is_online(board.device_id)
    await world.advance(80)
    assert not board.is_open
    assert world.statuses() == ["online", "offline"]
