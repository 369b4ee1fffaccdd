"""What is written down of sessions, how soon, and what a stop or a failure leaves of it."""

import msgspec
import pytest
from sqlalchemy import text

from cyan.core.secrets import open_vault
from cyan.devices.presence import LEASE_RENEWAL_S, is_held
from cyan.gateway import keeper as keeper_module
from cyan.gateway.adoption import purpose
from cyan.gateway.datagrams import DatagramLink
from cyan.gateway.keeper import FLUSH_S, LAZY_TURNS, SETTLE_S
from cyan.gateway.session import FORMAT, UnreadableSessionError, decode_cold, encode_cold
from cyan.gateway.udp import read_address
from cyan.wire.messages import Goodbye, Subscribe, encode_goodbye
from tests.gateway.board import Board
from tests.gateway.conversation.scripts import open_session
from tests.gateway.stream_board import StreamBoard
from tests.gateway.world import ADA, World

ONE_FLUSH_S = FLUSH_S + 0.5
"""Steps of time are half a second."""


def received(world: World) -> list[object]:
    """The highest record number of each stored session, oldest first."""
    return [row["highest_received"] for row in world.sessions()]


def port_of(world: World) -> int:
    (row,) = world.sessions()
    address = row["address"]
    assert isinstance(address, bytes)
    return read_address(address)[1]


def heard_ms(world: World, board: Board | StreamBoard) -> int:
    """The journal has it of a session; a connection leaves it with the device's presence."""
    if isinstance(board, Board):
        (session,) = world.sessions()
        return int(str(session["heard_at_ms"]))
    row = world.db.row(
        text("SELECT last_heard_ms FROM devices_presence WHERE device_id = :id"),
        {"id": board.device_id},
    )
    assert row is not None
    return int(row.last_heard_ms)


def link_of(world: World, board: Board) -> DatagramLink:
    link = world.gateway.online_link(board.device_id)
    assert isinstance(link, DatagramLink)
    return link


async def settled(board: Board) -> Board:
    """A board whose session is set up, as far as the server knows."""
    await board.connect()
    await board.describe_modules()
    await board.subscribe("fleet/")
    await board.world.advance(SETTLE_S + 2 * FLUSH_S)
    assert link_of(board.world, board).session.settled
    return board


async def at_rest(world: World, board: Board) -> None:
    """Until there is nothing left to write."""
    await world.advance((LAZY_TURNS + 2) * FLUSH_S)
    assert received(world) == [link_of(world, board).records.highest_received]


@pytest.mark.parametrize("has_connection_id", [True, False])
async def test_a_new_address_is_written_with_the_next_flush(
    world: World, has_connection_id: bool
) -> None:
    board = await Board(world, has_connection_id=has_connection_id).connect()
    await at_rest(world, board)
    for port in (41_000, 41_001, 41_002):
        board.resume(port)
        assert await board.ping() is not None
        await world.advance(ONE_FLUSH_S)
        assert port_of(world) == port
        assert received(world) == [link_of(world, board).records.highest_received]


async def test_counters_are_written_later_and_not_with_every_flush(world: World) -> None:
    board = await settled(Board(world))
    await at_rest(world, board)
    (before,) = received(world)
    seen = set[object]()
    for _ in range(LAZY_TURNS - 2):
        await board.ping()
        await world.advance(FLUSH_S)
        seen.update(received(world))
    assert seen == {before}
    last = link_of(world, board).records.highest_received
    await world.advance((LAZY_TURNS + 1) * FLUSH_S)
    assert received(world) == [last]


async def test_while_a_session_is_set_up_its_counters_are_written_with_the_next_flush(
    world: World,
) -> None:
    # How far the set-up has come decides about it after a restart.
    board = await Board(world).connect()
    await at_rest(world, board)
    await board.subscribe("fleet/")
    await world.advance(ONE_FLUSH_S)
    assert received(world) == [link_of(world, board).records.highest_received]


async def test_when_a_device_was_heard_is_written_within_the_same_time(world: World) -> None:
    board, stream = await Board(world, 1).connect(), await StreamBoard(world, 2).connect()
    await at_rest(world, board)
    await board.ping()
    await stream.ping()
    now_ms = world.clock.now_ms()
    await world.advance((LAZY_TURNS + 1) * FLUSH_S)
    assert heard_ms(world, board) == heard_ms(world, stream) == now_ms


async def test_when_many_are_due_at_once_each_flush_writes_some_and_none_is_passed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "LAZY_ROWS", 2)
    boards = [await settled(Board(world, index)) for index in range(1, 8)]
    await world.advance(30)
    before = received(world)
    for board in boards:
        await board.ping()
    written = []
    for _ in range(LAZY_TURNS + len(boards)):
        await world.advance(FLUSH_S)
        after = received(world)
        written.append(sum(old != new for old, new in zip(before, after, strict=True)))
        before = after
    assert max(written) == 2
    assert sum(written) == len(boards)


