"""What commands did beside the running server, so that it can act on it at once.

A command (`cyan device key --forget`, `cyan user passwd --revoke-tokens`) writes to the database
and leaves an entry of the operator; the server looks at the operator's entries once a second.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from cyan.audit import store
from cyan.core.db.engine import Database

INTERVAL_S = 1.0
"""How long the server may lag behind a command; a look costs some 20 µs."""

PAGE: Final = 2000
"""Entries of one look, a few milliseconds. A script that registers a fleet leaves many."""

GO_ON_S: Final = 0.05
"""Between two looks when there are more."""

Reaction = Callable[[str], None]
"""Called with the id of the entry's subject: `token:<id>`, `device:<id>`."""

_log = structlog.get_logger(__name__)


class OperatorWatch:
    """Calls the reaction to each of the operator's new entries. `reactions` is by action."""

    def __init__(self, database: Database, reactions: Mapping[str, Reaction]) -> None:
        self._database = database
        self._reactions = reactions
        self._seen = store.newest_id(database)

    async def run(self) -> None:
        """Run for as long as the server does."""
        is_behind = False
        while True:
            await asyncio.sleep(GO_ON_S if is_behind else INTERVAL_S)
            is_behind = False
            try:
                is_behind = self.look()
            except Exception:
                _log.exception("audit.watch_failed")

    def look(self) -> bool:
        """Act on what is new, each entry once; whether there may be more."""
        found = store.actions_after(self._database, store.OPERATOR, self._seen, PAGE)
        for entry_id, action, subject in found:
            self._seen = entry_id
            react = self._reactions.get(action)
            if react is not None:
                react(subject.partition(":")[2])
        return len(found) == PAGE
