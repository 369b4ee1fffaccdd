"""Events to devices of every age: what their firmware would cut is not sent (platform-semantics.md
§6.1)."""

import msgspec
import pytest

from cyan.wire.describe import Module, SystemDescribe, encode_system_json
from cyan.wire.describe.system import SYSTEM_PART
from cyan.wire.messages import SYSTEM, DescribePost, Hello, encode_describe_post
from tests.gateway.board import ELECTRON, Board
from tests.gateway.world import ADA, World, metric

UNDELIVERED = "cyan_events_undelivered_total"


class OldBoard(Board):
    """An Electron with firmware before 3.0: its Hello ends after the id."""

    def hello_message(self) -> Hello:
        return msgspec.structs.replace(
            super().hello_message(),
            system_version=None,
            max_message_size=None,
            max_binary_size=None,
            ota_chunk_size=None,
        )

    async def describe_system(self, version: int) -> None:
        describe = SystemDescribe((Module(SYSTEM_PART, 1, version),))
        token, post = self.take_token(), DescribePost(SYSTEM, encode_system_json(describe))
        assert await self.say(lambda id_: encode_describe_post(id_, token, post)) is not None


@pytest.mark.parametrize(("version", "limit"), [(207, 255), (1406, 622)])
async def test_an_old_device_gets_events_that_it_keeps_whole_and_no_others(
    world: World, version: int, limit: int
) -> None:
    board = OldBoard(world, platform_id=ELECTRON)
    world.register(board.device_id, ADA)
    await board.connect()
    await board.describe_system(version)
    await board.subscribe("news")
    before = metric(UNDELIVERED, reason="too_large")
    await world.events.publish(ADA, "news/fits", b"x" * limit)
    await world.events.publish(ADA, "news/too-long", b"x" * (limit + 1))
    await world.settle()
    assert [name for name in board.event_names() if name.startswith("news")] == ["news/fits"]
    assert metric(UNDELIVERED, reason="too_large") == before + 1


async def test_the_limits_of_an_old_device_survive_a_restart(world: World) -> None:
    board = OldBoard(world, platform_id=ELECTRON)
    world.register(board.device_id, ADA)
    await board.connect()
    await board.describe_system(207)
    await board.subscribe("news")
    await world.restart()
    await board.ping()
    await world.events.publish(ADA, "news/too-long", b"x" * 256)
    await world.events.publish(ADA, "news/fits", b"x" * 255)
    await world.settle()
    assert [name for name in board.event_names() if name.startswith("news")] == ["news/fits"]
