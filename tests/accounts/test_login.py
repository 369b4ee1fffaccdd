"""POST /oauth/token, as the stock clients send it (rest-api-core.md §5.1)."""

import base64
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from cyan.accounts import tokens as tokens_module
from cyan.accounts.model import DEFAULT_EXPIRES_IN_S, MAX_TOKENS_PER_USER, REFRESH_LIFE_S
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import People, set_password
from cyan.accounts.tokens import Tokens, issue_token
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from tests.cast import Cast, bearer
from tests.clock import START, HandClock

Login = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def login(client: httpx.AsyncClient, cast: Cast) -> Login:
    """Post what particle-cli posts for Ada, with other fields laid over it; None drops a field."""

    async def post(headers: dict[str, str] | None = None, **changes: str | None) -> httpx.Response:
        fields: dict[str, str | None] = {
            "grant_type": "password",
            "client_id": "particle-cli",
            "client_secret": "particle-cli",
            "username": cast.ada.username,
            "password": cast.ada.password,
            "expires_in": "7776000",
            **changes,
        }
        data = {name: value for name, value in fields.items() if value is not None}
        return await client.post("/oauth/token", data=data, headers=headers)

    return post


async def test_a_login_gets_a_token_that_works(login: Login, client: httpx.AsyncClient) -> None:
    answer = await login()
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["token_type", "access_token", "expires_in", "refresh_token"]
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == DEFAULT_EXPIRES_IN_S
    assert len(body["access_token"]) == len(body["refresh_token"]) == 40
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    who = await client.get("/v1/user", headers=bearer(body["access_token"]))
    assert who.json()["username"] == "ada@example.com"


async def test_the_username_is_an_e_mail_address_in_any_case(login: Login) -> None:
    assert (await login(username=" ADA@Example.com ")).status_code == 200


@pytest.mark.parametrize("password", ["wrong", "", "x" * 2000])
async def test_a_wrong_password_is_refused(login: Login, password: str) -> None:
    answer = await login(password=password)
    assert answer.status_code == 400
    assert answer.headers["cache-control"] == "no-store"
    if password:
        assert answer.json() == {
            "error": "invalid_grant",
            "error_description": "User credentials are invalid",
        }


@pytest.mark.parametrize("username", ["ben@example.com", "ada", "a:b@example.com"])
async def test_an_unknown_user_reads_the_same_as_a_wrong_password(
    login: Login, username: str
) -> None:
    known, unknown = await login(password="wrong"), await login(username=username)
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())


@pytest.mark.parametrize("name", ["particle-cli", "particle-api", "particle"])
async def test_the_clients_of_stock_tools_are_known_by_fields_and_by_basic(
    login: Login, name: str
) -> None:
    assert (await login(client_id=name, client_secret=name)).status_code == 200
    basic = base64.b64encode(f"{name}:{name}".encode()).decode()
    answer = await login(
        headers={"authorization": f"Basic {basic}"}, client_id=None, client_secret=None
    )
    assert answer.status_code == 200


async def test_the_old_command_line_client_needs_no_secret(login: Login) -> None:
    assert (await login(client_id="CLI2", client_secret="anything")).status_code == 200
    assert (await login(client_id="CLI2", client_secret=None)).status_code == 200


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [("particle-cli", "wrong"), ("particle-cli", None), ("unknown", "unknown"), (None, None)],
)
async def test_unknown_clients_are_refused_without_a_401(
    login: Login, client_id: str | None, secret: str | None
) -> None:
    answer = await login(client_id=client_id, client_secret=secret)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_client"


