"""Calls to devices: what goes out, what comes back, and what happens when nothing does."""

import asyncio
from collections.abc import Iterable
from itertools import pairwise
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
    encode_function_result,
    encode_goodbye,
    encode_variable_value_answer,
)
from tests.calls import link_contract
from tests.gateway.board import ELECTRON, Board
from tests.gateway.firmware import Firmware
from tests.gateway.world import STEP_S, World


async def started(call: "asyncio.Future[Any]", world: World) -> None:
    """The call has sent what it sends."""
    await world.linger()
    assert not call.done()


async def test_the_gateway_keeps_the_contract_of_device_links(world: World) -> None:
    await link_contract.check_offline(world.links, Board(world).device_id)
    firmware = await Firmware(world).connect()
    await link_contract.check_connected(world.links, firmware.device_id)
    state = world.links.state(firmware.device_id)
    assert state is not None
    assert (state.ip_address, state.last_heard_at) == ("192.0.2.7", world.clock.now())
    firmware.device.say_goodbye(world.clock.monotonic())
    await world.settle()
    await link_contract.check_offline(world.links, firmware.device_id)


async def test_a_device_that_answers_nothing_times_out(world: World) -> None:
    board = await Board(world).connect()
    board.respond = lambda message: ()
    check = asyncio.ensure_future(link_contract.check_silent(world.links, board.device_id))
    for _ in range(4):
        await started(check, world)
        await world.advance(CALL_TIMEOUT_S + 1)
        # It still pings, so it is connected.
        await board.ping()
    await check


async def test_a_call_ends_after_30_s_and_not_before(world: World) -> None:
    """Row 18: a device that does not answer in time."""
    board = await Board(world).connect()
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))
    await world.linger()
    await world.advance(CALL_TIMEOUT_S - 1)
    assert not call.done()
    await world.advance(1.5)
    with pytest.raises(DeviceTimeoutError):
        await call


async def test_a_function_result_comes_in_a_response_of_its_own(world: World) -> None:
    """Row 18: the call returns the integer."""
    board = await Board(world).connect()
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))
    await started(call, world)
    request = board.requests()[-1]
    assert request.options == (
        (coap.URI_PATH, b"f"),
        (coap.URI_PATH, b"led"),
        (coap.URI_QUERY, b"on"),
    )
    assert len(request.token) == 1
    await world.advance(12)
    assert not call.done(), "the function takes its time"
    assert len([m for m in board.requests() if m.options == request.options]) == 1
    answer_id = board.take_id()
    board.transmit(encode_function_result(answer_id, request.token, -7))
    await world.settle()
    assert await call == -7
    assert board.answer_to(answer_id) == coap.Message(coap.ACK, coap.EMPTY, answer_id)


async def test_an_unanswered_request_is_sent_four_times_in_doubling_intervals(
    world: World,
) -> None:
    board = await Board(world).connect()
    board.respond = lambda message: ()
    sent: list[float] = []
    begin = world.clock.monotonic()
    known = len(board.requests())
    assert world.links.send_event(board.device_id, "fleet/news", b"1")
    await world.linger()
    for _ in range(130):
        while len(board.requests()) > known:
            sent.append(world.clock.monotonic() - begin)
            known += 1
        await world.advance(0.5)
    waits = [later - earlier for earlier, later in pairwise(sent)]
    assert len(waits) == 3
    for waited, wanted in zip(waits, (4, 8, 16), strict=True):
        assert wanted <= waited <= wanted + 2 * STEP_S
    assert [m.message_id for m in board.requests()[-4:]].count(board.requests()[-1].message_id) == 4


async def test_a_device_that_acknowledges_no_event_counts_as_offline_until_heard_again(
    world: World,
) -> None:
    board = await Board(world, platform_id=13).connect()
    board.respond = lambda message: ()
    assert world.links.send_event(board.device_id, "fleet/news", b"1")
    await world.advance(62)
    assert world.statuses() == ["online", "offline"]
    assert await board.ping() is not None
    assert world.statuses() == ["online", "offline", "online"]


async def test_a_lost_request_is_sent_again_and_answered(world: World) -> None:
    board = await Board(world).connect()
    world.socket.is_broken = True
    call = asyncio.ensure_future(world.links.read_variable(board.device_id, "answer"))
    await started(call, world)
    world.socket.is_broken = False
    await world.advance(5)
    request = board.requests()[-1]
    board.transmit(encode_variable_value_answer(board.take_id(), request.token, b"\0\0\0\x2a"))
    await world.settle()
    assert await call == b"\0\0\0\x2a"


async def test_a_response_that_comes_again_is_acknowledged_and_answers_nothing_else(
    world: World,
) -> None:
    board = await Board(world).connect()
    link = world.gateway.online_link(board.device_id)
    assert link is not None
    first = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "1"))
    await started(first, world)
    token = board.requests()[-1].token
    stale = encode_function_result(board.take_id(), token, 1)
    board.transmit(stale)
    await world.settle()
    assert await first == 1
    # The token comes round after 256 requests; the device may still repeat its old response.
    link.exchange._next_token = token[0]
    second = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "2"))
    await started(second, world)
    assert board.requests()[-1].token == token
    board.transmit(stale)
    await world.settle()
    assert not second.done()
    board.transmit(encode_function_result(board.take_id(), token, 2))
    await world.settle()
    assert await second == 2


