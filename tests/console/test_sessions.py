"""Sessions of people in browsers: how long they live, and what ends them."""

import pytest

from cyan.accounts.model import TokensRevoked, User
from cyan.accounts.ownaccount import OwnAccount
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import People, set_password
from cyan.audit.store import list_entries
from cyan.belongings import account_uses
from cyan.console.model import (
    IDLE_LIFE_S,
    LONGEST_LIFE_S,
    MAX_AGENT_CHARACTERS,
    MAX_SESSIONS_PER_USER,
    RENEW_AFTER_S,
)
from cyan.console.sessions import Sessions
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from tests.cast import Cast
from tests.clock import HandClock


@pytest.fixture
def sessions(db: Database, clock: HandClock, bus: Bus) -> Sessions:
    return Sessions(db, clock, bus)


@pytest.fixture
def ada(cast: Cast, people: People) -> User:
    found = people.find(cast.ada.user_id)
    assert found is not None
    return found


async def begin(sessions: Sessions, people: People, user: User, agent: str = "a test") -> str:
    hashed = people.password_hash(user.id)
    assert hashed is not None
    secret = await sessions.begin(user, hashed, agent)
    assert secret is not None
    return secret


async def test_a_session_is_found_by_its_secret_only(
    sessions: Sessions, people: People, ada: User, db: Database
) -> None:
    secret = await begin(sessions, people, ada)
    found = sessions.find(secret)
    assert found is not None
    assert (found.user_id, found.username) == (ada.id, ada.username)
    assert sessions.find(found.id) is None
    assert secret.encode() not in db.path.read_bytes()
    assert sessions.find("0" * 40) is None


async def test_it_ends_when_it_was_not_used_for_two_weeks(
    sessions: Sessions, people: People, ada: User, clock: HandClock
) -> None:
    secret = await begin(sessions, people, ada)
    clock.advance(IDLE_LIFE_S - 1)
    assert sessions.find(secret) is not None
    clock.advance(1)
    assert sessions.find(secret) is None


async def test_use_keeps_it_alive_but_not_for_ever(
    sessions: Sessions, people: People, ada: User, clock: HandClock
) -> None:
    secret = await begin(sessions, people, ada)
    lived_s = 0
    while (session := sessions.find(secret)) is not None:
        await sessions.note_use(session)
        clock.advance(IDLE_LIFE_S - 10)
        lived_s += IDLE_LIFE_S - 10
    assert LONGEST_LIFE_S <= lived_s < LONGEST_LIFE_S + IDLE_LIFE_S


async def test_its_use_is_written_once_an_hour(
    sessions: Sessions, people: People, ada: User, clock: HandClock
) -> None:
    secret = await begin(sessions, people, ada)
    made = sessions.find(secret)
    assert made is not None
    clock.advance(RENEW_AFTER_S - 1)
    await sessions.note_use(made)
    assert sessions.find(secret) == made
    clock.advance(1)
    await sessions.note_use(made)
    used = sessions.find(secret)
    assert used is not None
    assert used.used_at_ms == clock.now_ms()


async def test_a_changed_password_ends_all_but_the_one_that_changed_it(
    sessions: Sessions,
    people: People,
    ada: User,
    db: Database,
    clock: HandClock,
    bus: Bus,
    passwords: Passwords,
) -> None:
    told: list[str] = []
    bus.subscribe(TokensRevoked, lambda fact: told.extend(fact.token_ids))
    here, elsewhere = [await begin(sessions, people, ada) for _ in range(2)]
    own, other = sessions.find(here), sessions.find(elsewhere)
    assert own is not None
    assert other is not None
    clock.advance(1)
    account = OwnAccount(db, clock, bus, passwords)
    await account.change_password(ada.id, "another password", revoke_tokens=False)
    assert not sessions.is_living(own.id)
    await sessions.keep(own)
    assert sessions.find(here) is not None
    assert sessions.find(elsewhere) is None
    assert told == [other.id]


async def test_a_password_set_by_the_operators_command_ends_them_all(
    sessions: Sessions,
    people: People,
    ada: User,
    db: Database,
    clock: HandClock,
    passwords: Passwords,
) -> None:
    secret = await begin(sessions, people, ada)
    clock.advance(1)
    set_password(db, ada.username, "another password", passwords=passwords, clock=clock)
    assert sessions.find(secret) is None
    assert sessions.list_of(ada.id) == []


async def test_none_begins_with_a_password_that_was_changed_meanwhile(
    sessions: Sessions, ada: User
) -> None:
    assert await sessions.begin(ada, "the hash of before", "a test") is None
    assert sessions.list_of(ada.id) == []


async def test_signing_out_ends_one_and_tells_what_hangs_on_it(
    sessions: Sessions, people: People, ada: User, bus: Bus, db: Database
) -> None:
    told: list[str] = []
    bus.subscribe(TokensRevoked, lambda fact: told.extend(fact.token_ids))
    secret, kept = [await begin(sessions, people, ada) for _ in range(2)]
    session = sessions.find(secret)
    assert session is not None
    await sessions.end(ada.id, session.id)
    assert sessions.find(secret) is None
    assert sessions.find(kept) is not None
    assert told == [session.id]
    done = [entry.action for entry in list_entries(db, subject=f"session:{session.id}")]
    assert done == ["session.ended", "session.created"]


async def test_a_stranger_ends_nobodys(
    sessions: Sessions, people: People, ada: User, cast: Cast
) -> None:
    secret = await begin(sessions, people, ada)
    session = sessions.find(secret)
    assert session is not None
    await sessions.end(cast.cleo.user_id, session.id)
    await sessions.end(cast.cleo.user_id)
    assert sessions.find(secret) is not None


async def test_one_too_many_pushes_out_the_one_that_was_used_longest_ago(
    sessions: Sessions, people: People, ada: User, clock: HandClock
) -> None:
    first = await begin(sessions, people, ada)
    clock.advance(1)
    for _ in range(MAX_SESSIONS_PER_USER - 1):
        await begin(sessions, people, ada)
    assert sessions.find(first) is not None
    await begin(sessions, people, ada)
    assert sessions.find(first) is None
    assert len(sessions.list_of(ada.id)) == MAX_SESSIONS_PER_USER


async def test_what_a_browser_says_of_itself_is_cut_and_cleaned(
    sessions: Sessions, people: People, ada: User
) -> None:
    secret = await begin(sessions, people, ada, "Fire\x00fox\n" + "x" * 5000)
    session = sessions.find(secret)
    assert session is not None
    assert len(session.agent) == MAX_AGENT_CHARACTERS
    assert session.agent.isprintable()


async def test_a_deleted_account_leaves_none(
    sessions: Sessions,
    people: People,
    ada: User,
    db: Database,
    clock: HandClock,
    bus: Bus,
    passwords: Passwords,
) -> None:
    secret = await begin(sessions, people, ada)
    account = OwnAccount(db, clock, bus, passwords, account_uses())
    await account.delete(ada.id)
    assert sessions.find(secret) is None
    left = db.driver.execute("SELECT count(*) FROM console_session").fetchone()
    assert left == (0,)
