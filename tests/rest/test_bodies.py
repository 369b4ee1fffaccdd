"""What a body may be, and what a bad one is told."""

import gzip

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from cyan.rest.auth import Auth
from cyan.rest.body import MAX_BODY_BYTES, PARSED_AT_ONCE_BYTES, read_bytes
from cyan.rest.call import Call
from cyan.rest.errors import ApiError
from cyan.rest.forms import MAX_FIELDS, MalformedFormError, nest, parse_urlencoded
from cyan.rest.registry import Route
from cyan.rest.responses import json_response
from tests.conftest import Serve
from tests.rest.turns import counted_turns

FORM = "application/x-www-form-urlencoded"


async def echo(call: Call) -> Response:
    fields = await call.body()
    for name, value in fields.items():
        if isinstance(value, UploadFile):
            fields[name] = [value.filename, (await value.read()).decode()]
    return json_response(fields)


@pytest.fixture
def client(serve: Serve) -> httpx.AsyncClient:
    return serve(
        [
            Route("POST", "/echo", echo, Auth.NONE),
            Route("DELETE", "/echo", echo, Auth.NONE),
            Route("POST", "/small", echo, Auth.NONE, max_body_bytes=10),
        ]
    )


async def test_json_and_forms_are_the_same(client: httpx.AsyncClient) -> None:
    fields = {"name": "lämp", "notes": "a & b"}
    by_json = await client.post("/echo", json=fields)
    by_form = await client.post("/echo", data=fields)
    by_multipart = await client.post("/echo", data=fields, files={"file": ("a/b.bin", b"bytes")})
    assert by_json.json() == by_form.json() == fields
    assert by_multipart.json() == {**fields, "file": ["a/b.bin", "bytes"]}


async def test_no_body_and_empty_objects_are_nothing(client: httpx.AsyncClient) -> None:
    json_type = {"content-type": "application/json"}
    assert (await client.delete("/echo")).json() == {}
    assert (await client.delete("/echo", headers=json_type)).json() == {}
    assert (await client.request("DELETE", "/echo", json={})).json() == {}


async def test_json_without_a_content_type_is_read(client: httpx.AsyncClient) -> None:
    assert (await client.post("/echo", content=b'{"a":1}')).json() == {"a": 1}


async def test_a_token_in_a_form_is_not_one_of_the_fields(client: httpx.AsyncClient) -> None:
    answer = await client.post("/echo", data={"access_token": "x", "name": "lamp"})
    assert answer.json() == {"name": "lamp"}


@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (b"{nope", "application/json", 400, "not JSON"),
        (b"\xff", "application/json", 400, "not JSON"),
        (b"[" * 100_000, "application/json", 400, "not JSON"),
        (b"[1]", "application/json", 400, "not an object"),
        (b"a=%ff", FORM, 400, "not UTF-8"),
        (b"a=1&a[b]=2", FORM, 400, "both a value and a group"),
        (b"a[b][c][d][e][f][g]=2", FORM, 400, "brackets"),
        (b"&".join([b"a=1"] * (MAX_FIELDS + 1)), FORM, 400, "more than 1000 fields"),
        (b"x", "multipart/form-data", 400, "multipart"),
        (b"x", "multipart/form-data; boundary=y", 400, "multipart"),
        (b"<x/>", "text/xml", 415, "application/json"),
    ],
)
async def test_a_bad_body_is_told_what_is_wrong(
    client: httpx.AsyncClient, content: bytes, kind: str, status: int, words: str
) -> None:
    answer = await client.post("/echo", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["ok"] is False
    assert words in answer.json()["error_description"]


async def test_a_compressed_body_is_refused_before_it_is_taken_for_damaged_json(
    client: httpx.AsyncClient,
) -> None:
    headers = {"content-type": "application/json", "content-encoding": "GZIP"}
    answer = await client.post("/echo", content=gzip.compress(b"{}"), headers=headers)
    assert answer.status_code == 415
    assert "without Content-Encoding" in answer.text
    headers["content-encoding"] = "identity"
    assert (await client.post("/echo", content=b"{}", headers=headers)).status_code == 200


async def test_a_body_over_the_limit_is_refused_whether_it_says_its_length_or_not(
    client: httpx.AsyncClient,
) -> None:
    async def stream() -> object:
        for _ in range(3):
            yield b"x" * (MAX_BODY_BYTES // 2)

    declared = await client.post("/echo", content=b"x" * (MAX_BODY_BYTES + 1))
    streamed = await client.post("/echo", content=stream())  # type: ignore[arg-type]
    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert str(MAX_BODY_BYTES) in answer.json()["error_description"]


async def test_a_route_can_have_a_limit_of_its_own(client: httpx.AsyncClient) -> None:
    assert (await client.post("/small", content=b'{"a": 12}')).status_code == 200
    assert (await client.post("/small", content=b'{"a": 1234}')).status_code == 413


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"a=", {"a": ""}),
        (b"a=1&a=2", {"a": ["1", "2"]}),
        (b"a[]=1&a[]=2", {"a": ["1", "2"]}),
        (b"groups%5B1%5D=y&groups%5B0%5D=x", {"groups": ["x", "y"]}),
        (
            b"account_info[first_name]=Ada&account_info[last_name]=L",
            {"account_info": {"first_name": "Ada", "last_name": "L"}},
        ),
        (b"a[b][]=1&a[b][]=2&c=3", {"a": {"b": ["1", "2"]}, "c": "3"}),
        (b"a[]=1&a[x]=2", {"a": {"0": "1", "x": "2"}}),
        (b"[=1&a]=2", {"[": "1", "a]": "2"}),
    ],
)
def test_bracketed_names_are_nested_as_qs_does(body: bytes, fields: dict[str, object]) -> None:
    assert nest(parse_urlencoded(body)) == fields


@given(st.binary(max_size=200))
def test_any_form_is_read_or_malformed(body: bytes) -> None:
    try:
        fields = nest(parse_urlencoded(body))
    except MalformedFormError:
        return
    msgspec.json.encode(fields)


@given(st.lists(st.tuples(st.text(alphabet="ab[]01", max_size=12), st.just("v")), max_size=12))
def test_any_bracketing_is_read_or_malformed(pairs: list[tuple[str, str]]) -> None:
    try:
        fields = nest(pairs)
    except MalformedFormError:
        return
    assert bool(fields) == bool(pairs)


@pytest.mark.parametrize("declared", [str(MAX_BODY_BYTES + 1), "9" * 40])
async def test_a_body_that_says_it_is_too_large_is_not_even_read(declared: str) -> None:
    async def receive() -> Message:
        raise AssertionError("the body was read")

    headers = [(b"content-length", declared.encode())]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with pytest.raises(ApiError) as refused:
        await read_bytes(request, MAX_BODY_BYTES)
    assert refused.value.status == 413


async def test_others_have_their_turn_while_a_large_form_is_read(serve: Serve) -> None:
    async def size(call: Call) -> Response:
        await call.content()
        async with counted_turns() as turns:
            file = (await call.body())["file"]
        assert isinstance(file, UploadFile)
        return json_response({"size": len(await file.read()), "turns": turns.count})

    pieces = 4
    data = bytes(pieces * PARSED_AT_ONCE_BYTES)
    route = Route("POST", "/size", size, Auth.NONE, max_body_bytes=2 * len(data))
    answer = await serve([route]).post("/size", files={"file": ("a.bin", data)})
    assert answer.json()["size"] == len(data)
    assert answer.json()["turns"] >= pieces
