"""HTTP Basic: what is a name and a secret, and what is none (RFC 7617)."""

import base64

import httpx
import pytest

from cyan.accounts.credentials import basic_of


def basic(content: bytes) -> str:
    return "Basic " + base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (b"ada@example.com:open sesame", ("ada@example.com", "open sesame")),
        (b"ada@example.com:a:b", ("ada@example.com", "a:b")),
        ("ada@example.com:schön".encode(), ("ada@example.com", "schön")),
        (b":", ("", "")),
    ],
)
def test_the_name_ends_at_the_first_colon(content: bytes, read: tuple[str, str]) -> None:
    assert basic_of(basic(content)) == read
    assert basic_of("bAsIc  " + base64.b64encode(content).decode() + " ") == read


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ÿþ",
        "Basic YWRhOmI",
        "Basic %%%",
        "Bearer YWRhOmI=",
        basic(b"nocolon"),
        basic(b"ada:\xff"),
    ],
)
def test_all_else_is_none(header: str | None) -> None:
    assert basic_of(header) is None


async def test_a_header_of_odd_bytes_is_refused_as_no_login(client: httpx.AsyncClient) -> None:
    headers = [(b"authorization", b"Basic \xff\xfe")]
    answer = await client.get("/v1/access_tokens", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    form = {"grant_type": "password", "username": "ada@example.com", "password": "x"}
    answer = await client.post("/oauth/token", data=form, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")
