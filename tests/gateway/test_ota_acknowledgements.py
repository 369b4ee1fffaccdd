"""What a device says in the middle of an update, when several of its messages come together."""

from collections.abc import Iterable, Iterator

import pytest

from cyan.core.ports import UpdateCancelledError, UpdateInterruptedError
from cyan.gateway.conversation.ota.window import MIN_CHUNKS
from cyan.gateway.deviceids import LOST_AFTER_S
from cyan.wire import coap
from cyan.wire.messages import (
    OTA_V3,
    UpdateAck,
    UpdateStarted,
    encode_update_ack,
    encode_update_started,
)
from tests.gateway.board import ARGON, Board
from tests.gateway.ota import Sending, make_file
from tests.gateway.world import ADA, World

WINDOW = 256
FIRST = 10
"""Chunks before the first acknowledgement (RFC 6928)."""


class Taker(Board):
    """A board that takes files; what it says of their chunks is a test's."""

    def __init__(self, world: World, index: int = 1) -> None:
        super().__init__(world, index, platform_id=ARGON)
        self.flags |= OTA_V3
        self.respond = self._answer
        self.before_start: list[UpdateAck] = []
        """What it says just before it is ready."""

    def _answer(self, message: coap.Message) -> Iterator[bytes]:
        if message.type != coap.CON:
            return
        yield coap.encode_empty_ack(message.message_id)
        if message.options[:1] == ((coap.URI_PATH, b"S"),):
            for ack in self.before_start:
                yield encode_update_ack(self.take_id(), ack)
            yield encode_update_started(self.take_id(), message.token, UpdateStarted(WINDOW))

    def tell(self, *acks: UpdateAck) -> None:
        """All of these reach the server before it looks at any."""
        for ack in acks:
            self.transmit(encode_update_ack(self.take_id(), ack))

    @property
    def chunks(self) -> list[int]:
        """The numbers of those that came, in their order."""
        found = (coap.find_option(each, coap.CHUNK_INDEX) for each in self.requests_for(b"C"))
        return [int.from_bytes(each or b"", "big") for each in found]


async def ready(world: World, index: int = 1) -> Taker:
    """A board whose set-up is over."""
    board = Taker(world, index)
    world.register(board.device_id, ADA)
    await board.connect()
    assert await board.describe_modules() is not None
    await board.subscribe("fleet/")
    await world.advance(6)
    return board


async def begin(world: World, board: Taker) -> Sending:
    """The board has the first chunks of a file before it."""
    sending = Sending(world, board.device_id, make_file(100_000, platform_id=ARGON))
    await world.settle()
    return sending


async def give_up(*sendings: Sending) -> None:
    for sending in sendings:
        sending.world.gateway.updates.cancel_update(sending.device_id)
        with pytest.raises(UpdateCancelledError):
            await sending.task


@pytest.mark.parametrize(
    "acks",
    [
        [UpdateAck(10)],
        [UpdateAck(2), UpdateAck(4), UpdateAck(6), UpdateAck(8), UpdateAck(10)],
        [UpdateAck(10), UpdateAck(2)],
        [UpdateAck(10), UpdateAck(10)],
    ],
    ids=["one", "one after the other", "overtaken", "twice"],
)
async def test_what_is_said_together_is_answered_as_its_last_word_would_be(
    world: World, acks: Iterable[UpdateAck]
) -> None:
    board = await ready(world)
    sending = await begin(world, board)
    assert board.chunks == list(range(1, FIRST + 1))
    board.tell(*acks)
    await world.settle()
    # All ten have arrived, so the window is twice as large.
    assert board.chunks == list(range(1, 3 * FIRST + 1))
    await give_up(sending)


async def test_gaps_that_are_told_together_are_closed(world: World) -> None:
    board = await ready(world)
    sending = await begin(world, board)
    # Chunk 3 is lost; 4 to 10 come one by one, two of the messages about them in the wrong order.
    beyond = [((1 << count) - 1) << 1 for count in (1, 2, 4, 3, 5, 7, 6)]
    board.tell(UpdateAck(2), *(UpdateAck(2, bitmap) for bitmap in beyond))
    await world.settle()
    again, *new = board.chunks[FIRST:]
    assert again == 3
    assert new == list(range(FIRST + 1, FIRST + 1 + len(new)))
    # All is known at once, and for the loss the window is at its least.
    assert 1 + len(new) == MIN_CHUNKS
    await give_up(sending)


async def test_what_was_said_of_the_file_before_says_nothing_of_this_one(world: World) -> None:
    board = await ready(world)
    board.before_start = [UpdateAck(8)]
    sending = await begin(world, board)
    board.tell(UpdateAck(2))
    await world.settle()
    assert board.chunks == list(range(1, FIRST + 4 + 1))
    assert [confirmed for _, confirmed in sending.progress if confirmed > 2 * 512] == []
    await give_up(sending)


async def test_updates_are_followed_while_a_message_of_the_device_is_missing(world: World) -> None:
    board = await ready(world)
    sending = await begin(world, board)
    lost = board.take_id()
    for arrived in (2, 4, 6):
        board.tell(UpdateAck(arrived))
        await world.settle()
    assert max(board.chunks) == FIRST + 2 * 6
    # And what is missing is refused in its time, as without an update.
    await world.advance(LOST_AFTER_S + 2)
    answer = board.answer_to(lost)
    assert answer is not None
    assert answer.code == coap.SERVICE_UNAVAILABLE
    await give_up(sending)


async def test_a_file_that_cannot_be_read_holds_up_no_other_device(world: World) -> None:
    broken, board = await ready(world), await ready(world, 2)
    its_sending, sending = await begin(world, broken), await begin(world, board)
    its_sending.image.data.release()
    broken.tell(UpdateAck(2))
    board.tell(UpdateAck(2))
    await world.settle()
    assert max(board.chunks) == FIRST + 4
    assert max(broken.chunks) == FIRST
    assert isinstance(await its_sending.end(), UpdateInterruptedError)
    await give_up(sending)


async def test_a_device_that_left_is_sent_no_more(world: World) -> None:
    board = await ready(world)
    sending = await begin(world, board)
    link = world.gateway.online_link(board.device_id)
    assert link is not None
    world.gateway.updates.on_ack(link, UpdateAck(4))
    link.end("it is time")
    assert isinstance(await sending.end(), UpdateInterruptedError)
    assert board.chunks == list(range(1, FIRST + 1))