@pytest.mark.parametrize("has_connection_id", [True, False])
async def test_a_clean_stop_writes_everything(world: World, has_connection_id: bool) -> None:
    board = await Board(world, has_connection_id=has_connection_id).connect()
    stream = await StreamBoard(world, 2).connect()
    await at_rest(world, board)
    board.resume(41_000)
    for _ in range(3):
        await board.ping()
        await stream.ping()
    link = link_of(world, board)
    await world.stop()
    (row,) = world.sessions()
    assert row["highest_received"] == link.records.highest_received
    assert row["replay_window"] == link.records.replay_window
    assert row["device_message_id"] == board.next_id - 1
    assert row["next_message_id"] == link.exchange.next_message_id
    assert port_of(world) == 41_000
    assert heard_ms(world, board) == heard_ms(world, stream) == world.clock.now_ms()


async def test_a_flush_that_failed_is_made_up_for(world: World) -> None:
    board, leaver = await settled(Board(world)), await StreamBoard(world, 2).connect()
    await at_rest(world, board)
    board.resume(41_000)
    await board.ping()
    with world.broken_table("devices_presence"):
        await leaver.hang_up()
        await world.advance(3 * ONE_FLUSH_S)
        assert port_of(world) == 40_001
    await world.advance(ONE_FLUSH_S)
    assert port_of(world) == 41_000
    row = world.db.row(
        text("SELECT online FROM devices_presence WHERE device_id = :id"), {"id": leaver.device_id}
    )
    assert row is not None
    assert not row.online


async def test_a_device_that_says_goodbye_and_connects_anew_is_stored_as_online(
    world: World,
) -> None:
    board = await Board(world).connect()
    await at_rest(world, board)
    await board.say(lambda id_: encode_goodbye(id_, Goodbye(disconnect_reason=5)))
    await board.connect()
    await world.advance(2 * ONE_FLUSH_S)
    assert is_held(world.db, board.device_id, world.clock.now_ms())
    await world.restart()
    assert world.presence.is_online(board.device_id)
    assert world.statuses() == ["online", "offline", "online"]


async def test_nothing_is_written_while_nothing_happens_but_the_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = await Board(world, platform_id=13).connect()
    await at_rest(world, board)
    before = world.db.write_blocking(lambda connection: changes(connection))
    await world.advance(60)
    after = world.db.write_blocking(lambda connection: changes(connection))
    assert after - before <= 60 / LEASE_RENEWAL_S + 1


def changes(connection: object) -> int:
    """Rows that this connection has written in its life."""
    driver = connection.connection.driver_connection  # type: ignore[attr-defined]
    return int(driver.total_changes)


# -- formats -----------------------------------------------------------------------------------


def as_format_1(stored: bytes) -> bytes:
    """The value as the version before wrote it, which knew no sessions without connection id."""
    cold = msgspec.msgpack.decode(stored, type=dict[str, object])
    del cold["has_connection_id"]
    return msgspec.msgpack.encode(cold)


def test_a_session_of_format_1_has_a_connection_id() -> None:
    session = open_session()
    session.subscriptions = (Subscribe("fleet/"),)
    found = decode_cold(b"session1", 1, as_format_1(encode_cold(session)))
    assert found.has_connection_id
    assert (found.keys, found.public_key) == (session.keys, session.public_key)
    assert (found.device_id, found.subscriptions) == (session.device_id, session.subscriptions)


def test_a_session_without_connection_id_is_stored_as_such() -> None:
    session = open_session()
    session.has_connection_id = False
    assert not decode_cold(b"session1", FORMAT, encode_cold(session)).has_connection_id


@pytest.mark.parametrize("stored", [b"", b"\x80", b"\xc1" * 30])
def test_what_is_no_session_of_format_1_is_told(stored: bytes) -> None:
    with pytest.raises(UnreadableSessionError):
        decode_cold(b"session1", 1, stored)


async def test_a_session_of_the_version_before_goes_on_and_is_written_anew(world: World) -> None:
    board = Board(world)
    world.register(board.device_id, ADA)
    await board.connect()
    await board.subscribe("fleet/")
    await world.advance(2)
    await world.crash()
    vault = open_vault(world.config.data)
    (row,) = world.sessions()
    name, sealed = row["connection_id"], row["cold"]
    assert isinstance(name, bytes)
    assert isinstance(sealed, bytes)
    older = vault.seal(as_format_1(vault.open(sealed, purpose(name))), purpose(name))
    await world.db.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE gateway_session SET format = 1, cold = ?", (older,)
        )
    )
    await world.start()
    assert await board.publish("fleet/news") is not None
    assert "fleet/news" in board.event_names()
    assert await board.subscribe("other/") is not None
    (row,) = world.sessions()
    assert row["format"] == FORMAT
    await world.restart()
    assert await board.ping() is not None
