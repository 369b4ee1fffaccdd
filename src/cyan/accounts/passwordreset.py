"""Password reset: a code by mail to who forgot their password.

The request is answered before anything is looked up; the work is done in the outbox. So neither the
answer nor its time tells whether there is such an account.
"""

from sqlalchemy import Connection

from cyan.accounts import proofstore, store
from cyan.accounts.model import (
    RESET_INTERVAL_S,
    RESET_LIFE_S,
    MalformedUsernameError,
    ResetError,
    TokensRevoked,
    User,
    check_new_password,
    parse_username,
)
from cyan.accounts.passwords import Passwords
from cyan.accounts.tokens import digest, revoke_in
from cyan.audit.store import record
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import new_token
from cyan.core.mail import Outbox
from cyan.core.ports import Mail

_ACTOR = "server"
"""In the audit, of a request whose sender is not known."""


class PasswordResets:
    """Makes and redeems the codes. `api_url` stands in the mail, and `page`, where people can type
    the code, if there is one."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        bus: Bus,
        passwords: Passwords,
        outbox: Outbox,
        api_url: str,
        page: str | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._passwords = passwords
        self._outbox = outbox
        self._api_url = api_url
        self._page = page

    def ask(self, username: str) -> None:
        """Send a code to this person, if they have an account. Never waits."""
        try:
            name = parse_username(username)
        except MalformedUsernameError:
            return
        self._outbox.put(lambda: self._make(name))

    async def redeem(self, code: str, password: str) -> None:
        """Set the password of the code's account, and end all of its tokens.

        Raises ResetError, PasswordLengthError, TooManyLoginsError.
        """
        check_new_password(password)
        proof = digest(code)
        if not proofstore.has_reset(self._db, proof, self._clock.now_ms()):
            raise ResetError
        hashed = await self._passwords.hash(password)
        now_ms = self._clock.now_ms()

        def work(connection: Connection) -> tuple[str, ...]:
            user_id = proofstore.reset_user(connection, proof, now_ms)
            if user_id is None:
                raise ResetError
            actor = f"user:{user_id}"
            store.set_password(connection, user_id, hashed, now_ms)
            proofstore.delete_reset(connection, user_id)
            record(connection, actor, "user.password_reset", actor, at_ms=now_ms)
            ended = store.of_user(connection, user_id)
            revoke_in(connection, ended, actor, now_ms)
            return tuple(token.id for token in ended)

        ended = await self._db.write(work)
        if ended:
            self._bus.publish(TokensRevoked(ended))

    async def _make(self, username: str) -> None:
        code, now_ms = new_token(), self._clock.now_ms()

        def work(connection: Connection) -> User | None:
            user = store.user_by_name(connection, username)
            if user is None or not user.has_password:
                return None
            before_ms = proofstore.reset_made_at_ms(connection, user.id)
            if before_ms is not None and now_ms - before_ms < RESET_INTERVAL_S * 1000:
                return None
            ends_at_ms = now_ms + RESET_LIFE_S * 1000
            proofstore.set_reset(connection, user.id, digest(code), now_ms, ends_at_ms)
            subject = f"user:{user.id}"
            record(connection, _ACTOR, "user.reset_requested", subject, at_ms=now_ms)
            return user

        user = await self._db.write(work)
        if user is not None:
            text = _TEXT.format(
                username=user.username,
                code=code,
                minutes=RESET_LIFE_S // 60,
                where=_ON_PAGE.format(page=self._page) if self._page else "",
                url=f"{self._api_url}/v1/user/password-reset",
            )
            await self._outbox.send(Mail(user.username, "Your new password", text, "reset"))


_ON_PAGE = """ at

    {page}

or by"""

_TEXT = """\
Somebody, probably you, asked for a new password for {username}.

Your code, good for {minutes} minutes and once:

    {code}

Set a new password with it{where}:

    curl -X PUT {url} -d token={code} -d password=...

All logins of the account end then. If it was not you, there is nothing to do.
"""
