"""A token revoked from the command line ends its streams, though nobody tells the server."""

import asyncio

import pytest

from cyan.accounts import people
from cyan.accounts.passwords import Passwords
from cyan.accounts.tokens import Tokens
from cyan.core.clock import SystemClock
from cyan.core.db.engine import Database
from cyan.events import jobs
from cyan.events.cursors import Cursors
from cyan.events.hub import Hub
from cyan.events.log import EventLog
from cyan.events.streams import StreamFilter
from tests.cast import Cast


class NoOwners:
    def owner_of(self, device_id: str) -> None:
        return None


async def test_a_stream_ends_soon_after_a_command_revoked_its_token(
    db: Database, cast: Cast, tokens: Tokens, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "TOKEN_WATCH_INTERVAL_S", 0.01)
    hub = Hub(EventLog(db, SystemClock()), NoOwners(), Cursors(bytes(16)), SystemClock())
    adas, _cleos = (
        hub.subscribe_stream(StreamFilter(person.user_id, None, ""), token_id=person.token_id)
        for person in (cast.ada, cast.cleo)
    )
    watching = asyncio.create_task(jobs.TokenWatch(hub, tokens.is_living).run())
    await asyncio.sleep(0.05)
    assert hub.stream_count == 2

    people.set_password(
        db, cast.ada.username, "another password", passwords=passwords, revoke_tokens=True
    )
    async with asyncio.timeout(5):
        assert await adas.next_chunk() is None
    assert hub.stream_count == 1
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    hub.close()
