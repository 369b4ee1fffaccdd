"""Describes of old firmware: asked for, one flag at a time, block by block (§3.3.1, §2.5)."""

import asyncio
from collections.abc import Iterable

import pytest

from cyan.core.ids import DeviceId
from cyan.devices.description import described
from cyan.gateway.asking import ANSWER_WITHIN_S
from cyan.wire import coap
from cyan.wire.blockwise import SZX_512, Block, decode_block, split
from cyan.wire.exchange import REST_S
from cyan.wire.messages import (
    APPLICATION,
    SYSTEM,
    DescribePost,
    Goodbye,
    Publish,
    encode_describe_answer,
    encode_describe_post,
    encode_goodbye,
    encode_hello,
    encode_publish,
)
from tests.gateway.board import ELECTRON, Board
from tests.gateway.speaker import Speaker
from tests.gateway.stream_board import StreamBoard
from tests.gateway.world import World

MODULES = b'{"p":10,"m":[{"s":1,"l":"m","vc":30,"vv":30,"f":"s","n":"1","v":207,"d":[]}]}'
OFFER = b'{"f":["led","brew"],"v":{"answer":2}}'
LONG_OFFER = b'{"f":["' + b'","'.join(b"function_%03d" % n for n in range(120)) + b'"],"v":{}}'
ALL_AT_ONCE = OFFER[:-1] + b"," + MODULES[1:]
PENDING = "particle/device/updates/pending"


class Describing:
    """What an old board answers: `describes` by flags, in separate responses, of several blocks
    where they are longer than 512 bytes."""

    def __init__(self, board: Speaker, describes: dict[int, bytes]) -> None:
        self.describes = describes
        self.asked: list[coap.Message] = []
        self._board = board
        self._otherwise = board.respond
        board.respond = self.respond
        board.flags = 0

    @property
    def flags(self) -> list[int]:
        """What was asked for, in its order."""
        return [_flags(request) for request in self.asked]

    def respond(self, message: coap.Message) -> Iterable[bytes]:
        if message.options[:1] != ((coap.URI_PATH, b"d"),):
            yield from self._otherwise(message)
            return
        self.asked.append(message)
        yield coap.encode_empty_ack(message.message_id)
        yield from self.answer(message)

    def answer(self, request: coap.Message) -> Iterable[bytes]:
        blocks = split(self.describes[_flags(request)], SZX_512)
        wanted = decode_block(coap.find_option(request, coap.BLOCK2) or b"")
        block, payload = blocks[wanted.number]
        yield encode_describe_answer(
            self._board.take_id(),
            request.token,
            payload,
            block=block if len(blocks) > 1 else None,
            etag=b"\7" if len(blocks) > 1 else b"",
        )


class Silent(Describing):
    """Acknowledges and does not answer."""

    def answer(self, request: coap.Message) -> Iterable[bytes]:
        return ()


def _flags(request: coap.Message) -> int:
    query = coap.find_option(request, coap.URI_QUERY)
    assert query is not None
    assert len(query) == 1
    return query[0]


@pytest.fixture(params=["udp", "tcp"])
def board(world: World, request: pytest.FixtureRequest) -> Board | StreamBoard:
    """Of the time when there were only these two."""
    if request.param == "tcp":
        return StreamBoard(world)
    return Board(world, platform_id=ELECTRON, has_connection_id=False)


AnyBoard = Board | StreamBoard


async def arrive(board: AnyBoard) -> None:
    """Handshake and Hello."""
    await board.shake_hands()
    assert await board.say_hello() is not None


def functions_of(world: World, device_id: DeviceId) -> tuple[str, ...]:
    return described(world.db, device_id).functions


async def test_a_device_is_asked_for_its_modules_and_then_for_what_it_offers(
    world: World, board: AnyBoard
) -> None:
    answers = Describing(board, {SYSTEM: MODULES, APPLICATION: OFFER})
    await arrive(board)
    assert answers.flags == [SYSTEM, APPLICATION]
    for request in answers.asked:
        assert (request.type, request.code) == (coap.CON, coap.GET)
        assert len(request.token) == 1
        assert [number for number, _ in request.options] == [coap.URI_PATH, coap.URI_QUERY]
    assert functions_of(world, board.device_id) == ("led", "brew")
    assert board.event_names() == [PENDING]
    link = world.gateway.online_link(board.device_id)
    assert link is not None
    assert (link.session.has_system, link.session.has_application) == (True, True)