@pytest.mark.parametrize("code", [coap.NOT_FOUND, coap.BAD_REQUEST, coap.INTERNAL])
async def test_an_error_code_of_the_device_is_a_refusal(world: World, code: int) -> None:
    board = await Board(world).connect()

    def refuse(message: coap.Message) -> Iterable[bytes]:
        if message.type == coap.CON:
            yield coap.encode_ack(message.message_id, code, message.token)

    board.respond = refuse
    with pytest.raises(DeviceRefusedError, match=coap.code_text(code)):
        await world.links.read_variable(board.device_id, "answer")


async def test_a_reset_of_the_device_is_a_refusal_and_costs_no_session(world: World) -> None:
    board = await Board(world).connect()
    board.respond = lambda message: [coap.encode_reset(message.message_id)]
    with pytest.raises(DeviceRefusedError):
        await world.links.call_function(board.device_id, "led", "on")
    board.respond = lambda message: ()
    assert await board.ping() is not None
    assert world.presence.is_online(board.device_id)


async def test_a_result_that_cannot_be_read_is_a_refusal(world: World) -> None:
    board = await Board(world).connect()
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))
    await started(call, world)
    token = board.requests()[-1].token
    board.transmit(
        coap.encode(coap.Message(coap.CON, coap.CHANGED, board.take_id(), token, (), b"\1"))
    )
    await world.settle()
    with pytest.raises(DeviceRefusedError, match="cannot be read"):
        await call


async def test_a_call_is_over_when_the_device_leaves(world: World) -> None:
    board = await Board(world).connect()
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))
    await started(call, world)
    world.gateway.disconnect(board.device_id, "test")
    with pytest.raises(DeviceOfflineError):
        await call


async def test_a_device_that_said_goodbye_cannot_be_called(world: World) -> None:
    """Row 18: offline."""
    board = await Board(world).connect()
    await board.say(lambda id_: encode_goodbye(id_, Goodbye(2)))
    await link_contract.check_offline(world.links, board.device_id)


async def test_an_argument_beyond_1024_bytes_never_leaves(world: World) -> None:
    """Row 17: sizes."""
    board = await Board(world).connect()
    before = len(board.requests())
    with pytest.raises(DeviceRefusedError):
        await world.links.call_function(board.device_id, "led", "x" * 1025)
    assert len(board.requests()) == before
    call = asyncio.ensure_future(world.links.call_function(board.device_id, "led", "x" * 1024))
    await started(call, world)
    assert board.requests()[-1].options[2] == (coap.URI_QUERY, b"x" * 1024)
    call.cancel()


async def test_a_variable_of_1024_bytes_is_read_whole(world: World) -> None:
    """Row 17: sizes."""
    board = await Board(world).connect()
    call = asyncio.ensure_future(world.links.read_variable(board.device_id, "greeting"))
    await started(call, world)
    token = board.requests()[-1].token
    board.transmit(encode_variable_value_answer(board.take_id(), token, b"x" * 1024))
    await world.settle()
    assert await call == b"x" * 1024


async def test_nothing_larger_than_the_device_takes_is_sent(world: World) -> None:
    """Row 17: sizes. An Electron takes messages of 800 bytes."""
    board = Board(world, platform_id=ELECTRON)
    board.max_message_size = 800
    await board.connect()
    before = len(board.requests())
    with pytest.raises(DeviceRefusedError, match="800"):
        await world.links.call_function(board.device_id, "led", "x" * 900)
    assert not world.links.send_event(board.device_id, "fleet/news", b"x" * 900)
    assert len(board.requests()) == before
    assert world.links.send_event(board.device_id, "fleet/news", b"x" * 700)


async def test_too_many_waiting_calls_are_refused_at_once(world: World) -> None:
    board = await Board(world).connect()
    board.respond = lambda message: ()
    calls = [
        asyncio.ensure_future(world.links.call_function(board.device_id, "led", str(number)))
        for number in range(64)
    ]
    await world.linger()
    with pytest.raises(DeviceBusyError):
        await world.links.ping(board.device_id)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    board.respond = lambda message: [coap.encode_empty_ack(message.message_id)]
    await world.links.ping(board.device_id)


async def test_timers_do_not_pile_up_while_a_device_is_slow(world: World) -> None:
    board = await Board(world).connect()
    board.respond = lambda message: ()
    asked = 0
    at = world.gateway.at

    def count(when_s: float, callback: object) -> None:
        nonlocal asked
        asked += 1
        at(when_s, callback)  # type: ignore[arg-type]

    calls = []
    for round_ in range(40):
        call = world.links.call_function(board.device_id, "led", "on")
        calls.append(asyncio.ensure_future(call))
        await world.advance(5)
        await board.ping()
        if round_ == 30:
            world.gateway.at = count  # type: ignore[assignment]
    await world.advance(CALL_TIMEOUT_S + 1)
    assert asked < 60, "about one for each retransmission and one for each call"
    await asyncio.gather(*calls, return_exceptions=True)
