"""/v1/access_tokens: the current token, the list of handles, and ending tokens (§5.3, §5.4)."""

import asyncio
import base64
import sqlite3
from contextlib import closing

import httpx
import pytest

from cyan.accounts.model import DEFAULT_EXPIRES_IN_S, KEEP_EXPIRED_S, TokensRevoked
from cyan.accounts.tokens import issue_token
from cyan.core.bus import Bus
from cyan.core.clock import iso_ms
from cyan.core.db.engine import OTHERS_COUNT_WITHIN_S, Database
from tests.cast import Cast, Person, bearer
from tests.clock import HandClock

OK = {"ok": True}


@pytest.fixture
def revoked(bus: Bus) -> list[str]:
    """The handles that were told to be revoked, as they are told."""
    told: list[str] = []
    bus.subscribe(TokensRevoked, lambda fact: told.extend(fact.token_ids))
    return told


def basic(person: Person, password: str | None = None) -> dict[str, str]:
    text = f"{person.username}:{person.password if password is None else password}"
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


async def works(client: httpx.AsyncClient, token: str) -> bool:
    status = (await client.get("/v1/user", headers=bearer(token))).status_code
    assert status in (200, 401)
    return status == 200


async def test_the_current_token_tells_its_end_and_client(
    client: httpx.AsyncClient, cast: Cast, clock: HandClock
) -> None:
    answer = await client.get("/v1/access_tokens/current", headers=cast.ada.headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "expires_at": iso_ms(clock.now_ms() + DEFAULT_EXPIRES_IN_S * 1000),
        "client": "particle-cli",
        "client_id": "particle-cli",
        "scopes": [],
        "orgs": [],
    }


async def test_logging_out_ends_just_the_current_token(
    client: httpx.AsyncClient, cast: Cast, db: Database, clock: HandClock, revoked: list[str]
) -> None:
    other = issue_token(db, cast.ada.user_id, clock=clock)
    answer = await client.delete("/v1/access_tokens/current", headers=cast.ada.headers)
    assert (answer.status_code, answer.json()) == (200, OK)
    assert not await works(client, cast.ada.token)
    assert await works(client, other.access_token)
    assert revoked == [cast.ada.token_id]


async def test_the_list_names_tokens_by_handle_and_never_by_themselves(
    client: httpx.AsyncClient, cast: Cast, clock: HandClock
) -> None:
    answer = await client.get("/v1/access_tokens", headers=basic(cast.ada))
    assert answer.status_code == 200
    assert answer.json() == [
        {
            "token": cast.ada.token_id,
            "expires_at": iso_ms(clock.now_ms() + DEFAULT_EXPIRES_IN_S * 1000),
            "client": "particle-cli",
        }
    ]
    assert cast.ada.token not in answer.text
    assert not cast.ada.token.startswith(cast.ada.token_id[:8])


async def test_the_list_can_be_read_with_a_token_too(client: httpx.AsyncClient, cast: Cast) -> None:
    by_token = await client.get("/v1/access_tokens", headers=cast.ada.headers)
    by_password = await client.get("/v1/access_tokens", headers=basic(cast.ada))
    assert by_token.json() == by_password.json()


