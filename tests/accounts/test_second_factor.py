"""The second factor: /v1/user/mfa-enable, mfa-disable, and the login's two steps (§5.1, §7)."""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest

from cyan.accounts.lockout import LockoutRules
from cyan.accounts.logins import MAX_CODES_IN_A_ROW
from cyan.accounts.model import CHALLENGE_LIFE_S, ENROLMENT_LIFE_S, TokensRevoked
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import set_password
from cyan.accounts.recovery import turn_second_factor_off
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from tests.accounts.conftest import Desk, Make
from tests.accounts.test_tokens import basic
from tests.cast import Cast, bearer
from tests.clock import HandClock

ENABLE, DISABLE = "/v1/user/mfa-enable", "/v1/user/mfa-disable"

Code = Callable[[], str]
TwoSteps = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def code(desk: Desk, cast: Cast, clock: HandClock) -> Code:
    """Ada has a second factor; this is what her app shows now."""
    offer = (await desk.client.get(ENABLE, headers=cast.ada.headers)).json()
    totp = pyotp.TOTP(offer["secret"])
    body = {"mfa_token": offer["mfa_token"], "otp": totp.at(clock.now())}
    answer = await desk.client.post(ENABLE, json=body, headers=cast.ada.headers)
    assert answer.json() == {"enrolled": True}
    clock.advance(60)  # a code is good once
    return lambda: totp.at(clock.now())


async def mfa_token(desk: Desk, cast: Cast, **changes: str) -> str:
    answer = await desk.login(username=cast.ada.username, password=cast.ada.password, **changes)
    assert answer.status_code == 403
    return str(answer.json()["mfa_token"])


async def send_otp(desk: Desk, token: str, otp: str, **changes: str) -> httpx.Response:
    """What particle-api-js sends: no username, no expires_in."""
    return await desk.login(grant_type="urn:custom:mfa-otp", mfa_token=token, otp=otp, **changes)


async def test_an_offer_has_what_an_app_needs(desk: Desk, cast: Cast) -> None:
    offer = (await desk.client.get(ENABLE, headers=cast.ada.headers)).json()
    assert set(offer) == {"mfa_token", "qr_url", "secret"}
    url = urlsplit(offer["qr_url"])
    assert (url.scheme, url.netloc) == ("otpauth", "totp")
    assert parse_qs(url.query)["secret"] == [offer["secret"]]
    assert "ada%40example.com" in offer["qr_url"]
    who = (await desk.client.get("/v1/user", headers=cast.ada.headers)).json()
    assert who["mfa"] == {"enabled": False}


async def test_a_login_asks_for_the_code_and_takes_it(desk: Desk, cast: Cast, code: Code) -> None:
    first = await desk.login(username=cast.ada.username, password=cast.ada.password)
    assert first.status_code == 403
    body = first.json()
    assert body["error"] == "mfa_required"
    assert body["error_description"]
    assert "access_token" not in body
    assert first.headers["cache-control"] == "no-store"
    second = await send_otp(desk, body["mfa_token"], code())
    assert second.status_code == 200
    who = await desk.client.get("/v1/user", headers=bearer(second.json()["access_token"]))
    assert who.json()["mfa"] == {"enabled": True}


async def test_the_life_asked_for_in_the_first_step_holds(
    desk: Desk, cast: Cast, code: Code
) -> None:
    token = await mfa_token(desk, cast, expires_in="3600")
    assert (await send_otp(desk, token, code())).json()["expires_in"] == 3600


async def test_a_wrong_code_can_be_tried_again_with_the_same_token(
    desk: Desk, cast: Cast, code: Code
) -> None:
    token = await mfa_token(desk, cast)
    wrong = f"{(int(code()) + 1) % 10**6:06d}"
    for _ in range(2):
        answer = await send_otp(desk, token, wrong)
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_grant"
    assert (await send_otp(desk, token, code())).status_code == 200


async def test_a_code_is_good_once(desk: Desk, cast: Cast, code: Code) -> None:
    token, used = await mfa_token(desk, cast), code()
    assert (await send_otp(desk, token, used)).status_code == 200
    assert (await send_otp(desk, token, used)).status_code == 400


