"""Vitals: asked for after a handshake and on request, or sent by the board; kept and told."""

from collections.abc import Iterable

import msgspec
import pytest

from cyan.core.ports import DeviceOfflineError, DeviceRefusedError
from cyan.events.model import Event
from cyan.health import store
from cyan.health.model import UPDATE_EVENT, flatten
from cyan.wire import coap
from cyan.wire.describe import Metric, Metrics, encode_metrics
from cyan.wire.messages import (
    DIAGNOSTICS,
    METRICS,
    DescribePost,
    Hello,
    encode_describe_answer,
    encode_describe_post,
)
from tests.gateway.board import Board, acknowledge
from tests.gateway.world import ADA, World

VITALS = encode_metrics(Metrics((Metric(6, 15), Metric(3, error=-210))))
QUESTION = ((coap.URI_PATH, b"d"), (coap.URI_QUERY, bytes((METRICS,))))


class BoardWithVitals(Board):
    """Answers the question for its vitals as firmware does: an acknowledgement, then a response."""

    asked = 0

    def hello_message(self) -> Hello:
        hello = super().hello_message()
        return msgspec.structs.replace(hello, flags=hello.flags | DIAGNOSTICS)

    async def connect(self) -> Board:
        self.respond = self.answer
        return await super().connect()

    def answer(self, message: coap.Message) -> Iterable[bytes]:
        yield from acknowledge(message)
        if message.options == QUESTION:
            self.asked += 1
            yield encode_describe_answer(self.take_id(), message.token, VITALS)

    async def publish_vitals(self) -> coap.Message | None:
        """What `Particle.publishVitals()` does."""
        token, post = self.take_token(), DescribePost(METRICS, VITALS)
        return await self.say(lambda id_: encode_describe_post(id_, token, post))


def told(world: World) -> list[Event]:
    return world.logged(UPDATE_EVENT)


def kept(world: World) -> list[str]:
    return [row.payload for row in world.db.rows(store.health_vitals.select())]


async def connected(world: World) -> BoardWithVitals:
    """A board of Ada's, some seconds after its handshake."""
    board = BoardWithVitals(world)
    world.register(board.device_id, ADA)
    await board.connect()
    await world.advance(5)
    return board


async def test_a_board_is_asked_for_its_vitals_soon_after_its_handshake(world: World) -> None:
    board = BoardWithVitals(world)
    world.register(board.device_id, ADA)
    await board.connect()
    assert board.asked == 0
    await world.advance(3)
    assert board.asked == 1
    (event,) = told(world)
    assert (event.origin, event.owner_id) == (board.device_id, ADA)
    assert event.data is not None
    leaves = flatten(event.data.decode())
    assert leaves["device.system.uptime"] == 15
    assert leaves["device.power.battery.charge.err"] == -210
    assert leaves["service.cloud.uptime"] == 2
    assert leaves["service.coap.round_trip"] == 0
    assert kept(world) == [event.data.decode()]


async def test_a_board_that_has_no_vitals_is_not_asked(world: World) -> None:
    board = await Board(world).connect()
    await world.advance(10)
    assert not any(message.options == QUESTION for message in board.requests())


async def test_a_board_that_left_before_its_time_is_not_asked(world: World) -> None:
    board = BoardWithVitals(world)
    await board.connect()
    world.gateway.disconnect(board.device_id, "test")
    await world.advance(10)
    assert board.asked == 0


async def test_vitals_asked_for_over_the_api_come_the_same_way(world: World) -> None:
    board = await connected(world)
    world.links.request_vitals(board.device_id)
    await world.settle()
    assert board.asked == 2
    assert len(told(world)) == 2


async def test_a_board_that_is_offline_cannot_be_asked(world: World) -> None:
    board = Board(world)
    with pytest.raises(DeviceOfflineError):
        world.links.request_vitals(board.device_id)


async def test_a_board_whose_firmware_has_no_vitals_is_not_asked_for_them(world: World) -> None:
    board = await Board(world).connect()
    asked = len(board.requests())
    with pytest.raises(DeviceRefusedError, match=r"no vitals.* 0\.8"):
        world.links.request_vitals(board.device_id)
    await world.settle()
    assert len(board.requests()) == asked


async def test_vitals_that_a_program_publishes_are_told_with_what_it_published(
    world: World,
) -> None:
    board = await connected(world)
    for _ in range(3):
        await board.publish()
    await world.advance(10)
    answer = await board.publish_vitals()
    assert answer is not None
    assert answer.code == coap.CHANGED
    data = told(world)[-1].data
    assert data is not None
    leaves = flatten(data.decode())
    assert leaves["service.cloud.publish.sent"] == 3
    assert leaves["service.cloud.uptime"] == 15
    assert "service.coap.round_trip" not in leaves
    assert len(kept(world)) == 2


async def test_vitals_that_cannot_be_stored_are_not_acknowledged(world: World) -> None:
    board = await connected(world)
    with world.broken_table("health_vitals"):
        assert await board.publish_vitals() is None
    assert len(told(world)) == 1


async def test_vitals_reach_no_device(world: World) -> None:
    board = await connected(world)
    other = Board(world, 2)
    world.register(other.device_id, ADA)
    await other.connect()
    await other.subscribe("spark")
    await board.publish_vitals()
    assert UPDATE_EVENT not in other.event_names()
