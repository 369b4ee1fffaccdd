"""POST /v1/users, and invitations (rest-api-core.md §7)."""

import httpx
import pytest

from cyan.accounts.model import INVITATION_LIFE_S, MalformedUsernameError, UsernameTakenError
from cyan.accounts.passwords import Passwords
from cyan.accounts.signup import invitation_mail, invite
from cyan.core.db.engine import Database
from tests.accounts.conftest import Desk, Make
from tests.cast import Cast, bearer
from tests.clock import HandClock

BEN = {"username": "Ben@example.com", "password": "ben's password"}
INFO = {
    "first_name": "Ben",
    "last_name": "Ten",
    "business_account": True,
    "company_name": "Ten & Sons",
}


async def errors_of(answer: httpx.Response, status: int) -> list[str]:
    assert answer.status_code == status
    body = answer.json()
    assert body["ok"] is False
    return list(body["errors"])


async def test_who_signs_up_can_log_in_and_is_known_by_what_they_said(desk: Desk) -> None:
    body = {**BEN, "account_info": INFO, "utm": {"source": "friend"}}
    answer = await desk.client.post("/v1/users", json=body)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    token = (await desk.login(username="ben@example.com", password=BEN["password"])).json()
    who = await desk.client.get("/v1/user", headers=bearer(token["access_token"]))
    assert who.json()["username"] == "ben@example.com"
    assert who.json()["account_info"] == INFO


async def test_the_form_of_the_ios_app_is_taken_too(desk: Desk) -> None:
    form = {**BEN, "account_info[first_name]": "Ben", "account_info[business_account]": "true"}
    assert (await desk.client.post("/v1/users/", data=form)).status_code == 200
    token = (await desk.login(**BEN)).json()["access_token"]
    info = (await desk.client.get("/v1/user", headers=bearer(token))).json()["account_info"]
    assert (info["first_name"], info["business_account"]) == ("Ben", True)


async def test_a_name_that_is_taken_is_told_where_anybody_may_sign_up(
    desk: Desk, cast: Cast
) -> None:
    body = {"username": "ADA@example.com", "password": "not ada's"}
    errors = await errors_of(await desk.client.post("/v1/users", json=body), 400)
    assert errors == ["There is already an account with this username."]
    assert (await desk.login(**body)).status_code == 400


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"username": "ben"}, "e-mail"),
        ({"username": ""}, "e-mail"),
        ({"username": "x@evil.example,ben@example.com"}, "e-mail"),
        ({"password": "short"}, "8 to 1024"),
        ({"account_info": {"first_name": "x" * 101}}, "100 characters"),
    ],
)
async def test_what_cannot_be_used_is_told(
    desk: Desk, change: dict[str, object], word: str
) -> None:
    answer = await desk.client.post("/v1/users", json={**BEN, **change})
    assert word in (await errors_of(answer, 400))[0]


@pytest.mark.parametrize(
    "change", [{"username": 7}, {"password": ["x"]}, {"account_info": "Ben"}, {"invitation": {}}]
)
async def test_fields_of_the_wrong_kind_are_refused(desk: Desk, change: dict[str, object]) -> None:
    assert (await desk.client.post("/v1/users", json={**BEN, **change})).status_code == 400


async def test_a_body_that_is_much_too_long_is_refused(desk: Desk) -> None:
    for path in ("/v1/users", "/oauth/token"):
        form = {**BEN, "grant_type": "password", "utm[x]": "x" * 40_000}
        assert (await desk.client.post(path, data=form)).status_code == 413


async def test_a_closed_server_makes_no_accounts_whatever_is_sent(
    make_desk: Make, cast: Cast
) -> None:
    closed = make_desk("closed")
    for body in (BEN, {"username": cast.ada.username, "password": "whatever"}, {}):
        errors = await errors_of(await closed.client.post("/v1/users", json=body), 403)
        assert "closed" in errors[0]
    assert (await closed.login(**BEN)).status_code == 400