async def test_each_answer_is_acknowledged(world: World, board: AnyBoard) -> None:
    Describing(board, {SYSTEM: MODULES, APPLICATION: OFFER})
    await arrive(board)
    first = board.next_id - 2
    assert board.answer_to(first) == coap.Message(coap.ACK, coap.EMPTY, first)
    assert board.answer_to(first + 1) == coap.Message(coap.ACK, coap.EMPTY, first + 1)


async def test_nothing_is_asked_before_hello_is_acknowledged(world: World) -> None:
    # The device would drop it (§3.2).
    board = Board(world, platform_id=ELECTRON, has_connection_id=False)
    Describing(board, {SYSTEM: MODULES, APPLICATION: OFFER})
    await arrive(board)
    assert board.messages[0].type == coap.ACK
    assert [m.options[0][1] for m in board.messages[1:3]] == [b"h", b"d"]


async def test_a_device_that_describes_itself_is_not_asked(world: World, board: AnyBoard) -> None:
    await arrive(board)
    await board.describe()
    assert board.requests_for(b"d") == []


async def test_a_describe_of_2_x_without_a_token_and_with_both_flags_is_taken(
    world: World, board: AnyBoard
) -> None:
    await arrive(board)
    post = DescribePost(SYSTEM | APPLICATION, ALL_AT_ONCE)
    answer = await board.say(lambda id_: encode_describe_post(id_, b"", post))
    assert answer is not None
    assert (answer.code, answer.token) == (coap.EMPTY, b"")
    assert functions_of(world, board.device_id) == ("led", "brew")


async def test_the_oldest_tell_all_at_once_inside_the_acknowledgement(
    world: World, board: AnyBoard
) -> None:
    # They do not look at the query.
    otherwise = board.respond
    board.flags = 0

    def respond(message: coap.Message) -> Iterable[bytes]:
        if message.options[:1] != ((coap.URI_PATH, b"d"),):
            yield from otherwise(message)
            return
        yield encode_describe_answer(
            message.message_id, message.token, ALL_AT_ONCE, piggybacked=True
        )

    board.respond = respond
    await arrive(board)
    assert len(board.requests_for(b"d")) == 1
    assert functions_of(world, board.device_id) == ("led", "brew")


