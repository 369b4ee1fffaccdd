"""Accounts at the real server process: its limits, its mail, and commands beside it."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.system.people import ANSWER_WITHIN_S, PASSWORD, log_in
from tests.system.processes import Server, done, serving, wait_until

ADA: Final = "ada@example.com"
SETTINGS: Final = {
    "CYAN_SIGN_UP": "invited",
    "CYAN_LOGIN_FAILURES": "0",
    "CYAN_LOGIN_FAILURES_ACCOUNT": "3",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("accounts") / "data", SETTINGS) as server:
        done("user", "add", ADA, "--password", PASSWORD, "--data", server.data)
        yield server


def try_to_log_in(server: Server, username: str, password: str) -> int:
    fields = {"grant_type": "password", "username": username, "password": password}
    client = ("particle-cli", "particle-cli")
    url = f"{server.api_url}/oauth/token"
    return httpx.post(url, data=fields, auth=client, timeout=ANSWER_WITHIN_S).status_code


def test_the_invited_sign_up_and_nobody_else(server: Server) -> None:
    ben = {"username": "ben@example.com", "password": PASSWORD}
    url = f"{server.api_url}/v1/users"
    assert httpx.post(url, json=ben, timeout=ANSWER_WITHIN_S).status_code == 403
    settings = {"CYAN_SIGN_UP": "invited"}
    said = done("user", "invite", ben["username"], "--data", server.data, settings=settings)
    found = re.search(r"Code: ([0-9a-f]{40})", said)
    assert found is not None
    invited = httpx.post(url, json={**ben, "invitation": found[1]}, timeout=ANSWER_WITHIN_S)
    assert invited.status_code == 200
    assert log_in(server, ben["username"], PASSWORD)


def test_the_mail_of_a_reset_lands_in_the_folder_and_its_code_works(server: Server) -> None:
    url = f"{server.api_url}/v1/user/password-reset"
    httpx.post(url, json={"username": ADA}, timeout=ANSWER_WITHIN_S)
    folder: Path = server.data / "mail"
    wait_until(lambda: any(folder.glob("*.eml")), "the mail is written")
    (mail,) = folder.glob("*.eml")
    assert mail.stat().st_mode & 0o077 == 0
    found = re.search(r"^    ([0-9a-f]{40})\s*$", mail.read_text(), re.MULTILINE)
    assert found is not None
    body = {"token": found[1], "password": "her new password"}
    assert httpx.put(url, json=body, timeout=ANSWER_WITHIN_S).status_code == 200
    assert log_in(server, ADA, "her new password")
    done("user", "passwd", ADA, "--password", PASSWORD, "--data", server.data)
    assert found[1] not in str(server.log())


def test_a_locked_account_is_unlocked_by_a_command_beside_the_server(server: Server) -> None:
    cleo = "cleo@example.com"
    done("user", "add", cleo, "--password", PASSWORD, "--data", server.data)
    assert [try_to_log_in(server, cleo, "a guess") for _ in range(3)] == [400, 400, 400]
    assert try_to_log_in(server, cleo, PASSWORD) == 429
    done("user", "unlock", cleo, "--data", server.data)

    def is_unlocked() -> bool:
        time.sleep(0.2)  # a hundred logins in five minutes are all that an address has
        return try_to_log_in(server, cleo, PASSWORD) == 200

    wait_until(is_unlocked, "the account is unlocked")


def test_too_many_requests_for_tokens_are_refused_and_others_are_not(server: Server) -> None:
    url = f"{server.api_url}/v1/access_tokens"
    with httpx.Client(timeout=ANSWER_WITHIN_S) as client:
        statuses = [client.get(url).status_code for _ in range(101)]
    assert statuses == [400] * 100 + [429]
    assert log_in(server, ADA, PASSWORD)
    assert server.metric("cyan_http_rate_limited_total", limit="tokens") == 1
