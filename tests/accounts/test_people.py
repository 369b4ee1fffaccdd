"""Accounts: made and changed by commands, seen by GET /v1/user."""

import httpx
import pytest

from cyan.accounts.api import DeviceCounts, routes
from cyan.accounts.model import (
    MalformedUsernameError,
    PasswordLengthError,
    UnknownUserError,
    UsernameTakenError,
    parse_username,
)
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import People, create_user, find_user, list_users, set_password
from cyan.accounts.tokens import Tokens
from cyan.core.db.engine import Database
from tests.accounts.conftest import Desk
from tests.cast import Cast
from tests.conftest import Serve


async def test_a_person_reads_who_they_are(serve: Serve, desk: Desk, cast: Cast) -> None:
    client = serve(routes(desk.accounts, lambda _user: DeviceCounts(wifi=2, cellular=1)))
    answer = await client.get("/v1/user", headers=cast.ada.headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "username": "ada@example.com",
        "subscription_ids": [],
        "account_info": {
            "first_name": "",
            "last_name": "",
            "business_account": False,
            "company_name": "",
        },
        "scim_provisioned": False,
        "no_password": False,
        "tos": 1,
        "memberships": [],
        "mfa": {"enabled": False},
        "wifi_device_count": 2,
        "cellular_device_count": 1,
    }


async def test_identify_tells_id_and_e_mail(client: httpx.AsyncClient, cast: Cast) -> None:
    answer = await client.get("/v1/user/identify?tracking=1", headers=cast.ada.headers)
    assert answer.json() == {"id": cast.ada.user_id, "email": "ada@example.com"}


def test_accounts_are_listed_by_name_with_the_operator_marked(db: Database, cast: Cast) -> None:
    assert [(user.username, user.is_operator) for user in list_users(db)] == [
        ("ada@example.com", False),
        ("cleo@example.com", False),
        ("root@example.com", True),
    ]


def test_the_operators_token_says_so(tokens: Tokens, cast: Cast) -> None:
    assert tokens.authenticate(cast.operator.token).is_operator
    assert not tokens.authenticate(cast.ada.token).is_operator


def test_a_username_is_stored_in_lower_case_and_is_unique_in_any(
    db: Database, passwords: Passwords, cast: Cast
) -> None:
    with pytest.raises(UsernameTakenError):
        create_user(db, "ADA@example.COM", "another password", passwords=passwords)
    found = find_user(db, "Ada@Example.com")
    assert found is not None
    assert found.id == cast.ada.user_id


@pytest.mark.parametrize(
    "text", ["", "ada", "@example.com", "ada@", "a b@c.d", "a:b@c.d", "a\x07@c.d", "a@" + "b" * 260]
)
def test_what_is_no_e_mail_address_is_no_username(text: str) -> None:
    with pytest.raises(MalformedUsernameError):
        parse_username(text)


@pytest.mark.parametrize("password", ["short", "x" * 1025])
def test_a_password_is_neither_short_nor_endless(
    db: Database, passwords: Passwords, password: str
) -> None:
    with pytest.raises(PasswordLengthError):
        create_user(db, "ben@example.com", password, passwords=passwords)
    assert list_users(db) == []


async def test_a_changed_password_replaces_the_old_one_and_leaves_tokens(
    db: Database, people: People, tokens: Tokens, passwords: Passwords, cast: Cast
) -> None:
    set_password(db, "Ada@example.com", "her new password", passwords=passwords)
    assert await people.by_password("ada@example.com", cast.ada.password) is None
    assert await people.by_password("ada@example.com", "her new password") is not None
    assert tokens.authenticate(cast.ada.token).user_id == cast.ada.user_id


def test_a_changed_password_can_end_all_tokens(
    db: Database, tokens: Tokens, passwords: Passwords, cast: Cast
) -> None:
    set_password(db, cast.ada.username, "her new password", passwords=passwords, revoke_tokens=True)
    assert tokens.list_living(cast.ada.user_id) == []
    assert len(tokens.list_living(cast.cleo.user_id)) == 1


def test_the_password_of_no_account_cannot_be_changed(db: Database, passwords: Passwords) -> None:
    with pytest.raises(UnknownUserError):
        set_password(db, "ben@example.com", "some password", passwords=passwords)


def test_what_commands_do_to_accounts_is_audited(
    db: Database, passwords: Passwords, cast: Cast
) -> None:
    set_password(db, cast.ada.username, "her new password", passwords=passwords)
    entries = db.driver.execute(
        "SELECT actor, action FROM audit_entry WHERE subject = ? ORDER BY id",
        (f"user:{cast.ada.user_id}",),
    ).fetchall()
    assert entries == [("operator", "user.created"), ("operator", "user.password_changed")]


def test_a_password_is_hashed_with_argon2id_at_the_recommended_cost(db: Database) -> None:
    create_user(db, "ada@example.com", "a good password")
    (stored,) = db.driver.execute("SELECT password_hash FROM accounts_user").fetchall()[0]
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
