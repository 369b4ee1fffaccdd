"""From the first datagram to a device that is online."""

from cyan.devices.description import described
from cyan.wire import coap
from tests.gateway.board import Board
from tests.gateway.world import ADA, World, metric


async def test_a_device_connects_says_hello_and_is_online(world: World) -> None:
    before = metric("cyan_handshakes_total", kind="full")
    board = Board(world)
    await board.connect()
    assert metric("cyan_handshakes_total", kind="full") == before + 1
    assert world.presence.is_online(board.device_id)
    assert described(world.db, board.device_id).functions == ("led", "brew")
    assert world.statuses() == ["online"]
    assert ADA not in (world.ownership.owner_of(board.device_id),)
    assert await board.ping() == coap.Message(coap.ACK, coap.EMPTY, board.next_id - 1)
