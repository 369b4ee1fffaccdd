"""What commands did beside the running server, so that it can act on it at once.

A command (`cyan device key --forget`, `cyan user passwd --revoke-tokens`) writes to the database
and leaves an entry of the operator; the server looks at the operator's entries once a second.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from cyan.audit import store
from cyan.core.db.engine import Database

INTERVAL_S = 1.0
"""How long the server may lag behind a command; a look costs some 20 µs."""

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
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                self.look()
            except Exception:
                _log.exception("audit.watch_failed")

    def look(self) -> None:
        """Act on what is new, each entry once."""
        for entry in store.list_after(self._database, store.OPERATOR, self._seen):
            self._seen = entry.id
            react = self._reactions.get(entry.action)
            if react is not None:
                react(entry.subject.partition(":")[2])
