"""Access tokens: making, checking, listing and ending them.

A token is 160 random bits; what is stored is its SHA-256, which cannot be turned back and needs no
salt, because there is nothing to guess. What a token says is forgotten with every commit, so that
its end is immediate.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from cyan.accounts import store
from cyan.accounts.model import (
    DEFAULT_EXPIRES_IN_S,
    KEEP_EXPIRED_S,
    MAX_TOKENS_PER_USER,
    REFRESH_LIFE_S,
    NewToken,
    Token,
    TokensRevoked,
    TooManyTokensError,
)
from cyan.audit.store import record
from cyan.core.bus import Bus
from cyan.core.clock import Clock, SystemClock
from cyan.core.db.engine import Database
from cyan.core.ids import UserId, new_object_id, new_token
from cyan.rest.auth import Caller, ExpiredTokenError, InvalidTokenError

SERVER = "cyan"
"""Stands as the client of tokens that a command made."""


MAX_CALLERS: Final = 1024
"""Those who call are remembered while nothing is written, this many of them."""


def digest(secret: str) -> bytes:
    """What is stored in place of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


class Tokens:
    """The tokens of everyone; the `Authenticator` of `rest`."""

    def __init__(self, db: Database, clock: Clock, bus: Bus) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._callers: dict[str, Caller] = {}
        self._callers_of = (0, 0)
        """The version of the database in which they were read."""

    def authenticate(self, token: str) -> Caller:
        """Raises InvalidTokenError or ExpiredTokenError."""
        version = self._db.version()
        if version != self._callers_of or len(self._callers) >= MAX_CALLERS:
            self._callers.clear()
            self._callers_of = version
        caller = self._callers.get(token)
        if caller is None:
            caller = self._callers[token] = self._read(token)
        if caller.expires_at_ms is not None and caller.expires_at_ms <= self._clock.now_ms():
            raise ExpiredTokenError
        return caller

    def _read(self, token: str) -> Caller:
        rows = self._db.driver.execute(store.AUTHENTICATE, (digest(token),)).fetchall()
        if not rows:
            raise InvalidTokenError
        user_id, username, token_id, client_id, expires_at_ms, is_operator = rows[0]
        return Caller(
            UserId(user_id), username, token_id, client_id, expires_at_ms, bool(is_operator)
        )

    async def issue(
        self, user_id: UserId, client_id: str, expires_in_s: int, checked_hash: str
    ) -> NewToken | None:
        """A token for somebody whose password matched `checked_hash`; 0 seconds: without end.

        None when the password was changed in the meantime. Raises TooManyTokensError.
        """
        new = _make(user_id, client_id, expires_in_s, self._clock.now_ms())

        def work(connection: Connection) -> NewToken | None:
            if store.password_hash(connection, user_id) != checked_hash:
                return None
            _add(connection, new, actor=f"user:{user_id}")
            return new

        return await self._db.write(work)

    async def issue_to_client(
        self, user_id: UserId, client_id: str, expires_in_s: int
    ) -> NewToken | None:
        """A token for the owner of an OAuth client, whose secret was shown; 0 seconds: without end.

        None when the client was deleted in the meantime. Raises TooManyTokensError.
        """
        new = _make(user_id, client_id, expires_in_s, self._clock.now_ms())

        def work(connection: Connection) -> NewToken | None:
            client = store.client_in(connection, client_id)
            if client is None or client.owner_id != user_id:
                return None
            _add(connection, new, actor=f"client:{client_id}"[:64])
            return new

        return await self._db.write(work)

    async def renew(self, refresh_token: str, client_id: str, expires_in_s: int) -> NewToken | None:
        """A new token in place of the one that came with this refresh token; None if it is no good.

        Only the client that it was made for can use it, and only once (RFC 6749 §6, §10.4).
        """
        now_ms = self._clock.now_ms()

        def work(connection: Connection) -> tuple[NewToken, str] | None:
            found = store.by_refresh_sha256(connection, digest(refresh_token))
            if found is None or found[0].client_id != client_id or found[1] <= now_ms:
                return None
            old = found[0]
            new = _make(old.user_id, client_id, expires_in_s, now_ms)
            actor = f"user:{old.user_id}"
            revoke_in(connection, [old], actor, now_ms)
            _add(connection, new, actor)
            return new, old.id

        renewed = await self._db.write(work)
        if renewed is None:
            return None
        self._bus.publish(TokensRevoked((renewed[1],)))
        return renewed[0]

    def list_living(self, user_id: UserId) -> list[Token]:
        """The user's tokens that still work, oldest first."""
        return store.list_living(self._db, user_id, self._clock.now_ms())

    async def revoke(self, token: str) -> None:
        """End the token with this secret; whoever has it may. An unknown one changes nothing."""

        def choose(connection: Connection) -> list[Token]:
            found = store.by_sha256(connection, digest(token))
            return [found] if found else []

        await self._revoke(choose)

    async def revoke_of(
        self, user_id: UserId, token_id: str | None = None, *, keep: str | None = None
    ) -> None:
        """End the user's token with this handle, or all of them but the one with the handle `keep`.
        A stranger's is left alone."""

        def choose(connection: Connection) -> list[Token]:
            return [
                token
                for token in store.of_user(connection, user_id)
                if (token_id is None or token.id == token_id) and token.id != keep
            ]

        await self._revoke(choose)

    async def _revoke(self, choose: Callable[[Connection], list[Token]]) -> None:
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> tuple[str, ...]:
            chosen = choose(connection)
            for token in chosen:
                revoke_in(connection, [token], f"user:{token.user_id}", at_ms)
            return tuple(token.id for token in chosen)

        ended = await self._db.write(work)
        if ended:
            self._bus.publish(TokensRevoked(ended))