async def test_the_code_that_turned_it_on_is_used(desk: Desk, cast: Cast, clock: HandClock) -> None:
    offer = (await desk.client.get(ENABLE, headers=cast.ada.headers)).json()
    otp = pyotp.TOTP(offer["secret"]).at(clock.now())
    body = {"mfa_token": offer["mfa_token"], "otp": otp}
    await desk.client.post(ENABLE, json=body, headers=cast.ada.headers)
    assert (await send_otp(desk, await mfa_token(desk, cast), otp)).status_code == 400


async def test_a_phone_may_be_half_a_minute_off_but_not_more(
    desk: Desk, cast: Cast, clock: HandClock, code: Code
) -> None:
    token = await mfa_token(desk, cast)
    clock.advance(90)
    late = code()
    clock.advance(60)
    assert (await send_otp(desk, token, late)).status_code == 400
    slow = code()
    clock.advance(30)
    assert (await send_otp(desk, token, slow)).status_code == 200


@pytest.mark.parametrize("otp", ["", "12345", "1234567", "abcdef", "１２３４５６", "x" * 5000])
async def test_what_is_no_code_is_no_code(desk: Desk, cast: Cast, code: Code, otp: str) -> None:
    answer = await send_otp(desk, await mfa_token(desk, cast), otp)
    assert answer.status_code == 400


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 3000, "AAAA"])
async def test_a_made_up_login_is_refused(desk: Desk, code: Code, token: str) -> None:
    answer = await send_otp(desk, token, code())
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_grant", "invalid_request")


async def test_a_login_waits_ten_minutes(
    desk: Desk, cast: Cast, clock: HandClock, code: Code
) -> None:
    token = await mfa_token(desk, cast)
    clock.advance(CHALLENGE_LIFE_S + 1)
    assert (await send_otp(desk, token, code())).status_code == 400


async def test_a_login_is_finished_by_the_client_that_began_it(
    desk: Desk, cast: Cast, code: Code
) -> None:
    token = await mfa_token(desk, cast)
    other = {"client_id": "particle-api", "client_secret": "particle-api"}
    assert (await send_otp(desk, token, code(), **other)).status_code == 400
    assert (await send_otp(desk, token, code())).status_code == 200


async def test_a_changed_password_ends_a_login_that_waits(
    desk: Desk, cast: Cast, db: Database, passwords: Passwords, code: Code
) -> None:
    token = await mfa_token(desk, cast)
    set_password(db, cast.ada.username, "her new password", passwords=passwords)
    assert (await send_otp(desk, token, code())).status_code == 400


async def test_guessing_codes_comes_to_an_end(
    make_desk: Make, cast: Cast, clock: HandClock, code: Code
) -> None:
    desk = make_desk(lockout=LockoutRules(by_address=0, by_account=0))
    wrong = f"{(int(code()) + 1) % 10**6:06d}"
    for _ in range(MAX_CODES_IN_A_ROW):
        # A new first step gives no new tries.
        assert (await send_otp(desk, await mfa_token(desk, cast), wrong)).status_code == 400
    blocked = await send_otp(desk, await mfa_token(desk, cast), code())
    assert blocked.status_code == 429
    assert int(blocked.headers["retry-after"]) > 60
    clock.advance(1801)
    assert (await send_otp(desk, await mfa_token(desk, cast), code())).status_code == 200


async def test_basic_needs_the_code_too(desk: Desk, cast: Cast, code: Code) -> None:
    without = await desk.client.get("/v1/access_tokens", headers=basic(cast.ada))
    assert (without.status_code, without.json()["errors"]) == (401, ["Bad password"])
    path = f"/v1/access_tokens?otp={code()}"
    assert (await desk.client.get(path, headers=basic(cast.ada))).status_code == 200