async def test_an_invitation_opens_the_door_once(
    make_desk: Make, db: Database, clock: HandClock
) -> None:
    desk = make_desk("invited")
    code, _ = invite(db, clock, "BEN@example.com")
    body = {**BEN, "invitation": code}
    assert (await desk.client.post("/v1/users", json=body)).status_code == 200
    assert (await desk.login(**BEN)).status_code == 200
    errors = await errors_of(await desk.client.post("/v1/users", json=body), 403)
    assert "invitation" in errors[0]


async def test_the_stock_library_carries_the_code_where_it_lets_its_caller(
    make_desk: Make, db: Database, clock: HandClock
) -> None:
    desk = make_desk("invited")
    code, _ = invite(db, clock, "ben@example.com")
    answer = await desk.client.post("/v1/users", json={**BEN, "utm": {"invitation": code}})
    assert answer.status_code == 200


async def test_without_a_good_invitation_all_names_get_the_same_answer(
    make_desk: Make, db: Database, clock: HandClock, cast: Cast
) -> None:
    desk = make_desk("invited")
    code, _ = invite(db, clock, "ben@example.com")
    answers = [
        await desk.client.post("/v1/users", json={"password": "a password", **body})
        for body in (
            {"username": "ben@example.com"},
            {"username": cast.ada.username},
            {"username": cast.ada.username, "invitation": code},
            {"username": "new@example.com", "invitation": code},
            {"username": "new@example.com", "invitation": "0" * 40},
        )
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1
    # The code is still good for the one it was made for.
    assert (
        await desk.client.post("/v1/users", json={**BEN, "invitation": code})
    ).status_code == 200


async def test_an_invitation_ends(make_desk: Make, db: Database, clock: HandClock) -> None:
    desk = make_desk("invited")
    code, _ = invite(db, clock, "ben@example.com")
    clock.advance(INVITATION_LIFE_S + 1)
    answer = await desk.client.post("/v1/users", json={**BEN, "invitation": code})
    assert answer.status_code == 403


async def test_a_second_invitation_takes_the_place_of_the_first(
    make_desk: Make, db: Database, clock: HandClock
) -> None:
    desk = make_desk("invited")
    first, _ = invite(db, clock, "ben@example.com")
    second, _ = invite(db, clock, "ben@example.com")
    statuses = [
        (await desk.client.post("/v1/users", json={**BEN, "invitation": code})).status_code
        for code in (first, second)
    ]
    assert statuses == [403, 200]


def test_who_has_an_account_and_what_is_no_address_is_not_invited(
    db: Database, clock: HandClock, cast: Cast
) -> None:
    with pytest.raises(UsernameTakenError):
        invite(db, clock, "Ada@example.com")
    with pytest.raises(MalformedUsernameError):
        invite(db, clock, "ada")


def test_the_mail_of_an_invitation_has_the_code(db: Database, clock: HandClock) -> None:
    code, ends_at_ms = invite(db, clock, "ben@example.com")
    mail = invitation_mail("Ben@example.com", code, ends_at_ms)
    assert mail.to == "ben@example.com"
    assert code in mail.text


async def test_sign_ups_are_audited_and_no_code_is_stored(
    make_desk: Make, db: Database, clock: HandClock, passwords: Passwords
) -> None:
    desk = make_desk("invited")
    code, _ = invite(db, clock, "ben@example.com")
    await desk.client.post("/v1/users", json={**BEN, "invitation": code})
    entries = db.driver.execute("SELECT actor, action, subject FROM audit_entry ORDER BY id")
    invited, created = entries.fetchall()
    assert invited == ("operator", "user.invited", "username:ben@example.com")
    assert created[0] == created[2]
    assert created[1] == "user.created"
    stored = db.path.read_bytes() + db.path.with_name(db.path.name + "-wal").read_bytes()
    assert code.encode() not in stored
