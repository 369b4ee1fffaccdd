"""OAuth clients: those that everyone's tools are compiled with, and people's own (§3, §6)."""

import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Connection

from cyan.accounts import store
from cyan.accounts.model import (
    MAX_CLIENT_NAME_CHARACTERS,
    MAX_CLIENTS_PER_USER,
    MAX_REDIRECT_URI_CHARACTERS,
    MAX_SCOPE_CHARACTERS,
    Client,
    ClientFieldError,
    ClientType,
    TokensRevoked,
    TooManyClientsError,
    UnknownClientError,
)
from cyan.accounts.people import require_account
from cyan.accounts.tokens import digest, revoke_in
from cyan.audit.store import record
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import UserId, new_token

EVERYTHING: Final = frozenset({"*:*"})
"""The scope that is as good as none: all that the owner may do."""

_SLUG_CHARACTERS: Final = 48
"""So that an id with its digits fits beside every token."""

_SCOPE = re.compile(r"[\w*.]+:[\w*.:]+\Z", re.ASCII)
_ID = re.compile(r"[a-z0-9-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client whose credentials are right."""

    id: str
    owner_id: UserId | None = None
    """None for the clients of stock tools, which are nobody's."""
    scope: str | None = None

    @property
    def is_limited(self) -> bool:
        """Whether its scope allows less than everything: tokens of people are not for it."""
        return self.scope is not None and not EVERYTHING & set(self.scope.split())


_BUILT_IN: Final = {
    "particle-cli": "particle-cli",
    "particle-api": "particle-api",
    "particle": "particle",
    "CLI2": None,
}
"""Their secrets are printed in public sources, so they prove nothing; a wrong one is a typing
mistake worth an answer. The old CLI's `CLI2` was sent with changing ones."""


class Clients:
    """Everyone's OAuth clients."""

    def __init__(self, db: Database, clock: Clock, bus: Bus) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus

    def find(self, client_id: str, secret: str) -> KnownClient | None:
        """The client that these credentials name, or None."""
        if client_id in _BUILT_IN:
            known = _BUILT_IN[client_id]
            right = known is None or hmac.compare_digest(known.encode(), secret.encode())
            return KnownClient(client_id) if right else None
        if not _ID.match(client_id):
            return None
        # As for tokens, the database compares digests: how far two agree says nothing of a secret.
        found = store.find_client(self._db, client_id, digest(secret))
        return None if found is None else KnownClient(client_id, found.owner_id, found.scope)

    def list_of(self, owner_id: UserId) -> list[Client]:
        """A person's clients, oldest first."""
        return store.list_clients(self._db, owner_id)

    async def create(
        self, owner_id: UserId, name: str, kind: str, redirect_uri: str | None, scope: str | None
    ) -> tuple[Client, str]:
        """A client and its secret, which is told this once.

        Raises ClientFieldError, TooManyClientsError.
        """
        name, scope = _checked_name(name), _checked_scope(scope)
        client_type = _checked_type(kind)
        redirect_uri = _checked_uri(redirect_uri, client_type)
        secret, at_ms = new_token(), self._clock.now_ms()

        def work(connection: Connection) -> Client:
            require_account(connection, owner_id)
            if len(store.clients_of(connection, owner_id)) >= MAX_CLIENTS_PER_USER:
                raise TooManyClientsError
            client_id = _free_id(connection, name)
            client = Client(client_id, owner_id, name, client_type, redirect_uri, scope)
            store.add_client(connection, client, digest(secret), at_ms)
            self._record(connection, "client.created", client, at_ms)
            return client

        return await self._db.write(work), secret

    async def change(
        self, owner_id: UserId, client_id: str, name: str | None, scope: str | None
    ) -> Client:
        """Give a client another name or scope; None leaves it, the scope `none` takes it away.

        Its tokens of before go on. Raises UnknownClientError, ClientFieldError.
        """
        new_name = None if name is None else _checked_name(name)
        new_scope = _checked_scope(scope)
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> Client:
            old = _own(connection, owner_id, client_id)
            kept_scope = old.scope if scope is None else new_scope
            client = Client(
                old.id, owner_id, new_name or old.name, old.type, old.redirect_uri, kept_scope
            )
            store.change_client(connection, client)
            self._record(connection, "client.changed", client, at_ms)
            return client

        return await self._db.write(work)

    async def delete(self, owner_id: UserId, client_id: str) -> None:
        """Remove a client; every token that was made with it ends. Raises UnknownClientError."""
        at_ms = self._clock.now_ms()

        def work(connection: Connection) -> tuple[str, ...]:
            client = _own(connection, owner_id, client_id)
            made = store.of_client(connection, client.id)
            revoke_in(connection, made, f"user:{owner_id}", at_ms)
            store.delete_client(connection, client.id)
            self._record(connection, "client.deleted", client, at_ms)
            return tuple(token.id for token in made)

        ended = await self._db.write(work)
        if ended:
            self._bus.publish(TokensRevoked(ended))

    @staticmethod
    def _record(connection: Connection, action: str, client: Client, at_ms: int) -> None:
        detail: dict[str, object] = {"name": client.name, "scope": client.scope}
        record(
            connection,
            f"user:{client.owner_id}",
            action,
            f"client:{client.id}",
            detail,
            at_ms=at_ms,
        )


def _own(connection: Connection, owner_id: UserId, client_id: str) -> Client:
    client = store.client_in(connection, client_id)
    if client is None or client.owner_id != owner_id:
        raise UnknownClientError
    return client


def _free_id(connection: Connection, name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_SLUG_CHARACTERS] or "client"
    for digits in (4, 4, 4, 8):  # ten thousand of one name may be taken
        client_id = f"{slug}-{secrets.randbelow(9 * 10 ** (digits - 1)) + 10 ** (digits - 1)}"
        if store.client_in(connection, client_id) is None:
            return client_id
    raise ClientFieldError("There are too many clients with this name. Choose another.")


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MAX_CLIENT_NAME_CHARACTERS or not name.isprintable():
        raise ClientFieldError(
            f"The field name is needed, with 1 to {MAX_CLIENT_NAME_CHARACTERS} characters."
        )
    return name


def _checked_type(kind: str) -> ClientType:
    try:
        return ClientType(kind)
    except ValueError as error:
        raise ClientFieldError("The field type is installed or web.") from error


def _checked_uri(uri: str | None, kind: ClientType) -> str | None:
    if kind is ClientType.INSTALLED and not uri:
        return None
    try:
        parts = urlsplit(uri or "")
        is_whole = bool(parts.netloc) and parts.scheme in ("http", "https")
    except ValueError:
        is_whole = False
    if not is_whole or len(uri or "") > MAX_REDIRECT_URI_CHARACTERS:
        raise ClientFieldError(
            "The field redirect_uri of a web client is a URL like https://example.com/setup."
        )
    return uri


def _checked_scope(scope: str | None) -> str | None:
    words = (scope or "").split()
    if not words or words == ["none"]:
        return None
    text = " ".join(words)
    if len(text) > MAX_SCOPE_CHARACTERS or not all(_SCOPE.match(word) for word in words):
        raise ClientFieldError("The field scope has words like customers:create or *:*, or none.")
    return text
