"""The OAuth clients that everyone's tools are compiled with (rest-api-core.md §3.1, §24)."""

import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client. `secret` None: a public client, whose secret is not looked at."""

    id: str
    secret: str | None


BUILT_IN = {
    client.id: client
    for client in (
        Client("particle-cli", "particle-cli"),
        Client("particle-api", "particle-api"),
        Client("particle", "particle"),
        Client("CLI2", None),
    )
}
"""Their secrets are printed in public sources, so they prove nothing; a wrong one is a typing
mistake worth an answer. The old CLI's `CLI2` was sent with changing ones."""

SERVER = "cyan"
"""Stands as the client of tokens that a command made."""


def find_client(client_id: str, secret: str) -> Client | None:
    """The client that these credentials name, or None."""
    client = BUILT_IN.get(client_id)
    if client is None or client.secret is None:
        return client
    right = hmac.compare_digest(client.secret.encode(), secret.encode())
    return client if right else None
