"""Answers that come late, or after a restart, are never taken for another call's: tokens have one
byte and come round again, and a device sends its answer up to 42 s after the first time
(device-protocol.md §2.1, §2.2)."""

import asyncio

import pytest

from cyan.core.ports import DeviceBusyError, DeviceOfflineError, DeviceTimeoutError
from cyan.gateway.calls import CALL_TIMEOUT_S
from cyan.wire.messages import encode_function_result
from tests.gateway.board import Board
from tests.gateway.world import World

STALE, FRESH = -1000, 7
EVENTS = 200
"""If each took a token, the calls after them would come to the stale one."""

RESTARTS = 6
CALLS = 100
"""At the same time. Tokens drawn at random would meet the stale one in two of five restarts."""


def call(world: World, board: Board) -> "asyncio.Task[int]":
    return asyncio.ensure_future(world.links.call_function(board.device_id, "led", "on"))


async def outcome(call: "asyncio.Future[int]") -> int | None:
    """The result, None when there is none."""
    try:
        return await call
    except (DeviceTimeoutError, DeviceOfflineError, DeviceBusyError):
        return None


async def test_an_answer_after_the_calls_end_is_not_taken_for_a_later_calls(world: World) -> None:
    board = await Board(world).connect()
    first = call(world, board)
    await world.linger()
    stale_token = board.requests()[-1].token
    await world.advance(CALL_TIMEOUT_S + 1)
    with pytest.raises(DeviceTimeoutError):
        await first
    for _ in range(EVENTS):
        assert world.links.send_event(board.device_id, "fleet/news", b"1")
        await world.settle()
    later = [call(world, board) for _ in range(CALLS)]
    await world.linger()
    answered = {message.token for message in board.requests()[-CALLS:]}
    board.transmit(encode_function_result(board.take_id(), stale_token, STALE))
    await world.settle()
    for token in answered:
        board.transmit(encode_function_result(board.take_id(), token, FRESH))
        await world.settle()
    results = [await outcome(one) for one in later]
    assert STALE not in results
    assert results.count(FRESH) >= CALLS / 2


async def test_an_answer_to_a_call_of_before_a_restart_is_not_taken_for_a_later_calls(
    world: World,
) -> None:
    board = await Board(world).connect()
    await board.subscribe("fleet/")
    await world.advance(5)
    fresh = 0
    for _ in range(RESTARTS):
        await world.advance(120)
        assert await board.ping() is not None
        await world.advance(2)
        lost = call(world, board)
        await world.linger()
        stale_token = board.requests()[-1].token
        lost.cancel()
        await world.restart(outage_s=5)
        seen = len(board.requests())
        later = [call(world, board) for _ in range(CALLS)]
        await world.linger()
        tokens = {message.token for message in board.requests()[seen:]} - {stale_token, b""}
        board.transmit(encode_function_result(board.take_id(), stale_token, STALE))
        await world.settle()
        for token in tokens:
            board.transmit(encode_function_result(board.take_id(), token, FRESH))
            await world.settle()
        await world.advance(CALL_TIMEOUT_S + 1)
        results = [await outcome(one) for one in later]
        assert STALE not in results
        fresh += results.count(FRESH)
    assert fresh >= RESTARTS * CALLS / 2