def issue_token(
    db: Database,
    user_id: UserId,
    client_id: str = SERVER,
    expires_in_s: int | None = DEFAULT_EXPIRES_IN_S,
    *,
    clock: Clock | None = None,
    actor: str = "server",
) -> NewToken:
    """A token without a password, for commands; waits for the commit. None or 0: without end."""
    new = _make(user_id, client_id, expires_in_s or 0, (clock or SystemClock()).now_ms())
    db.write_blocking(lambda connection: _add(connection, new, actor))
    return new


def revoke_in(connection: Connection, ended: Sequence[Token], actor: str, at_ms: int) -> None:
    """Delete tokens inside a transaction. The caller tells the bus after the commit."""
    for token in ended:
        store.delete_token(connection, token.id)
        detail: dict[str, object] = {"client": token.client_id, "user": token.user_id}
        record(connection, actor, "token.revoked", f"token:{token.id}", detail, at_ms=at_ms)


def _make(user_id: UserId, client_id: str, expires_in_s: int, now_ms: int) -> NewToken:
    expires_at_ms = now_ms + expires_in_s * 1000 if expires_in_s else None
    token = Token(new_object_id(), user_id, client_id, now_ms, expires_at_ms)
    return NewToken(token, new_token(), new_token(), expires_in_s)


def _add(connection: Connection, new: NewToken, actor: str) -> None:
    token = new.token
    store.delete_ended(connection, token.user_id, token.created_at_ms - KEEP_EXPIRED_S * 1000)
    living = store.count_living(connection, token.user_id, token.created_at_ms)
    if living >= MAX_TOKENS_PER_USER:
        raise TooManyTokensError
    store.add_token(
        connection,
        token,
        digest(new.access_token),
        digest(new.refresh_token),
        token.created_at_ms + REFRESH_LIFE_S * 1000,
    )
    detail: dict[str, object] = {"client": token.client_id, "user": token.user_id}
    at_ms = token.created_at_ms
    record(connection, actor, "token.created", f"token:{token.id}", detail, at_ms=at_ms)
