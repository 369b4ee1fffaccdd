"""Secrets: set, listed without their values, deleted; opened only for what uses them."""

from typing import Final

from sqlalchemy import Connection

from cyan.accounts.people import require_account
from cyan.audit import store as audit
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import UserId
from cyan.core.secrets import Vault
from cyan.rest.auth import Caller
from cyan.secrets import store
from cyan.secrets.model import (
    MAX_SECRETS,
    Secret,
    SecretExistsError,
    TooManySecretsError,
    UnknownSecretError,
    check_name,
    check_value,
)

_PURPOSE: Final = "secrets"


class Secrets:
    """The secrets of accounts. Every statement names the owner, so nobody sees another's."""

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._db = db
        self._vault = vault
        self._clock = clock

    def list(self, caller: Caller) -> list[Secret]:
        """The caller's, by name."""
        rows = self._db.rows(store.LIST, {"of_owner_id": caller.user_id})
        return [store.to_secret(row) for row in rows]

    def get(self, caller: Caller, name: str) -> Secret:
        """Raises UnknownSecretError."""
        row = self._db.row(store.GET, {"of_owner_id": caller.user_id, "of_name": name})
        if row is None:
            raise UnknownSecretError
        return store.to_secret(row)

    async def create(self, caller: Caller, name: object, value: object) -> Secret:
        """A new one. Raises SecretExistsError and what `put` raises."""
        return await self._store(caller, check_name(name), check_value(value), may_replace=False)

    async def put(self, caller: Caller, name: object, value: object) -> Secret:
        """A new one, or a new value for it.

        Raises InvalidSecretNameError, InvalidSecretValueError, TooManySecretsError.
        """
        return await self._store(caller, check_name(name), check_value(value), may_replace=True)

    async def delete(self, caller: Caller, name: str) -> None:
        """Raises UnknownSecretError."""
        key = {"of_owner_id": caller.user_id, "of_name": name}
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> None:
            if connection.execute(store.DELETE, key).rowcount != 1:
                raise UnknownSecretError
            _record(connection, caller, "secret.deleted", name, at_ms)

        await self._db.write(work)

    async def reveal(self, owner_id: UserId, name: str) -> str:
        """The value, for an integration of the owner; that it was used is noted.

        Raises UnknownSecretError.
        """
        key = {"of_owner_id": owner_id, "of_name": name}
        row = self._db.row(store.SEALED, key)
        if row is None:
            raise UnknownSecretError
        value = self._vault.open(row.sealed, _purpose(owner_id, name)).decode()
        used = {**key, "at_ms": self._clock.now_ms()}
        await self._db.write(lambda connection: connection.execute(store.ACCESSED, used).rowcount)
        return value

    async def _store(self, caller: Caller, name: str, value: bytes, *, may_replace: bool) -> Secret:
        owner_id, at_ms = caller.user_id, self._clock.now_ms()
        key = {"of_owner_id": owner_id, "of_name": name}
        sealed = self._vault.seal(value, _purpose(owner_id, name))

        def work(connection: Connection) -> None:
            require_account(connection, owner_id)
            exists = connection.execute(store.GET, key).first() is not None
            if exists and not may_replace:
                raise SecretExistsError
            if exists:
                change = {"sealed": sealed, "at_ms": at_ms, "by": owner_id}
                connection.execute(store.REPLACE, {**key, **change})
            else:
                count = connection.execute(store.COUNT, {"of_owner_id": owner_id}).scalar_one()
                if count >= MAX_SECRETS:
                    raise TooManySecretsError
                connection.execute(
                    store.ADD,
                    {
                        "owner_id": owner_id,
                        "name": name,
                        "sealed": sealed,
                        "created_at_ms": at_ms,
                        "updated_at_ms": at_ms,
                        "created_by": owner_id,
                        "updated_by": owner_id,
                    },
                )
            _record(connection, caller, "secret.set", name, at_ms)

        await self._db.write(work)
        return self.get(caller, name)


def _purpose(owner_id: str, name: str) -> bytes:
    """Bound to the sealed value: it opens under no other name and for no other owner."""
    return f"{_PURPOSE}:{owner_id}:{name}".encode()


def _record(connection: Connection, caller: Caller, action: str, name: str, at_ms: int) -> None:
    # The name begins with the owner's id: two people's secrets of one name are different things.
    subject = f"secret:{caller.user_id}/{name}"[:128]
    audit.record(connection, f"user:{caller.user_id}", action, subject, at_ms=at_ms)
