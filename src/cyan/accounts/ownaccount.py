"""What people do to their own account: profile, username, password, deletion.

Callers have checked the current password before, except for the profile.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from cyan.accounts import proofstore, store
from cyan.accounts.model import (
    AccountInUseError,
    OperatorAccountError,
    Profile,
    TokensRevoked,
    UnknownUserError,
    UsernameTakenError,
    check_new_password,
    parse_username,
)
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import require_account
from cyan.accounts.tokens import revoke_in
from cyan.audit.store import OPERATOR, record
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import UserId
from cyan.core.ports import AccountUse


class OwnAccount:
    """Changes of an account by its person. `uses`: what features have of accounts."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        bus: Bus,
        passwords: Passwords,
        uses: Sequence[AccountUse] = (),
    ) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._passwords = passwords
        self._uses = uses

    def profile(self, user_id: UserId) -> Profile:
        return store.find_profile(self._db, user_id)

    async def change_profile(self, user_id: UserId, profile: Profile) -> None:
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> None:
            require_account(connection, user_id)
            store.set_profile(connection, user_id, profile)
            subject = f"user:{user_id}"
            record(connection, subject, "user.profile_changed", subject, at_ms=at_ms)

        await self._db.write(work)

    async def change_username(self, user_id: UserId, username: str, *, revoke_tokens: bool) -> str:
        """Another e-mail address; everything stays, tokens too unless `revoke_tokens`. The new name
        in its stored form. Raises MalformedUsernameError, UsernameTakenError."""
        name = parse_username(username)
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> tuple[str, ...]:
            holder = store.user_by_name(connection, name)
            if holder is not None and holder.id != user_id:
                raise UsernameTakenError
            store.set_username(connection, user_id, name)
            # A code that was mailed to the old address must not open the account.
            proofstore.delete_reset(connection, user_id)
            subject = f"user:{user_id}"
            detail: dict[str, object] = {"username": name}
            record(connection, subject, "user.renamed", subject, detail, at_ms=at_ms)
            return _end_tokens(connection, user_id, revoke_tokens, subject, at_ms)

        self._tell(await self._db.write(work))
        return name

    async def change_password(self, user_id: UserId, password: str, *, revoke_tokens: bool) -> None:
        """Raises PasswordLengthError, TooManyLoginsError."""
        check_new_password(password)
        hashed = await self._passwords.hash(password)
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> tuple[str, ...]:
            store.set_password(connection, user_id, hashed, at_ms)
            proofstore.delete_reset(connection, user_id)
            subject = f"user:{user_id}"
            record(connection, subject, "user.password_changed", subject, at_ms=at_ms)
            return _end_tokens(connection, user_id, revoke_tokens, subject, at_ms)

        self._tell(await self._db.write(work))

    async def delete(self, user_id: UserId) -> None:
        """Remove the account with all that is its own.

        Raises AccountInUseError while it owns what others may need, OperatorAccountError.
        """
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> tuple[str, ...]:
            user = store.user_in(connection, user_id)
            if user is not None and user.is_operator:
                raise OperatorAccountError
            return delete_in(connection, user_id, self._uses, f"user:{user_id}", at_ms)

        self._tell(await self._db.write(work))

    def _tell(self, ended: tuple[str, ...]) -> None:
        if ended:
            self._bus.publish(TokensRevoked(ended))


def delete_user(db: Database, clock: Clock, username: str, uses: Sequence[AccountUse]) -> UserId:
    """As OwnAccount.delete, for the operator's command, of any account; waits.

    Raises MalformedUsernameError, UnknownUserError, AccountInUseError.
    """
    name = parse_username(username)
    at_ms = clock.now_ms()

    def work(connection: Connection) -> UserId:
        user = store.user_by_name(connection, name)
        if user is None:
            raise UnknownUserError
        delete_in(connection, user.id, uses, OPERATOR, at_ms)
        return user.id

    return db.write_blocking(work)


def delete_in(
    connection: Connection, user_id: UserId, uses: Sequence[AccountUse], actor: str, at_ms: int
) -> tuple[str, ...]:
    """Inside a transaction; the handles of the tokens that ended. Raises AccountInUseError."""
    reasons = [use.reason_to_stay(connection, user_id) for use in uses]
    told = " ".join(reason for reason in reasons if reason)
    if told:
        raise AccountInUseError(told)
    for use in uses:
        use.forget(connection, user_id)
    ended = _end_tokens(connection, user_id, True, actor, at_ms)
    for client in store.clients_of(connection, user_id):
        made = store.of_client(connection, client.id)
        revoke_in(connection, made, actor, at_ms)
        ended += tuple(token.id for token in made)
    store.delete_user(connection, user_id)
    record(connection, actor, "user.deleted", f"user:{user_id}", at_ms=at_ms)
    return ended


def _end_tokens(
    connection: Connection, user_id: UserId, revoke: bool, actor: str, at_ms: int
) -> tuple[str, ...]:
    if not revoke:
        return ()
    tokens = store.of_user(connection, user_id)
    revoke_in(connection, tokens, actor, at_ms)
    return tuple(token.id for token in tokens)
