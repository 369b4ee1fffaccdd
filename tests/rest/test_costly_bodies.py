"""Bodies that are made to cost more than they should: others must not have to wait for them."""

import httpx
import pytest
from starlette.datastructures import UploadFile
from starlette.responses import Response

from cyan.rest.auth import Auth
from cyan.rest.body import MAX_BODY_BYTES, READ_AT_ONCE_BYTES, URLENCODED
from cyan.rest.call import Call
from cyan.rest.forms import MAX_NAME_CHARACTERS, MalformedFormError, nest
from cyan.rest.registry import Route
from cyan.rest.responses import json_response
from tests.conftest import Serve
from tests.rest.turns import counted_turns

FILE_BYTES = 2 * MAX_BODY_BYTES


async def sizes(call: Call) -> Response:
    found: dict[str, int] = {}
    for name, value in (await call.body()).items():
        if isinstance(value, UploadFile):
            found[name] = len(await value.read())
        elif isinstance(value, str):
            found[name] = len(value)
    return json_response(found)


@pytest.fixture
def client(serve: Serve) -> httpx.AsyncClient:
    return serve(
        [Route("POST", "/files", sizes, Auth.NONE, max_body_bytes=FILE_BYTES + MAX_BODY_BYTES)]
    )


def multipart(charset: str, text: bytes = b"text") -> tuple[bytes, dict[str, str]]:
    """A form with one field, and its header."""
    content = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n%b\r\n--x--\r\n' % text
    return content, {"content-type": f"multipart/form-data; boundary=x{charset}"}


async def test_a_route_for_files_takes_them_as_multipart(client: httpx.AsyncClient) -> None:
    answer = await client.post("/files", files={"file": ("a.bin", bytes(FILE_BYTES))})
    assert answer.json() == {"file": FILE_BYTES}


@pytest.mark.parametrize(
    ("kind", "begin"), [(URLENCODED, b"a="), ("application/json", b'{"a":"'), ("", b'{"a":"')]
)
async def test_what_is_no_file_has_the_ordinary_limit_there(
    client: httpx.AsyncClient, kind: str, begin: bytes
) -> None:
    headers = {"content-type": kind} if kind else {}
    content = begin + b"b" * MAX_BODY_BYTES
    answer = await client.post("/files", content=content, headers=headers)
    assert answer.status_code == 413
    assert str(MAX_BODY_BYTES) in answer.json()["error_description"]


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", '; charset="UTF-8"', "; charset=utf8"])
async def test_the_text_of_a_form_is_utf_8(client: httpx.AsyncClient, charset: str) -> None:
    content, headers = multipart(charset, "schön".encode())
    answer = await client.post("/files", content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"a": 5})


@pytest.mark.parametrize(
    "charset", ["punycode", '"punycode"', "idna", "undefined", "utf-7", "no-such", "''"]
)
async def test_who_sends_a_form_does_not_choose_how_it_is_decoded(
    client: httpx.AsyncClient, charset: str
) -> None:
    """Python decodes punycode in quadratic time: a megabyte would hold up everybody for minutes."""
    content, headers = multipart(f"; charset={charset}", b"a" * 50 + b"-baaa")
    answer = await client.post("/files", content=content, headers=headers)
    assert answer.status_code == 415
    assert "UTF-8" in answer.json()["error_description"]


async def test_others_have_their_turn_while_a_long_urlencoded_form_is_read(serve: Serve) -> None:
    async def read(call: Call) -> Response:
        await call.content()
        async with counted_turns() as turns:
            fields = await call.body()
        return json_response({"size": len(str(fields["a"])), "turns": turns.count})

    client = serve([Route("POST", "/read", read, Auth.NONE)])
    content = b"a=" + b"%41" * READ_AT_ONCE_BYTES
    answer = await client.post("/read", content=content, headers={"content-type": URLENCODED})
    assert answer.json()["size"] == READ_AT_ONCE_BYTES
    assert answer.json()["turns"] > 0


async def test_a_long_form_that_is_none_is_told_so_too(client: httpx.AsyncClient) -> None:
    content = b"a=" + b"%ff" * READ_AT_ONCE_BYTES
    answer = await client.post("/files", content=content, headers={"content-type": URLENCODED})
    assert (answer.status_code, answer.json()["error_description"]) == (
        400,
        "The form is not UTF-8.",
    )


@pytest.mark.parametrize("name", ["a", "a[]", "a[b]"])
def test_a_field_name_has_a_longest(name: str) -> None:
    longest = name.replace("a", "a" * (MAX_NAME_CHARACTERS - len(name) + 1), 1)
    assert len(longest) == MAX_NAME_CHARACTERS
    assert nest([(longest, "v")])
    with pytest.raises(MalformedFormError, match=str(MAX_NAME_CHARACTERS)):
        nest([("a" + longest, "v")])
