"""Signing in and out: sessions of people in browsers.

The cookie holds 160 random bits; what is stored is their SHA-256. A session is looked up for every
request, so its end is immediate, and a changed password ends all that were begun before.
"""

from sqlalchemy import Connection

from cyan.accounts import store as accounts_store
from cyan.accounts.model import TokensRevoked, User
from cyan.accounts.tokens import digest
from cyan.audit.store import record
from cyan.console import store
from cyan.console.model import (
    IDLE_LIFE_S,
    LONGEST_LIFE_S,
    MAX_AGENT_CHARACTERS,
    MAX_SESSIONS_PER_USER,
    RENEW_AFTER_S,
    Session,
)
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import UserId, new_object_id, new_token


class Sessions:
    """The sessions of everyone. What they opened ends with them: `TokensRevoked` names them too."""

    def __init__(self, db: Database, clock: Clock, bus: Bus) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus

    async def begin(self, user: User, checked_hash: str, agent: str) -> str | None:
        """The secret of a new session, for somebody whose password matched `checked_hash`.

        None when the password was changed in the meantime.
        """
        secret, now_ms = new_token(), self._clock.now_ms()
        shown = "".join(c if c.isprintable() else " " for c in agent)[:MAX_AGENT_CHARACTERS]
        session = Session(
            id=new_object_id(),
            user_id=user.id,
            username=user.username,
            is_operator=user.is_operator,
            created_at_ms=now_ms,
            used_at_ms=now_ms,
            expires_at_ms=now_ms + IDLE_LIFE_S * 1000,
            agent=shown,
        )

        def work(connection: Connection) -> tuple[str, ...] | None:
            if accounts_store.password_hash(connection, user.id) != checked_hash:
                return None
            store.delete_ended(connection, now_ms)
            too_many = store.living_in(connection, user.id, now_ms)[MAX_SESSIONS_PER_USER - 1 :]
            for old in too_many:
                _end_in(connection, old.user_id, old.id, now_ms)
            changed_at_ms = store.password_changed_at_ms(connection, user.id)
            store.add(connection, session, digest(secret), changed_at_ms)
            subject = f"session:{session.id}"
            record(connection, f"user:{user.id}", "session.created", subject, at_ms=now_ms)
            return tuple(old.id for old in too_many)

        ended = await self._db.write(work)
        if ended is None:
            return None
        self._tell(ended)
        return secret

    def find(self, secret: str) -> Session | None:
        """The living session with this secret."""
        return store.find_by_sha256(self._db, digest(secret), self._clock.now_ms())

    def is_living(self, session_id: str) -> bool:
        return store.find_by_id(self._db, session_id, self._clock.now_ms()) is not None

    async def note_use(self, session: Session) -> None:
        """Let the session live on; writes only when the last note is old."""
        now_ms = self._clock.now_ms()
        if now_ms - session.used_at_ms < RENEW_AFTER_S * 1000:
            return
        longest_ms = session.created_at_ms + LONGEST_LIFE_S * 1000
        ends_at_ms = min(now_ms + IDLE_LIFE_S * 1000, longest_ms)
        await self._db.write(
            lambda connection: store.use(connection, session.id, now_ms, ends_at_ms)
        )

    async def keep(self, session: Session) -> None:
        """Let this one go on after its person has changed the password in it."""

        def work(connection: Connection) -> tuple[str, ...]:
            changed_at_ms = store.password_changed_at_ms(connection, session.user_id)
            store.prove(connection, session.id, changed_at_ms)
            living = {
                other.id
                for other in store.living_in(connection, session.user_id, self._clock.now_ms())
            }
            return tuple(
                one for one in store.ids_in(connection, session.user_id) if one not in living
            )

        self._tell(await self._db.write(work))

    def list_of(self, user_id: UserId) -> list[Session]:
        """The person's living sessions, the last used first."""
        return store.list_of(self._db, user_id, self._clock.now_ms())

    async def end(
        self, user_id: UserId, session_id: str | None = None, *, but: str | None = None
    ) -> None:
        """End the person's session with this handle, or all of them except `but`. A stranger's is
        left alone."""
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> tuple[str, ...]:
            own = store.ids_in(connection, user_id)
            chosen = [one for one in own if one != but and session_id in (None, one)]
            for one in chosen:
                _end_in(connection, user_id, one, at_ms)
            return tuple(chosen)

        self._tell(await self._db.write(work))

    def _tell(self, ended: tuple[str, ...]) -> None:
        if ended:
            self._bus.publish(TokensRevoked(ended))


def _end_in(connection: Connection, user_id: UserId, session_id: str, at_ms: int) -> None:
    store.delete_one(connection, session_id)
    subject = f"session:{session_id}"
    record(connection, f"user:{user_id}", "session.ended", subject, at_ms=at_ms)
