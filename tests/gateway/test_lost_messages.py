"""Messages of a device that got lost all four times, while the server was there."""

from cyan.gateway.deviceids import LOST_AFTER_S
from cyan.wire import coap
from cyan.wire.messages import Publish, encode_publish
from tests.gateway.board import Board, settled_board
from tests.gateway.world import World


async def test_what_never_came_is_refused_before_it_costs_the_session(world: World) -> None:
    board = await settled_board(world)
    lost = board.take_id()
    assert await board.publish() is not None
    await world.advance(LOST_AFTER_S - 2)
    assert board.answer_to(lost) is None
    await world.advance(4)
    answer = board.answer_to(lost)
    assert answer is not None
    assert (answer.type, answer.code) == (coap.ACK, coap.SERVICE_UNAVAILABLE)
    heard = len(board.messages)
    await world.advance(2 * LOST_AFTER_S)
    assert len(board.messages) == heard, "once"
    assert not board.was_closed


async def test_a_copy_that_comes_after_its_refusal_gets_the_same_answer(world: World) -> None:
    board = await settled_board(world)
    lost = board.take_id()
    assert await board.publish() is not None
    await world.advance(LOST_AFTER_S + 2)
    board.messages.clear()
    board.transmit(encode_publish(lost, Publish("late", b"1")))
    await world.settle()
    answer = board.answer_to(lost)
    assert answer is not None
    assert answer.code == coap.SERVICE_UNAVAILABLE
    assert world.logged("late") == []


async def test_what_comes_late_is_taken_and_not_refused(world: World) -> None:
    board = await settled_board(world)
    late, lost = board.take_id(), board.take_id()
    assert await board.publish() is not None
    await world.advance(30)
    board.transmit(encode_publish(late, Publish("late", b"1")))
    await world.advance(LOST_AFTER_S)
    answer = board.answer_to(late)
    assert answer is not None
    assert answer.code == coap.EMPTY
    assert len(world.logged("late")) == 1
    refused = board.answer_to(lost)
    assert refused is not None
    assert refused.code == coap.SERVICE_UNAVAILABLE


async def test_each_lost_message_has_its_own_time(world: World) -> None:
    board = await settled_board(world)
    first = board.take_id()
    assert await board.publish() is not None
    await world.advance(20)
    second = board.take_id()
    assert await board.publish() is not None
    await world.advance(LOST_AFTER_S - 18)
    assert board.answer_to(first) is not None
    assert board.answer_to(second) is None
    await world.advance(20)
    assert board.answer_to(second) is not None


async def test_while_a_session_is_being_set_up_nothing_is_refused(world: World) -> None:
    """The device would take the answer to a describe or a subscription for success."""
    board = await Board(world).connect()
    lost = board.take_id()
    assert await board.publish() is not None
    await world.advance(3 * LOST_AFTER_S)
    assert board.answer_to(lost) is None
    assert await board.ping() is not None


async def test_a_new_start_of_the_counter_leaves_nothing_missing(world: World) -> None:
    board = await settled_board(world)
    lost = board.take_id()
    assert await board.publish() is not None
    assert await board.say_hello() is not None
    await world.advance(LOST_AFTER_S + 2)
    assert board.answer_to(lost) is None
