"""/v1/user/password-reset: a mail with a code, and a new password for it (§7)."""

import re

import pytest

from cyan.accounts.model import RESET_INTERVAL_S, RESET_LIFE_S, TokensRevoked
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import set_password
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from tests.accounts.conftest import Desk
from tests.cast import Cast
from tests.clock import HandClock

PATH = "/v1/user/password-reset"
NEW = "her new password"


async def ask(desk: Desk, username: str) -> None:
    answer = await desk.client.post(PATH, json={"username": username})
    assert (answer.status_code, answer.json()) == (
        200,
        {"ok": True, "message": "Password reset email sent."},
    )


async def code_for(desk: Desk, username: str) -> str:
    await ask(desk, username)
    found = re.search(r"^    ([0-9a-f]{40})$", (await desk.mails())[-1].text, re.MULTILINE)
    assert found is not None
    return found[1]


async def redeem(desk: Desk, code: str, password: str = NEW) -> int:
    answer = await desk.client.put(PATH, json={"token": code, "password": password})
    return answer.status_code


async def test_who_forgot_their_password_sets_another_with_the_code_of_a_mail(
    desk: Desk, cast: Cast
) -> None:
    code = await code_for(desk, "Ada@example.com")
    mail = desk.mailbox.mails[0]
    assert mail.to == cast.ada.username
    assert "https://cyan.test/v1/user/password-reset" in mail.text
    assert await redeem(desk, code) == 200
    assert (await desk.login(username=cast.ada.username, password=NEW)).status_code == 200
    old = await desk.login(username=cast.ada.username, password=cast.ada.password)
    assert old.status_code == 400


async def test_all_logins_of_the_account_end_with_it(desk: Desk, cast: Cast, bus: Bus) -> None:
    told: list[str] = []
    bus.subscribe(TokensRevoked, lambda fact: told.extend(fact.token_ids))
    await redeem(desk, await code_for(desk, cast.ada.username))
    assert (await desk.client.get("/v1/user", headers=cast.ada.headers)).status_code == 401
    assert (await desk.client.get("/v1/user", headers=cast.cleo.headers)).status_code == 200
    assert cast.ada.token_id in told


@pytest.mark.parametrize("username", ["nobody@example.com", "no address", "a@b,c@d"])
async def test_who_has_no_account_gets_the_same_answer_and_no_mail(
    desk: Desk, cast: Cast, username: str
) -> None:
    await ask(desk, username)
    assert await desk.mails() == []


async def test_nothing_is_looked_up_before_the_answer(desk: Desk, cast: Cast, db: Database) -> None:
    statements: list[str] = []
    db.driver.set_trace_callback(statements.append)
    before = db.driver.execute("SELECT count(*) FROM audit_entry").fetchone()
    statements.clear()
    await ask(desk, cast.ada.username)
    assert statements == []
    assert db.driver.execute("SELECT count(*) FROM audit_entry").fetchone() == before
    assert len(await desk.mails()) == 1


async def test_a_code_is_good_once(desk: Desk, cast: Cast) -> None:
    code = await code_for(desk, cast.ada.username)
    assert await redeem(desk, code) == 200
    assert await redeem(desk, code, "another password") == 400


async def test_a_code_ends_after_an_hour(desk: Desk, cast: Cast, clock: HandClock) -> None:
    code = await code_for(desk, cast.ada.username)
    clock.advance(RESET_LIFE_S)
    assert await redeem(desk, code) == 400


async def test_a_short_password_is_refused_and_the_code_stays_good(desk: Desk, cast: Cast) -> None:
    code = await code_for(desk, cast.ada.username)
    assert await redeem(desk, code, "short") == 400
    assert await redeem(desk, code) == 200


@pytest.mark.parametrize("body", [{}, {"token": "x"}, {"password": NEW}, {"token": 1}])
async def test_what_is_missing_is_told(desk: Desk, body: dict[str, object]) -> None:
    answer = await desk.client.put(PATH, json=body)
    assert answer.status_code == 400
    assert "The field" in answer.json()["error_description"]


async def test_a_newer_code_takes_the_place_of_the_older(
    desk: Desk, cast: Cast, clock: HandClock
) -> None:
    first = await code_for(desk, cast.ada.username)
    clock.advance(RESET_INTERVAL_S)
    second = await code_for(desk, cast.ada.username)
    assert await redeem(desk, first) == 400
    assert await redeem(desk, second) == 200


async def test_a_mailbox_is_not_flooded(desk: Desk, cast: Cast, clock: HandClock) -> None:
    for _ in range(5):
        await ask(desk, cast.ada.username)
    assert len(await desk.mails()) == 1
    clock.advance(RESET_INTERVAL_S)
    await ask(desk, cast.ada.username)
    assert len(await desk.mails()) == 2


async def test_a_code_on_its_way_ends_when_the_password_is_set_otherwise(
    desk: Desk, cast: Cast, db: Database, passwords: Passwords
) -> None:
    code = await code_for(desk, cast.ada.username)
    set_password(db, cast.ada.username, "set by the operator", passwords=passwords)
    assert await redeem(desk, code) == 400


async def test_a_code_on_its_way_ends_when_the_address_changes(desk: Desk, cast: Cast) -> None:
    code = await code_for(desk, cast.ada.username)
    body = {"username": "ada@new.example", "current_password": cast.ada.password}
    assert (await desk.client.put("/v1/user", json=body, headers=cast.ada.headers)).is_success
    assert await redeem(desk, code) == 400


async def test_no_code_is_stored_and_the_deeds_are_audited(
    desk: Desk, cast: Cast, db: Database
) -> None:
    code = await code_for(desk, cast.ada.username)
    stored = db.path.read_bytes() + db.path.with_name(db.path.name + "-wal").read_bytes()
    assert code.encode() not in stored
    await redeem(desk, code)
    entries = db.driver.execute(
        "SELECT actor, action FROM audit_entry WHERE action LIKE 'user.reset%'"
        " OR action LIKE 'user.password%' ORDER BY id"
    ).fetchall()
    assert entries == [
        ("server", "user.reset_requested"),
        (f"user:{cast.ada.user_id}", "user.password_reset"),
    ]
