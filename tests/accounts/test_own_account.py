"""PUT /v1/user: one's profile, username and password (§7)."""

import pytest

from cyan.accounts.tokens import issue_token
from cyan.core.db.engine import Database
from tests.accounts.conftest import Desk
from tests.cast import Cast, bearer
from tests.clock import HandClock

NEW = "her new password"


async def test_a_profile_is_kept_and_read(desk: Desk, cast: Cast) -> None:
    info = {"first_name": "Ada", "last_name": "L", "business_account": True, "company_name": "AE"}
    answer = await desk.client.put(
        "/v1/user", json={"account_info": info}, headers=cast.ada.headers
    )
    assert answer.status_code == 200
    assert answer.json()["account_info"] == info
    assert answer.json()["ok"] is True
    who = await desk.client.get("/v1/user", headers=cast.ada.headers)
    assert who.json()["account_info"] == info


async def test_what_is_left_out_of_a_profile_stays(desk: Desk, cast: Cast) -> None:
    for info in ({"first_name": "Ada", "business_account": True}, {"last_name": " Lovelace "}):
        body = {"account_info": info}
        await desk.client.put("/v1/user", json=body, headers=cast.ada.headers)
    who = (await desk.client.get("/v1/user", headers=cast.ada.headers)).json()["account_info"]
    assert (who["first_name"], who["last_name"], who["business_account"]) == (
        "Ada",
        "Lovelace",
        True,
    )


async def test_a_changed_password_replaces_the_old_one(desk: Desk, cast: Cast) -> None:
    body = {"password": NEW, "current_password": cast.ada.password}
    answer = await desk.client.put("/v1/user", json=body, headers=cast.ada.headers)
    assert answer.status_code == 200
    assert (answer.json()["ok"], answer.json()["message"]) == (True, "User's password updated.")
    assert (await desk.login(username=cast.ada.username, password=NEW)).status_code == 200
    old = await desk.login(username=cast.ada.username, password=cast.ada.password)
    assert old.status_code == 400
    assert (await desk.client.get("/v1/user", headers=cast.ada.headers)).status_code == 200


async def test_a_changed_username_keeps_everything(desk: Desk, cast: Cast) -> None:
    body = {"username": "Ada@New.example", "current_password": cast.ada.password}
    answer = await desk.client.put("/v1/user", json=body, headers=cast.ada.headers)
    assert answer.json()["username"] == "ada@new.example"
    who = await desk.client.get("/v1/user", headers=cast.ada.headers)
    assert who.json()["username"] == "ada@new.example"
    login = await desk.login(username="ada@new.example", password=cast.ada.password)
    assert login.status_code == 200


async def test_a_username_can_change_to_itself_in_other_letters(desk: Desk, cast: Cast) -> None:
    body = {"username": "ADA@example.com", "current_password": cast.ada.password}
    assert (await desk.client.put("/v1/user", json=body, headers=cast.ada.headers)).is_success


@pytest.mark.parametrize("change", [{"password": NEW}, {"username": "ada@new.example"}])
async def test_all_tokens_end_if_that_is_asked_for(
    desk: Desk, cast: Cast, db: Database, clock: HandClock, change: dict[str, str]
) -> None:
    other = issue_token(db, cast.ada.user_id, clock=clock)
    body = {**change, "current_password": cast.ada.password, "invalidate_tokens": True}
    assert (await desk.client.put("/v1/user", json=body, headers=cast.ada.headers)).is_success
    for headers in (cast.ada.headers, bearer(other.access_token)):
        assert (await desk.client.get("/v1/user", headers=headers)).status_code == 401
    assert (await desk.client.get("/v1/user", headers=cast.cleo.headers)).status_code == 200


@pytest.mark.parametrize("change", [{"password": NEW}, {"username": "ada@new.example"}])
@pytest.mark.parametrize("guess", ["a guess", "x" * 2000])
async def test_the_current_password_is_needed(
    desk: Desk, cast: Cast, change: dict[str, str], guess: str
) -> None:
    without = await desk.client.put("/v1/user", json=change, headers=cast.ada.headers)
    assert without.status_code == 400
    body = {**change, "current_password": guess}
    wrong = await desk.client.put("/v1/user", json=body, headers=cast.ada.headers)
    assert wrong.status_code == 403  # a 401 would log the stock CLI out
    assert wrong.json()["error"] == "The current password is not right."
    login = await desk.login(username=cast.ada.username, password=cast.ada.password)
    assert login.status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 400),
        ({"password": NEW, "username": "ada@new.example"}, 400),
        ({"password": "short"}, 400),
        ({"username": "ada"}, 400),
        ({"username": "cleo@example.com"}, 409),
        ({"account_info": []}, 400),
        ({"account_info": {"company_name": "x" * 101}}, 400),
        ({"account_info": {"business_account": "perhaps"}}, 400),
        ({"password": NEW, "invalidate_tokens": "perhaps"}, 400),
    ],
)
async def test_what_cannot_be_used_is_refused_and_changes_nothing(
    desk: Desk, cast: Cast, change: dict[str, object], status: int
) -> None:
    before = (await desk.client.get("/v1/user", headers=cast.ada.headers)).json()
    body = {"current_password": cast.ada.password, **change}
    answer = await desk.client.put("/v1/user", json=body, headers=cast.ada.headers)
    assert answer.status_code == status
    assert (await desk.client.get("/v1/user", headers=cast.ada.headers)).json() == before
    login = await desk.login(username=cast.ada.username, password=cast.ada.password)
    assert login.status_code == 200


async def test_changes_are_audited_without_the_password(
    desk: Desk, cast: Cast, db: Database
) -> None:
    for body in (
        {"account_info": {"first_name": "Ada"}},
        {"password": NEW, "current_password": cast.ada.password},
        {"username": "ada@new.example", "current_password": NEW},
    ):
        answer = await desk.client.put("/v1/user", json=body, headers=cast.ada.headers)
        assert answer.status_code == 200
    entries = db.driver.execute(
        "SELECT action, detail FROM audit_entry WHERE actor = ? ORDER BY id",
        (f"user:{cast.ada.user_id}",),
    ).fetchall()
    assert [action for action, _ in entries] == [
        "user.profile_changed",
        "user.password_changed",
        "user.renamed",
    ]
    assert NEW not in str(entries)