async def test_the_list_refuses_a_wrong_password_and_an_unknown_user_alike(
    client: httpx.AsyncClient, cast: Cast
) -> None:
    stranger = Person(cast.ada.user_id, "ben@example.com", "any password", "", "")
    for headers in (basic(cast.ada, "wrong"), basic(stranger), basic(cast.ada, "x" * 2000)):
        answer = await client.get("/v1/access_tokens", headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {"ok": False, "errors": ["Bad password"]}


@pytest.mark.parametrize("header", ["Basic %%%", "Basic bm9jb2xvbg==", "Digest x", ""])
async def test_the_list_needs_credentials(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get("/v1/access_tokens", headers={"authorization": header})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


async def test_a_token_ends_itself_without_any_header(
    client: httpx.AsyncClient, cast: Cast, revoked: list[str]
) -> None:
    answer = await client.delete(f"/v1/access_tokens/{cast.ada.token}")
    assert (answer.status_code, answer.json()) == (200, OK)
    assert not await works(client, cast.ada.token)
    assert revoked == [cast.ada.token_id]


async def test_ending_an_unknown_token_is_fine(
    client: httpx.AsyncClient, cast: Cast, revoked: list[str]
) -> None:
    for _ in range(2):
        answer = await client.delete(f"/v1/access_tokens/{'0' * 40}")
        assert (answer.status_code, answer.json()) == (200, OK)
    assert revoked == []
    assert await works(client, cast.ada.token)


async def test_a_handle_ends_a_token_with_the_credentials_of_its_owner(
    client: httpx.AsyncClient, cast: Cast, db: Database, clock: HandClock
) -> None:
    by_basic = issue_token(db, cast.ada.user_id, clock=clock)
    by_bearer = issue_token(db, cast.ada.user_id, clock=clock)
    for new, headers in ((by_basic, basic(cast.ada)), (by_bearer, cast.ada.headers)):
        answer = await client.delete(f"/v1/access_tokens/{new.token.id}", headers=headers)
        assert (answer.status_code, answer.json()) == (200, OK)
        assert not await works(client, new.access_token)
    assert await works(client, cast.ada.token)


async def test_a_handle_without_credentials_ends_nothing(
    client: httpx.AsyncClient, cast: Cast
) -> None:
    path = f"/v1/access_tokens/{cast.ada.token_id}"
    assert (await client.delete(path)).status_code == 400
    assert (await client.delete(path, headers=basic(cast.ada, "wrong"))).status_code == 401
    assert (await client.delete(path, headers=bearer(cast.expired_token))).status_code == 401
    assert await works(client, cast.ada.token)


async def test_a_stranger_cannot_end_a_token_by_its_handle(
    client: httpx.AsyncClient, cast: Cast, revoked: list[str]
) -> None:
    path = f"/v1/access_tokens/{cast.ada.token_id}"
    answer = await client.delete(path, headers=cast.cleo.headers)
    assert answer.json() == OK  # as for a handle that does not exist
    assert await works(client, cast.ada.token)
    assert revoked == []


async def test_all_tokens_of_a_person_end_at_once_and_only_theirs(
    client: httpx.AsyncClient, cast: Cast, db: Database, clock: HandClock, revoked: list[str]
) -> None:
    other = issue_token(db, cast.ada.user_id, clock=clock)
    answer = await client.delete("/v1/access_tokens", headers=cast.ada.headers)
    assert (answer.status_code, answer.json()) == (200, OK)
    for token in (cast.ada.token, other.access_token):
        assert not await works(client, token)
    assert await works(client, cast.cleo.token)
    assert {cast.ada.token_id, other.token.id} <= set(revoked)


async def test_an_ended_token_is_forgotten_after_a_month(
    client: httpx.AsyncClient, cast: Cast, db: Database, clock: HandClock
) -> None:
    async def answer_of_expired() -> str:
        answer = await client.get("/v1/user", headers=bearer(cast.expired_token))
        return str(answer.json()["error_description"])

    clock.advance(KEEP_EXPIRED_S - 2 * 24 * 3600)
    issue_token(db, cast.ada.user_id, clock=clock)
    assert await answer_of_expired() == "The access token provided has expired."
    clock.advance(3 * 24 * 3600)
    issue_token(db, cast.ada.user_id, clock=clock)
    assert await answer_of_expired() == "The access token provided is invalid."


async def test_making_and_ending_tokens_is_audited(
    client: httpx.AsyncClient, cast: Cast, db: Database
) -> None:
    await client.delete("/v1/access_tokens/current", headers=cast.ada.headers)
    entries = db.driver.execute(
        "SELECT actor, action FROM audit_entry WHERE subject = ? ORDER BY id",
        (f"token:{cast.ada.token_id}",),
    ).fetchall()
    assert entries == [
        ("server", "token.created"),
        (f"user:{cast.ada.user_id}", "token.revoked"),
    ]


async def test_all_tokens_but_the_current_one_can_be_ended(
    client: httpx.AsyncClient, cast: Cast, db: Database, clock: HandClock, revoked: list[str]
) -> None:
    other = issue_token(db, cast.ada.user_id, clock=clock)
    path = "/v1/access_tokens?keep_current=true"
    answer = await client.delete(path, headers=cast.ada.headers)
    assert (answer.status_code, answer.json()) == (200, OK)
    assert await works(client, cast.ada.token)
    assert not await works(client, other.access_token)
    assert await works(client, cast.cleo.token)
    assert cast.ada.token_id not in revoked


async def test_a_word_that_is_no_yes_or_no_ends_nothing(
    client: httpx.AsyncClient, cast: Cast
) -> None:
    path = "/v1/access_tokens?keep_current=perhaps"
    assert (await client.delete(path, headers=cast.ada.headers)).status_code == 400
    assert await works(client, cast.ada.token)


async def test_what_another_process_changes_counts_soon(
    client: httpx.AsyncClient, cast: Cast, db: Database
) -> None:
    async def username() -> str:
        answer = await client.get("/v1/user", headers=cast.ada.headers)
        return str(answer.json()["username"])

    assert await username() == cast.ada.username
    with closing(sqlite3.connect(db.path)) as command:
        rename = "UPDATE accounts_user SET username = 'new@example.com' WHERE id = ?"
        command.execute(rename, (cast.ada.user_id,))
        command.commit()
        await asyncio.sleep(OTHERS_COUNT_WITHIN_S)
        assert await username() == "new@example.com"
        command.execute("DELETE FROM accounts_token WHERE id = ?", (cast.ada.token_id,))
        command.commit()
        await asyncio.sleep(OTHERS_COUNT_WITHIN_S)
    assert not await works(client, cast.ada.token)


async def test_a_token_that_is_in_use_ends_when_its_time_comes(
    client: httpx.AsyncClient, cast: Cast, clock: HandClock
) -> None:
    assert await works(client, cast.ada.token)
    clock.advance(DEFAULT_EXPIRES_IN_S)
    assert not await works(client, cast.ada.token)