async def test_json_is_refused_with_what_would_be_right(client: httpx.AsyncClient) -> None:
    answer = await client.post("/oauth/token", json={"grant_type": "password"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert "application/x-www-form-urlencoded" in answer.json()["error_description"]


@pytest.mark.parametrize("grant", ["authorization_code", "implicit"])
async def test_other_grants_are_named_as_unsupported(login: Login, grant: str) -> None:
    answer = await login(grant_type=grant)
    assert answer.status_code == 400
    assert answer.json()["error"] == "unsupported_grant_type"


@pytest.mark.parametrize("missing", ["grant_type", "username", "password"])
async def test_a_missing_field_is_named(login: Login, missing: str) -> None:
    answer = await login(**{missing: None})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert missing in answer.json()["error_description"]


async def test_a_repeated_field_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/oauth/token", data={"grant_type": ["password", "password"]})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


async def test_zero_seconds_make_a_token_without_end(
    login: Login, client: httpx.AsyncClient, clock: HandClock
) -> None:
    body = (await login(expires_in="0")).json()
    assert body["expires_in"] == 0
    clock.advance(50 * 365 * 24 * 3600)
    current = await client.get("/v1/access_tokens/current", headers=bearer(body["access_token"]))
    assert current.json()["expires_at"] is None


async def test_a_token_ends_when_it_was_asked_to(
    login: Login, client: httpx.AsyncClient, clock: HandClock
) -> None:
    token = (await login(expires_in="60")).json()["access_token"]
    clock.advance(59.9)
    assert (await client.get("/v1/user", headers=bearer(token))).status_code == 200
    clock.advance(0.1)
    ended = await client.get("/v1/user", headers=bearer(token))
    assert ended.status_code == 401
    assert ended.json() == {
        "error": "invalid_token",
        "error_description": "The access token provided has expired.",
    }


async def test_the_end_can_be_given_as_a_date(login: Login) -> None:
    day = (START + timedelta(days=2)).date()
    for text in (day.isoformat(), f"{day.isoformat()}T00:00:00.000Z"):
        body = (await login(expires_at=text)).json()
        assert 24 * 3600 < body["expires_in"] < 2 * 24 * 3600


async def test_without_a_wish_a_token_lives_ninety_days(login: Login) -> None:
    assert (await login(expires_in=None)).json()["expires_in"] == 7_776_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expires_in", "-1"),
        ("expires_in", "soon"),
        ("expires_in", "9" * 30),
        ("expires_at", "2017-12-07"),
        ("expires_at", "tomorrow"),
        ("expires_at", "9999-12-31"),
    ],
)
async def test_an_end_that_cannot_be_is_refused(login: Login, field: str, value: str) -> None:
    answer = await login(**{field: value})
    assert answer.status_code == 400
    assert field in answer.json()["error_description"]


async def test_a_refresh_token_renews_once_and_ends_the_old_token(
    login: Login, client: httpx.AsyncClient
) -> None:
    first = (await login()).json()
    renewal = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = await login(**renewal)
    assert second.status_code == 200
    fresh = second.json()["access_token"]
    assert (await client.get("/v1/user", headers=bearer(fresh))).status_code == 200
    assert (await client.get("/v1/user", headers=bearer(first["access_token"]))).status_code == 401
    again = await login(**renewal)
    assert again.status_code == 400
    assert again.json()["error"] == "invalid_grant"


async def test_a_refresh_token_works_for_fourteen_days_and_for_its_own_client(
    login: Login, clock: HandClock
) -> None:
    renewal = {
        "grant_type": "refresh_token",
        "refresh_token": (await login()).json()["refresh_token"],
    }
    other = {"client_id": "particle-api", "client_secret": "particle-api"}
    assert (await login(**renewal, **other)).json()["error"] == "invalid_grant"
    clock.advance(REFRESH_LIFE_S)
    assert (await login(**renewal)).json()["error"] == "invalid_grant"


async def test_a_password_changed_during_a_login_wins(
    db: Database, people: People, tokens: Tokens, passwords: Passwords, cast: Cast
) -> None:
    found = await people.by_password(cast.ada.username, cast.ada.password)
    assert found is not None
    set_password(db, cast.ada.username, "a new password", passwords=passwords)
    assert await tokens.issue(cast.ada.user_id, "particle-cli", 60, found[1]) is None


async def test_an_account_has_a_bounded_number_of_tokens(
    login: Login, db: Database, cast: Cast, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_TOKENS_PER_USER == 1000
    monkeypatch.setattr(tokens_module, "MAX_TOKENS_PER_USER", 2)
    issue_token(db, cast.ada.user_id, clock=clock)
    refused = await login()
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_request"


async def test_too_many_waiting_logins_are_turned_away(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cyan.accounts.passwords.MAX_WAITING", 0)
    assert (await login()).status_code == 429


async def test_what_is_stored_opens_nothing(login: Login, db: Database) -> None:
    body = (await login()).json()
    db.driver.execute("PRAGMA wal_checkpoint")
    stored = db.path.read_bytes() + db.path.with_name(db.path.name + "-wal").read_bytes()
    for secret in (body["access_token"], body["refresh_token"], "ada's password"):
        assert secret.encode() not in stored


async def test_a_new_token_does_not_show_its_secrets_in_its_repr(
    db: Database, cast: Cast, bus: Bus
) -> None:
    new = issue_token(db, cast.ada.user_id)
    assert new.access_token not in repr(new)
    assert new.refresh_token not in repr(new)
