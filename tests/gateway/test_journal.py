"""The journal of sessions: what counts of it, what goes, and what a start makes of it."""

import pytest
from sqlalchemy import text

from cyan.gateway import journal as journal_module
from cyan.gateway.datagrams import DatagramLink
from cyan.gateway.entries import Hot, newest, pack, unpack
from cyan.gateway.journal import Journal
from cyan.gateway.keeper import FLUSH_S, LAZY_TURNS
from tests.gateway.board import Board
from tests.gateway.world import World

WRITTEN_S = (LAZY_TURNS + 2) * FLUSH_S

HOT = Hot(
    connection_id=b"abcdefgh",
    adoption=3,
    highest_received=(1 << 48) - 1,
    replay_window=(1 << 64) - 1,
    device_message_id=0xFFFF,
    next_message_id=0xFFFF,
    settled=True,
    heard_at_ms=1_800_000_000_000,
    address=bytes(range(28)),
)
FRESH = Hot(
    connection_id=bytes(8),
    adoption=0,
    highest_received=-1,
    replay_window=0,
    device_message_id=-1,
    next_message_id=0,
    settled=False,
    heard_at_ms=0,
    address=b"\x02\x00" + bytes(14),
)


def batches(world: World) -> list[bytes]:
    rows = world.db.rows(text("SELECT entries FROM gateway_journal ORDER BY number"))
    return [row.entries for row in rows]


def links_of(world: World, boards: list[Board]) -> list[DatagramLink]:
    links = [world.gateway.online_link(board.device_id) for board in boards]
    return [link for link in links if isinstance(link, DatagramLink)]


def test_an_entry_says_what_was_put_into_it() -> None:
    assert list(unpack(pack(HOT) + pack(FRESH))) == [HOT, FRESH]


def test_of_several_entries_the_newest_counts_for_each_holder() -> None:
    later = Hot(b"abcdefgh", 4, 1, 1, 1, 1, False, 1, b"")
    found = newest([pack(FRESH) + pack(later), pack(HOT), pack(FRESH)])
    assert found == {(bytes(8), 0): FRESH, (b"abcdefgh", 3): HOT, (b"abcdefgh", 4): later}


async def test_a_start_brings_the_rows_up_to_date_and_empties_the_journal(world: World) -> None:
    board = await Board(world).connect()
    for _ in range(5):
        await board.ping()
    await world.advance(WRITTEN_S)
    (before,) = world.sessions()
    assert batches(world) != []
    await world.crash()
    await world.start()
    assert batches(world) == []
    (after,) = world.sessions()
    assert after["highest_received"] == before["highest_received"] != -1
    assert after["heard_at_ms"] == before["heard_at_ms"]
    assert after["address"] == before["address"]
    assert await board.ping() is not None


async def test_the_journal_stays_small_and_carries_on_whoever_is_quiet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SLACK", 4)
    quiet, busy = [Board(world, index) for index in (1, 2)], Board(world, 3)
    for board in (*quiet, busy):
        await board.connect()
    await world.advance(WRITTEN_S)
    for _ in range(40):
        await busy.ping()
        await world.advance(WRITTEN_S)
        entries = [hot for each in batches(world) for hot in unpack(each)]
        assert len(entries) <= 2 * 3 + 4
        assert len(newest(batches(world))) == 3
    await world.crash()
    await world.start()
    for board in (*quiet, busy):
        assert await board.ping() is not None


async def test_ended_sessions_are_not_carried_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SLACK", 0)
    boards = [await Board(world, index).connect() for index in (1, 2)]
    gone, here = links_of(world, boards)
    sessions = {link.session.connection_id: link for link in (gone, here)}
    journal = Journal(sessions)
    journal.write([gone, here])
    gone.ended = "test"
    del sessions[gone.session.connection_id]
    written = [here]
    batch = journal.write(written)
    assert batch.oldest == batch.number
    assert written == [here]


async def test_what_could_not_be_stored_is_written_with_the_next_flush(world: World) -> None:
    board = await Board(world).connect()
    with world.broken_table("gateway_journal"):
        board.resume(41_000)
        assert await board.ping() is not None
        await world.advance(2 * FLUSH_S)
    await world.advance(2 * FLUSH_S)
    (session,) = world.sessions()
    (link,) = links_of(world, [board])
    assert session["address"] == link.address
