"""A person's session in the console: values and limits."""

from typing import Final

import msgspec

from cyan.core.ids import UserId

ROOT: Final = "/console"
"""Under this path stands everything of the console."""

SIGN_IN: Final = f"{ROOT}/sign-in"

CLIENT: Final = "console"
"""Stands as the client of who acts through a session."""

IDLE_LIFE_S: Final = 14 * 24 * 3600
"""A session that is not used ends after two weeks: a laptop that was given away is shut out."""

LONGEST_LIFE_S: Final = 90 * 24 * 3600
"""However much it is used, a session ends; as long as an access token by default
(rest-api-core.md §5.1)."""

RENEW_AFTER_S: Final = 3600
"""How old the note of the last use may become: one write an hour, not one for each page."""

MAX_SESSIONS_PER_USER: Final = 100
"""More push out the oldest."""

MAX_AGENT_CHARACTERS: Final = 200
"""Of what a browser says of itself."""


class Session(msgspec.Struct, frozen=True):
    """A browser in which somebody is signed in. The secret of its cookie is stored hashed."""

    id: str
    """A handle of 24 hex digits. It names the session, but opens nothing."""
    user_id: UserId
    username: str
    is_operator: bool
    created_at_ms: int
    used_at_ms: int
    """When it was last used, to within RENEW_AFTER_S."""
    expires_at_ms: int
    agent: str
    """What the browser said of itself."""
