"""particle-api-js, unchanged: an account from its making to its end."""

import itertools
import re
import time

import httpx
import pyotp
import pytest

from tests.compat.clients import Json, ParticleApi, ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server

PASSWORD = "correct horse battery"
ONE_CODE_S = 30
_numbers = itertools.count(1)


@pytest.fixture
def account(api_js: ParticleApi) -> dict[str, str]:
    """A new person: `username` and `password`."""
    made = {"username": f"grace{next(_numbers)}@example.com", "password": PASSWORD}
    assert api_js.call("createUser", **made)["body"] == {"ok": True}
    return made


def _token(api_js: ParticleApi, account: dict[str, str]) -> str:
    return str(api_js.call("login", **account)["body"]["access_token"])


@proves("createUser()", "setUserInfo()", "changeUsername()", "changeUserPassword()", "deleteUser()")
def test_a_person_signs_up_changes_everything_and_leaves(
    api_js: ParticleApi, account: dict[str, str]
) -> None:
    mine = {"auth": _token(api_js, account)}
    proof = {"currentPassword": PASSWORD, **mine}
    changed, _, _, user = (
        answer["body"]
        for answer in api_js.call_all(
            ("setUserInfo", {"accountInfo": {"first_name": "Grace", "last_name": "H"}, **mine}),
            ("changeUsername", {"username": f"new.{account['username']}", **proof}),
            ("changeUserPassword", {"password": "another horse", **proof}),
            ("getUserInfo", mine),
        )
    )
    assert changed["account_info"]["first_name"] == "Grace"
    assert user["username"] == f"new.{account['username']}"
    assert user["account_info"]["last_name"] == "H"
    now = {"username": user["username"], "password": "another horse"}
    token = _token(api_js, now)
    assert api_js.refusal("deleteUser", password=PASSWORD, auth=token)["statusCode"] >= 400
    assert api_js.call("deleteUser", password="another horse", auth=token)["body"]["ok"] is True
    assert api_js.refusal("login", **now)["body"]["error"] == "invalid_grant"


def _enable(api_js: ParticleApi, token: str) -> pyotp.TOTP:
    """Turn the second factor on, with the code of now."""
    offer = api_js.call("enableMfa", auth=token)["body"]
    assert offer["qr_url"].startswith("otpauth://totp/")
    totp = pyotp.TOTP(offer["secret"])
    answer = api_js.call("confirmMfa", mfaToken=offer["mfa_token"], otp=totp.now(), auth=token)
    assert answer["body"]["enrolled"] is True
    return totp


def _next_code(totp: pyotp.TOTP) -> str:
    """Each code works once, and clocks may differ by one."""
    return totp.at(time.time() + ONE_CODE_S)


@proves("enableMfa()", "confirmMfa()", "sendOtp()", "disableMfa()")
def test_a_second_factor_is_asked_for_at_login_until_it_is_off(
    api_js: ParticleApi, account: dict[str, str]
) -> None:
    totp = _enable(api_js, _token(api_js, account))
    refusal = api_js.refusal("login", **account)
    assert (refusal["statusCode"], refusal["body"]["error"]) == (403, "mfa_required")
    handed = {"mfaToken": refusal["body"]["mfa_token"]}
    assert api_js.refusal("sendOtp", otp="000000", **handed)["statusCode"] >= 400
    token = api_js.call("sendOtp", otp=_next_code(totp), **handed)["body"]["access_token"]
    assert api_js.call("getUserInfo", auth=token)["body"]["mfa"] == {"enabled": True}
    api_js.call("disableMfa", currentPassword=PASSWORD, auth=token)
    assert _token(api_js, account)


def test_the_cli_logs_in_with_a_second_factor(
    api_js: ParticleApi, fresh_cli: ParticleCli, account: dict[str, str], server: Server
) -> None:
    totp = _enable(api_js, _token(api_js, account))
    fresh_cli.use(server.ready.api_url, "", "")
    login = ("login", "--username", account["username"], "--password", PASSWORD)
    fresh_cli.succeed(*login, "--otp", _next_code(totp))
    assert fresh_cli.succeed("whoami") == [f"> {account['username']}"]


@proves("resetPassword()")
def test_a_forgotten_password_is_set_anew_with_the_code_of_the_mail(
    api_js: ParticleApi, account: dict[str, str], server: Server
) -> None:
    answers = api_js.call_all(
        ("resetPassword", {"username": account["username"]}),
        ("resetPassword", {"username": "nobody@example.com"}),
    )
    assert answers[0]["body"] == answers[1]["body"]
    found = re.search(r"token=([0-9a-f]{40})", server.mail_to(account["username"]))
    assert found
    url = f"{server.ready.api_url}/v1/user/password-reset"
    form = {"token": found[1], "password": "a new horse"}
    assert httpx.put(url, data=form).json()["ok"] is True
    assert api_js.refusal("login", **account)["body"]["error"] == "invalid_grant"
    assert _token(api_js, {**account, "password": "a new horse"})


@proves("deleteActiveAccessTokens()")
def test_all_tokens_of_a_person_end_at_once(api_js: ParticleApi, account: dict[str, str]) -> None:
    first, second = (
        answer["body"]["access_token"]
        for answer in api_js.call_all(("login", account), ("login", account))
    )
    assert api_js.call("deleteActiveAccessTokens", auth=first)["body"]["ok"] is True
    assert api_js.refusal("getUserInfo", auth=second)["statusCode"] == 401


@proves(
    "createOAuthClient()",
    "listOAuthClients()",
    "updateOAuthClient()",
    "deleteOAuthClient()",
    "loginAsClientOwner()",
)
def test_a_client_of_one_s_own_logs_in_as_its_owner(
    api_js: ParticleApi, account: dict[str, str], server: Server
) -> None:
    mine = {"auth": _token(api_js, account)}
    made: Json = api_js.call(
        "createOAuthClient", name="Porch app", type="installed", scope="*:*", **mine
    )["body"]["client"]
    one = {"clientId": made["id"], **mine}
    client = ParticleApi(server.ready.api_url, clientId=made["id"], clientSecret=made["secret"])
    token = client.call("loginAsClientOwner")["body"]["access_token"]
    assert api_js.call("getUserInfo", auth=token)["body"]["username"] == account["username"]
    _, listed, _, after = api_js.call_all(
        ("updateOAuthClient", {"name": "Hall app", **one}),
        ("listOAuthClients", mine),
        ("deleteOAuthClient", one),
        ("listOAuthClients", mine),
    )
    (shown,) = listed["body"]["clients"]
    assert (shown["id"], shown["name"]) == (made["id"], "Hall app")
    assert "secret" not in shown
    assert after["body"]["clients"] == []