async def test_a_describe_of_several_blocks_is_asked_for_block_by_block(
    world: World, board: AnyBoard
) -> None:
    answers = Describing(board, {SYSTEM: MODULES, APPLICATION: LONG_OFFER})
    await arrive(board)
    wanted = [coap.find_option(request, coap.BLOCK2) for request in answers.asked]
    assert wanted[:2] == [None, None]
    assert [decode_block(value or b"") for value in wanted[2:]] == [
        Block(number, False, SZX_512) for number in range(1, -(-len(LONG_OFFER) // 512))
    ]
    assert len({request.message_id for request in answers.asked}) == len(answers.asked)
    assert len({request.token for request in answers.asked}) == len(answers.asked)
    assert len(functions_of(world, board.device_id)) == 120


@pytest.mark.parametrize(
    "wrong",
    [Block(5, True, SZX_512), Block(1, True, 6), Block(1, True, 4), Block(100, False, SZX_512)],
    ids=["later", "larger", "smaller", "far away"],
)
async def test_a_wrong_block_ends_the_asking_and_not_the_session(
    world: World, board: AnyBoard, wrong: Block
) -> None:
    class Wrong(Describing):
        def answer(self, request: coap.Message) -> Iterable[bytes]:
            if coap.find_option(request, coap.BLOCK2) is None:
                yield from super().answer(request)
                return
            yield encode_describe_answer(board.take_id(), request.token, b"x" * 512, block=wrong)

    answers = Wrong(board, {SYSTEM: MODULES, APPLICATION: LONG_OFFER})
    await arrive(board)
    assert answers.flags == [SYSTEM, APPLICATION, APPLICATION]
    assert functions_of(world, board.device_id) == ()
    assert await board.ping() is not None
    assert world.presence.is_online(board.device_id)


async def test_a_device_that_gives_the_first_block_for_ever_is_asked_as_often_as_it_answers(
    world: World, board: AnyBoard
) -> None:
    class Circling(Describing):
        def answer(self, request: coap.Message) -> Iterable[bytes]:
            if len(self.asked) > 40:
                return
            yield encode_describe_answer(
                board.take_id(), request.token, b"x" * 512, block=Block(0, True, SZX_512)
            )

    answers = Circling(board, {SYSTEM: MODULES})
    await arrive(board)
    assert len(answers.asked) == 41
    assert await board.ping() is not None


@pytest.mark.parametrize("code", [coap.BAD_REQUEST, coap.NOT_FOUND, coap.INTERNAL])
async def test_a_refusal_costs_nothing(world: World, board: AnyBoard, code: int) -> None:
    otherwise = board.respond
    board.flags = 0

    def respond(message: coap.Message) -> Iterable[bytes]:
        if message.options[:1] != ((coap.URI_PATH, b"d"),):
            yield from otherwise(message)
            return
        yield coap.encode(coap.Message(coap.ACK, code, message.message_id, message.token))

    board.respond = respond
    await arrive(board)
    assert len(board.requests_for(b"d")) == 1
    assert functions_of(world, board.device_id) == ()
    assert await board.publish() is not None


@pytest.mark.parametrize("nonsense", [b"", b"{", b"[]", b"{}", b"\x0a\x7f", b"\0\0", b"x" * 512])
async def test_a_describe_that_cannot_be_read_costs_nothing(
    world: World, board: AnyBoard, nonsense: bytes
) -> None:
    answers = Describing(board, {SYSTEM: nonsense, APPLICATION: OFFER})
    await arrive(board)
    assert answers.flags[0] == SYSTEM
    assert await board.publish() is not None
    assert world.presence.is_online(board.device_id)


async def test_a_device_that_does_not_answer_is_served_all_the_same(
    world: World, board: AnyBoard
) -> None:
    answers = Silent(board, {})
    await arrive(board)
    for _ in range(8):
        await world.advance(20)
        assert await board.ping() is not None
    assert answers.flags == [SYSTEM], "it has acknowledged the question"
    assert world.statuses() == ["online"]


async def test_a_question_that_is_lost_is_sent_again_over_udp(world: World) -> None:
    board = Board(world, platform_id=ELECTRON, has_connection_id=False)
    answers = Describing(board, {SYSTEM: MODULES, APPLICATION: OFFER})
    respond, board.respond = board.respond, lambda message: ()
    await arrive(board)
    (first,) = board.requests_for(b"d")
    board.respond = respond
    await world.advance(5)
    assert answers.asked[0] == first
    assert functions_of(world, board.device_id) == ("led", "brew")


async def test_a_question_that_is_never_acknowledged_is_given_up_and_not_the_device(
    world: World,
) -> None:
    board = Board(world, platform_id=ELECTRON, has_connection_id=False)
    board.flags = 0
    board.respond = lambda message: ()
    await arrive(board)
    for _ in range(6):
        await world.advance(20)
        assert await board.ping() is not None
    assert len(board.requests_for(b"d")) == 4
    assert world.statuses() == ["online"]


async def test_an_answer_that_comes_again_is_acknowledged_again_and_asks_nothing_more(
    world: World, board: AnyBoard
) -> None:
    answers = Describing(board, {SYSTEM: MODULES, APPLICATION: LONG_OFFER})
    copies: list[bytes] = []
    transmit = board.transmit

    def transmit_twice(message: bytes) -> bytes:
        if message[1] == coap.CONTENT:
            copies.append(message)
            transmit(message)
        return transmit(message)

    board.transmit = transmit_twice  # type: ignore[method-assign]
    await arrive(board)
    blocks = -(-len(LONG_OFFER) // 512)
    assert len(answers.asked) == len(copies) == 1 + blocks
    acknowledged = [m.message_id for m in board.messages if m.type == coap.ACK]
    for copy in copies:
        assert acknowledged.count(int.from_bytes(copy[2:4], "big")) == 2


async def test_a_device_that_leaves_before_it_answers_leaves_nothing_behind(
    world: World, board: AnyBoard, caplog: pytest.LogCaptureFixture
) -> None:
    Silent(board, {})
    await arrive(board)
    world.gateway.disconnect(board.device_id, "test")
    await world.advance(100)
    assert caplog.records == []


async def test_each_hello_begins_the_asking_anew(world: World, board: AnyBoard) -> None:
    answers = Describing(board, {SYSTEM: MODULES, APPLICATION: OFFER})
    await arrive(board)
    answers.describes[APPLICATION] = b'{"f":["new"],"v":{}}'
    assert await board.say_hello() is not None
    assert answers.flags == [SYSTEM, APPLICATION] * 2
    assert functions_of(world, board.device_id) == ("new",)


async def test_calls_are_made_while_a_describe_is_awaited(world: World, board: AnyBoard) -> None:
    Silent(board, {})
    await arrive(board)
    ping = asyncio.ensure_future(world.links.ping(board.device_id))
    await world.settle()
    await ping


async def test_events_wait_for_no_describe(world: World, board: AnyBoard) -> None:
    Silent(board, {})
    await board.shake_hands()
    board.transmit(encode_hello(board.take_id(), board.hello_message()))
    await world.settle()
    board.transmit(encode_publish(board.take_id(), Publish("n")))
    await world.settle()
    assert len(world.logged("n")) == 1


@pytest.mark.parametrize(
    ("told", "asked"),
    [(False, [SYSTEM, SYSTEM, APPLICATION]), (True, [SYSTEM, APPLICATION, APPLICATION])],
    ids=["nothing came", "the modules came"],
)
async def test_a_server_that_ended_before_the_answer_asks_again(
    world: World, told: bool, asked: list[int]
) -> None:
    # Nothing else would: the device has done its part, and goes on with its session.
    class Slow(Describing):
        is_slow = True

        def answer(self, request: coap.Message) -> Iterable[bytes]:
            if self.is_slow and not (told and _flags(request) == SYSTEM):
                return ()
            return super().answer(request)

    board = Board(world, platform_id=ELECTRON, has_connection_id=False)
    answers = Slow(board, {SYSTEM: MODULES, APPLICATION: OFFER})
    await arrive(board)
    await world.advance(2)
    answers.is_slow = False
    await world.restart(outage_s=3)
    assert await board.ping() is not None
    assert functions_of(world, board.device_id) == ("led", "brew")
    assert answers.flags == asked


async def test_a_device_that_comes_back_before_it_has_answered_is_asked_again(
    world: World,
) -> None:
    board = Board(world, platform_id=ELECTRON, has_connection_id=False)
    Silent(board, {})
    await arrive(board)
    await board.say(lambda id_: encode_goodbye(id_, Goodbye(disconnect_reason=6)))
    await world.advance(300)
    board.resume(41_000)
    answers = Describing(board, {SYSTEM: MODULES, APPLICATION: OFFER})
    assert await board.ping() is not None
    assert answers.flags == [SYSTEM, APPLICATION]
    assert functions_of(world, board.device_id) == ("led", "brew")


async def test_who_has_described_itself_is_not_asked_after_a_restart(world: World) -> None:
    board = Board(world, platform_id=ELECTRON, has_connection_id=False)
    answers = Describing(board, {SYSTEM: MODULES, APPLICATION: OFFER})
    await arrive(board)
    await world.advance(12)
    await world.restart(outage_s=3)
    await board.ping()
    await world.advance(20)
    assert answers.flags == [SYSTEM, APPLICATION]


async def test_a_question_that_is_acknowledged_and_never_answered_is_given_up(
    world: World,
) -> None:
    board = Board(world, platform_id=ELECTRON, has_connection_id=False)
    describing = Describing(board, {})
    describing.answer = lambda request: ()  # type: ignore[method-assign]
    await arrive(board)
    link = world.gateway.online_link(board.device_id)
    assert link is not None
    exchange = link.exchange
    assert (len(describing.asked), exchange.is_asking) == (1, True)
    for _ in range(int((ANSWER_WITHIN_S + REST_S) / 20) + 1):
        await world.advance(20)
        await board.ping()
    assert (len(describing.asked), exchange.is_asking) == (1, False)
    assert link.ended is None
