"""What was done in a person's name, and to their account: their part of the audit."""

import re

from starlette.responses import Response

from cyan.audit.store import Entry, list_entries
from cyan.console.account import ACCOUNT
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit
from cyan.core.db.engine import Database

TRAIL = f"{ACCOUNT}/history"
PAGE_SIZE = 50

_WORDS = {"session.created": "Signed in", "session.ended": "Signed out"}
_ID = re.compile(r"[0-9]{1,18}\Z")


def pages(needs: Needs) -> list[Page]:
    async def show(visit: Visit) -> Response:
        before = visit.query.get("before", "")
        before_id = int(before) if _ID.match(before) else None
        entries = entries_of(needs.database, f"user:{visit.caller.user_id}", before_id)
        return visit.page(
            "account-history.html",
            entries=entries[:PAGE_SIZE],
            older=entries[PAGE_SIZE - 1].id if len(entries) > PAGE_SIZE else None,
            is_first=before_id is None,
            own=f"user:{visit.caller.user_id}",
            in_words=in_words,
        )

    return [Page("GET", TRAIL, show)]


def entries_of(database: Database, person: str, before_id: int | None) -> list[Entry]:
    """What the person did and what others did to the account, newest first; one more than a page
    when there are more."""
    found = {
        entry.id: entry
        for entries in (
            list_entries(database, actor=person, before_id=before_id, limit=PAGE_SIZE + 1),
            list_entries(database, subject=person, before_id=before_id, limit=PAGE_SIZE + 1),
        )
        for entry in entries
    }
    return [found[key] for key in sorted(found, reverse=True)][: PAGE_SIZE + 1]


def in_words(action: str) -> str:
    """`device.claimed` as `Device claimed`."""
    if action in _WORDS:
        return _WORDS[action]
    return action.replace(".", " ").replace("_", " ").capitalize()
