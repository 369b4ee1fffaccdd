"""Notes for the operator: who is refused, and who connects over and over, at a bounded pace."""

from structlog.testing import capture_logs

from cyan.devices import refusals
from cyan.devices.refusals import AGAIN_AND_AGAIN, UDP, Refusal
from cyan.gateway.notes import CALM_S, MANY_OVER_UDP, MAX_IN_A_SECOND, QUIET_S
from tests.gateway.board import Board
from tests.gateway.world import World


def noted(world: World, reason: str) -> list[Refusal]:
    return [one for one in refusals.list_recent(world.db) if one.reason == reason]


def knock(world: World, number: int = 1, address: str = "192.0.2.7") -> None:
    board = Board(world, number)
    world.gateway._admission.note_refusal(board.device_id, "wrong_key", b"k", UDP, address)


async def test_every_time_counts_and_the_last_one_is_told(world: World) -> None:
    with capture_logs() as lines:
        for _ in range(7):
            knock(world)
            await world.advance(1)
        knock(world, address="192.0.2.9")
        await world.advance(QUIET_S + 1)
    (found,) = noted(world, "wrong_key")
    assert (found.count, found.address) == (8, "192.0.2.9")
    assert found.last_at_ms - found.first_at_ms == 7000
    assert [line["event"] for line in lines] == ["device.refused"]


async def test_what_was_not_written_yet_is_written_at_the_end(world: World) -> None:
    knock(world)
    await world.advance(1)
    knock(world)
    await world.stop()
    (found,) = noted(world, "wrong_key")
    assert found.count == 2


async def test_strangers_cannot_fill_the_log_or_the_disk(world: World) -> None:
    with capture_logs() as lines:
        for number in range(10 * MAX_IN_A_SECOND):
            knock(world, number)
        await world.advance(1)
    assert len(noted(world, "wrong_key")) == len(lines) == MAX_IN_A_SECOND


async def connect(world: World, times: int) -> None:
    for _ in range(times):
        await Board(world).connect()


async def test_a_device_with_many_full_handshakes_is_noted_with_their_number(world: World) -> None:
    await connect(world, MANY_OVER_UDP - 1)
    await world.advance(1)
    assert noted(world, AGAIN_AND_AGAIN) == []
    with capture_logs() as lines:
        await connect(world, 3)
        await world.advance(1)
    (found,) = noted(world, AGAIN_AND_AGAIN)
    assert found.device_id == Board(world).device_id
    assert (found.count, found.transport) == (MANY_OVER_UDP + 2, UDP)
    (line,) = [line for line in lines if line["event"] == "device.handshakes_again"]
    assert line["times"] == MANY_OVER_UDP


async def test_handshakes_far_from_each_other_are_nothing_to_note(world: World) -> None:
    for _ in range(3):
        await connect(world, MANY_OVER_UDP - 1)
        await world.advance(CALM_S)
    assert noted(world, AGAIN_AND_AGAIN) == []


async def test_many_devices_with_a_handshake_each_are_nothing_to_note(world: World) -> None:
    for number in range(1, 2 * MANY_OVER_UDP):
        await Board(world, number).connect()
    await world.advance(1)
    assert noted(world, AGAIN_AND_AGAIN) == []


async def test_resumptions_are_nothing_to_note(world: World) -> None:
    board = await Board(world).connect()
    for number in range(2 * MANY_OVER_UDP):
        board.resume(50_000 + number)
        assert await board.ping() is not None
    await world.advance(1)
    assert noted(world, AGAIN_AND_AGAIN) == []
