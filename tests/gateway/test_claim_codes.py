"""A board presents a claim code: its owner, the answer, and what nobody sees of the code."""

from cyan.core.ids import UserId
from cyan.devices import claimcodes
from cyan.devices.claimcodes import ClaimCodes
from cyan.devices.model import DeviceClaimed
from cyan.rest.auth import Caller
from tests.gateway.board import Board
from tests.gateway.world import ADA, CLEO, World

CLAIM_CODE = "spark/device/claim/code"


async def make_code(world: World, user_id: UserId = ADA) -> str:
    codes = ClaimCodes(world.db, world.clock, world.bus, world.ownership)
    caller = Caller(
        user_id=user_id,
        username="ada@example.com",
        token_id="t",
        client_id="c",
        expires_at_ms=None,
    )
    return (await codes.create(caller)).code


async def test_a_board_with_a_code_has_an_owner_before_it_is_acknowledged(world: World) -> None:
    board = await Board(world).connect()
    claimed: list[DeviceClaimed] = []
    world.bus.subscribe(DeviceClaimed, claimed.append)
    answer = await board.publish(CLAIM_CODE, (await make_code(world)).encode())
    assert answer is not None
    assert world.ownership.owner_of(board.device_id) == ADA
    assert claimed == [DeviceClaimed(board.device_id, ADA, None)]
    assert board.event_names()[-1] == CLAIM_CODE
    await board.publish("temperature", b"21")
    assert world.logged("temperature")[0].owner_id == ADA


async def test_the_code_reaches_no_stream(world: World) -> None:
    board = await Board(world).connect()
    code = await make_code(world)
    await board.publish(CLAIM_CODE, code.encode())
    assert world.logged(CLAIM_CODE) == []
    assert not any(code.encode() in (event.data or b"") for event in world.logged())
    assert not any(code.encode() in raw for raw in board.raw)


async def test_a_board_of_somebody_else_changes_hands(world: World) -> None:
    board = Board(world)
    world.register(board.device_id, CLEO)
    await board.connect()
    await board.publish(CLAIM_CODE, (await make_code(world)).encode())
    assert world.ownership.owner_of(board.device_id) == ADA


async def test_a_bad_code_changes_nothing_and_the_board_is_told_to_forget_it(
    world: World,
) -> None:
    board = Board(world)
    world.register(board.device_id, CLEO)
    await board.connect()
    assert await board.publish(CLAIM_CODE, b"x" * 63) is not None
    assert world.ownership.owner_of(board.device_id) == CLEO
    assert board.event_names()[-1] == CLAIM_CODE


async def test_a_code_that_comes_twice_on_the_wire_is_used_once(world: World) -> None:
    board = await Board(world).connect()
    code = (await make_code(world)).encode()
    message_id = board.next_id
    await board.publish(CLAIM_CODE, code)
    board.next_id = message_id
    await board.publish(CLAIM_CODE, code)
    assert board.event_names().count(CLAIM_CODE) == 1


async def test_a_code_that_could_not_be_stored_may_come_again(world: World) -> None:
    board = await Board(world).connect()
    code = (await make_code(world)).encode()
    message_id = board.next_id
    with world.broken_table("devices_claim_code"):
        assert await board.publish(CLAIM_CODE, code) is None
    assert CLAIM_CODE not in board.event_names()
    board.next_id = message_id
    assert await board.publish(CLAIM_CODE, code) is not None
    assert world.ownership.owner_of(board.device_id) == ADA


async def test_a_code_of_yesterday_is_no_good_any_more(world: World) -> None:
    code = (await make_code(world)).encode()
    await world.advance(claimcodes.LIFE_MS / 1000)
    board = await Board(world).connect()
    assert await board.publish(CLAIM_CODE, code) is not None
    assert world.ownership.owner_of(board.device_id) is None