async def test_tokens_of_before_go_on_unless_they_are_to_end(
    desk: Desk, cast: Cast, clock: HandClock, bus: Bus
) -> None:
    told: list[str] = []
    bus.subscribe(TokensRevoked, lambda fact: told.extend(fact.token_ids))
    offer = (await desk.client.get(ENABLE, headers=cast.ada.headers)).json()
    body = {
        "mfa_token": offer["mfa_token"],
        "otp": pyotp.TOTP(offer["secret"]).at(clock.now()),
        "invalidate_tokens": True,
    }
    assert (await desk.client.post(ENABLE, json=body, headers=cast.ada.headers)).is_success
    assert (await desk.client.get("/v1/user", headers=cast.ada.headers)).status_code == 401
    assert cast.ada.token_id in told


async def test_a_wrong_first_code_turns_nothing_on(
    desk: Desk, cast: Cast, clock: HandClock
) -> None:
    offer = (await desk.client.get(ENABLE, headers=cast.ada.headers)).json()
    wrong = f"{(int(pyotp.TOTP(offer['secret']).at(clock.now())) + 1) % 10**6:06d}"
    body = {"mfa_token": offer["mfa_token"], "otp": wrong}
    assert (await desk.client.post(ENABLE, json=body, headers=cast.ada.headers)).status_code == 403
    login = await desk.login(username=cast.ada.username, password=cast.ada.password)
    assert login.status_code == 200


async def test_an_offer_is_for_its_person_and_ends(
    desk: Desk, cast: Cast, clock: HandClock
) -> None:
    offer = (await desk.client.get(ENABLE, headers=cast.ada.headers)).json()
    totp = pyotp.TOTP(offer["secret"])
    body = {"mfa_token": offer["mfa_token"], "otp": totp.at(clock.now())}
    stranger = await desk.client.post(ENABLE, json=body, headers=cast.cleo.headers)
    assert stranger.status_code == 400
    clock.advance(ENROLMENT_LIFE_S + 1)
    body["otp"] = totp.at(clock.now())
    late = await desk.client.post(ENABLE, json=body, headers=cast.ada.headers)
    assert late.status_code == 400


async def test_it_is_not_turned_on_twice(desk: Desk, cast: Cast, code: Code) -> None:
    assert (await desk.client.get(ENABLE, headers=cast.ada.headers)).status_code == 409


async def test_it_is_turned_off_with_the_password(desk: Desk, cast: Cast, code: Code) -> None:
    wrong = await desk.client.put(
        DISABLE, json={"current_password": "a guess"}, headers=cast.ada.headers
    )
    assert wrong.status_code == 403
    right = await desk.client.put(
        DISABLE, json={"current_password": cast.ada.password}, headers=cast.ada.headers
    )
    assert (right.status_code, right.json()) == (200, {"ok": True})
    login = await desk.login(username=cast.ada.username, password=cast.ada.password)
    assert login.status_code == 200


async def test_the_operator_turns_it_off_for_who_lost_their_phone(
    desk: Desk, cast: Cast, code: Code, db: Database, clock: HandClock
) -> None:
    assert turn_second_factor_off(db, clock, "Ada@example.com")
    assert not turn_second_factor_off(db, clock, "ada@example.com")
    login = await desk.login(username=cast.ada.username, password=cast.ada.password)
    assert login.status_code == 200


async def test_the_secret_is_sealed_and_the_deeds_are_audited(
    desk: Desk, cast: Cast, db: Database, clock: HandClock
) -> None:
    offer = (await desk.client.get(ENABLE, headers=cast.ada.headers)).json()
    otp = pyotp.TOTP(offer["secret"]).at(clock.now())
    body = {"mfa_token": offer["mfa_token"], "otp": otp}
    await desk.client.post(ENABLE, json=body, headers=cast.ada.headers)
    stored = db.path.read_bytes() + db.path.with_name(db.path.name + "-wal").read_bytes()
    assert offer["secret"].encode() not in stored
    assert offer["secret"] not in offer["mfa_token"]
    turn_second_factor_off(db, clock, cast.ada.username)
    entries = db.driver.execute(
        "SELECT actor, action FROM audit_entry WHERE action LIKE 'user.mfa%' ORDER BY id"
    ).fetchall()
    assert entries == [
        (f"user:{cast.ada.user_id}", "user.mfa_enabled"),
        ("operator", "user.mfa_disabled"),
    ]
