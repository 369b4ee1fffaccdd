"""Events from a device: acknowledged when they are on disk, once."""

import pytest

from cyan.wire import coap
from cyan.wire.messages import Publish, encode_publish
from tests.gateway.board import Board
from tests.gateway.world import World, metric


async def test_an_event_is_logged_and_acknowledged(world: World) -> None:
    board = await Board(world).connect()
    assert await board.publish("temperature", b"21.5") is not None
    (event,) = world.logged("temperature")
    assert (event.data, event.origin, event.version) == (b"21.5", board.device_id, 0)
    assert (event.session, event.message_id) == (board.connection_id, board.next_id - 1)


async def test_an_event_is_not_acknowledged_before_its_commit(world: World) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()
    with world.slow_disk():
        board.transmit(encode_publish(message_id, Publish("temperature", b"21.5")))
        await world.linger()
        assert board.answer_to(message_id) is None
    await world.settle()
    assert board.answer_to(message_id) == coap.Message(coap.ACK, coap.EMPTY, message_id)


async def test_an_event_whose_commit_fails_is_answered_with_5_03(world: World) -> None:
    board = await Board(world).connect()
    before = metric("cyan_events_refused_total")
    with world.broken_table("events_event"):
        answer = await board.publish("temperature", b"21.5")
    assert answer is not None
    assert answer.code == coap.SERVICE_UNAVAILABLE
    assert metric("cyan_events_refused_total") == before + 1
    assert world.logged("temperature") == []
    assert await board.publish("temperature", b"21.6") is not None
    assert [event.data for event in world.logged("temperature")] == [b"21.6"]


async def test_a_commit_that_fails_as_a_whole_acknowledges_nothing_of_it(world: World) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()

    def poison(connection: object) -> None:
        # Found out only at COMMIT, so that all units of the group are lost with it.
        execute = connection.exec_driver_sql  # type: ignore[attr-defined]
        execute("PRAGMA defer_foreign_keys = ON")
        execute(
            "INSERT INTO accounts_token (id, sha256, user_id, client_id, created_at_ms)"
            " VALUES ('x', x'00', 'nobody', 'none', 0)"
        )

    with world.slow_disk():
        world.db.submit(poison, lambda result, error: None)
        board.transmit(encode_publish(message_id, Publish("temperature", b"21.5")))
        await world.linger()
    await world.log.drain()
    await world.settle()
    answer = board.answer_to(message_id)
    assert answer is not None
    assert answer.code == coap.SERVICE_UNAVAILABLE
    assert world.logged("temperature") == []


async def test_a_message_that_comes_again_has_one_effect_and_the_same_answer(world: World) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()
    event = encode_publish(message_id, Publish("temperature", b"21.5"))
    board.transmit(event)
    board.transmit(event)
    await world.settle()
    board.transmit(event)
    await world.settle()
    assert len(world.logged("temperature")) == 1
    answers = [
        raw
        for raw, message in zip(board.raw, board.messages, strict=True)
        if message.message_id == message_id and message.type == coap.ACK
    ]
    assert answers == [coap.encode_empty_ack(message_id)] * 2, "none while it was not committed"


async def test_a_refused_event_stays_refused_when_it_comes_again(world: World) -> None:
    board = await Board(world).connect()
    message_id = board.take_id()
    event = encode_publish(message_id, Publish("temperature", b"21.5"))
    with world.broken_table("events_event"):
        board.transmit(event)
        await world.settle()
    board.transmit(event)
    await world.settle()
    codes = [m.code for m in board.messages if m.message_id == message_id]
    assert codes == [coap.SERVICE_UNAVAILABLE] * 2
    assert world.logged("temperature") == []


async def test_a_message_id_is_new_again_after_it_has_been_forgotten(world: World) -> None:
    board = await Board(world, platform_id=13).connect()
    event = encode_publish(500, Publish("temperature", b"21.5"))
    board.transmit(event)
    await world.advance(94)
    board.transmit(event)
    await world.settle()
    assert len(world.logged("temperature")) == 1
    await world.advance(200)
    board.transmit(event)
    await world.settle()
    assert len(world.logged("temperature")) == 2


async def test_an_event_without_acknowledgement_is_logged_and_not_answered(world: World) -> None:
    board = await Board(world).connect()
    event = Publish("temperature", b"21.5", confirmable=False)
    assert await board.say(lambda id_: encode_publish(id_, event)) is None
    assert len(world.logged("temperature")) == 1


async def test_event_data_of_1024_bytes_is_taken_and_of_1025_refused(world: World) -> None:
    """Row 17: sizes."""
    board = await Board(world).connect()
    taken = await board.publish("large", b"x" * 1024)
    assert taken is not None
    assert taken.code == coap.EMPTY
    path = ((coap.URI_PATH, b"E"), (coap.URI_PATH, b"larger"))
    refused = await board.say(
        lambda id_: coap.encode(coap.Message(coap.CON, coap.POST, id_, b"", path, b"x" * 1025))
    )
    assert refused is not None
    assert refused.code == coap.BAD_REQUEST
    assert [len(event.data or b"") for event in world.logged("large")] == [1024]
    assert world.logged("larger") == []
    assert not board.was_closed


async def test_an_event_name_of_64_bytes_is_taken_and_of_65_refused(world: World) -> None:
    """Row 17: sizes."""
    board = await Board(world).connect()
    assert await board.publish("n" * 64) is not None
    path = ((coap.URI_PATH, b"E"), (coap.URI_PATH, b"n" * 65))
    answer = await board.say(
        lambda id_: coap.encode(coap.Message(coap.CON, coap.POST, id_, b"", path, b"1"))
    )
    assert answer is not None
    assert answer.code == coap.BAD_REQUEST
    assert {len(event.name) for event in world.logged() if event.name[0] == "n"} == {64}


@pytest.mark.parametrize("name", ["two\nlines", "bell\a"])
async def test_a_name_that_would_break_a_stream_is_refused(world: World, name: str) -> None:
    board = await Board(world).connect()
    path = ((coap.URI_PATH, b"E"), (coap.URI_PATH, name.encode()))
    answer = await board.say(
        lambda id_: coap.encode(coap.Message(coap.CON, coap.POST, id_, b"", path, b"1"))
    )
    assert answer is not None
    assert answer.code == coap.BAD_REQUEST
    assert [event.name for event in world.logged() if event.origin != board.device_id] == []


async def test_a_claim_code_is_acknowledged_and_goes_nowhere(world: World) -> None:
    board = await Board(world).connect()
    assert await board.publish("spark/device/claim/code", b"c" * 63) is not None
    assert world.logged("spark/device/claim/code") == []


async def test_update_switches_are_kept_and_shown(world: World) -> None:
    board = await Board(world).connect()
    assert await board.publish("particle/device/updates/enabled", b"false") is not None
    assert await board.publish("particle/device/updates/forced", b"true") is not None
    row = world.db.driver.execute(
        "SELECT updates_enabled, updates_forced FROM devices_device WHERE id = ?",
        (board.device_id,),
    ).fetchone()
    assert row == (0, 1)
    assert len(world.logged("particle/device/updates/enabled")) == 1


async def test_a_device_that_asks_for_it_gets_its_session_ended(world: World) -> None:
    board = await Board(world).connect()
    assert await board.publish("spark/device/session/end", b"") is not None
    assert board.was_closed
    assert world.statuses() == ["online", "offline"]
