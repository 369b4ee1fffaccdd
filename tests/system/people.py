"""People who use the API as clients do: an account from the operator, a login, requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import httpx

from tests.system.processes import Server, done

PASSWORD: Final = "correct horse battery"
ANSWER_WITHIN_S: Final = 60.0
"""More than any answer of the server takes: a test that waits longer has found one that hangs."""


@contextmanager
def logged_in(server: Server, username: str) -> Iterator[httpx.Client]:
    """A fresh account, and a client that sends its token."""
    done("user", "add", username, "--password", PASSWORD, "--data", server.data)
    token = log_in(server, username, PASSWORD)
    with httpx.Client(
        base_url=server.api_url,
        headers={"authorization": f"Bearer {token}"},
        timeout=ANSWER_WITHIN_S,
    ) as client:
        yield client


class HasApi(Protocol):
    @property
    def api_url(self) -> str: ...


def log_in(server: HasApi, username: str, password: str) -> str:
    """A token, from the password as the stock clients send it."""
    answer = httpx.post(
        f"{server.api_url}/oauth/token",
        data={"grant_type": "password", "username": username, "password": password},
        auth=("particle-cli", "particle-cli"),
        timeout=ANSWER_WITHIN_S,
    )
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token
