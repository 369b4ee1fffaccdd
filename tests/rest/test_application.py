"""What the application does around every endpoint."""

import httpx
import pytest
import structlog
from starlette.responses import Response
from structlog.testing import capture_logs

from cyan.core.errors import (
    ConflictError,
    CyanError,
    DiskFullError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from cyan.core.log import redact
from cyan.core.metrics import REGISTRY, exposition
from cyan.rest.auth import Auth
from cyan.rest.call import Call
from cyan.rest.registry import Route
from cyan.rest.responses import json_response, no_content
from tests.cast import Cast, bearer
from tests.conftest import Serve


async def whoami(call: Call) -> Response:
    caller = call.known_caller
    return json_response({"user": caller.username if caller else None})


async def needs_caller(call: Call) -> Response:
    return json_response({"user": call.caller.username})


async def fails(_call: Call) -> Response:
    raise RuntimeError("a secret of the server")


async def empty(_call: Call) -> Response:
    return no_content()


def raising(error: CyanError) -> Route:
    async def endpoint(_call: Call) -> Response:
        raise error

    return Route("GET", f"/raise/{type(error).__name__}", endpoint, Auth.NONE)


@pytest.fixture
def client(serve: Serve) -> httpx.AsyncClient:
    return serve(
        [
            Route("GET", "/me", needs_caller),
            Route("POST", "/me", needs_caller),
            Route("GET", "/maybe", whoami, Auth.OPTIONAL),
            Route("GET", "/anyone", whoami, Auth.NONE),
            Route("GET", "/own", whoami, Auth.OWN),
            Route("GET", "/careless", needs_caller, Auth.NONE),
            Route("GET", "/fails", fails, Auth.NONE),
            Route("DELETE", "/empty", empty, Auth.NONE),
            raising(InvalidError()),
            raising(NotFoundError()),
            raising(ForbiddenError()),
            raising(ConflictError("Already so.")),
            raising(DiskFullError()),
            raising(CyanError()),
        ]
    )


async def test_the_token_may_be_in_the_header_the_query_or_a_form(
    client: httpx.AsyncClient, cast: Cast
) -> None:
    token = cast.ada.token
    answers = [
        await client.get("/me", headers=bearer(token)),
        await client.get("/me", headers={"authorization": f"bearer  {token}"}),
        await client.get(f"/me?access_token={token}"),
        await client.post(f"/me?access_token={token}"),
        await client.post("/me", data={"access_token": token}),
        await client.post("/me", data={"access_token": token}, files={"file": b""}),
    ]
    assert [answer.json() for answer in answers] == [{"user": "ada@example.com"}] * len(answers)


async def test_the_header_wins_over_the_query(client: httpx.AsyncClient, cast: Cast) -> None:
    answer = await client.get(f"/me?access_token={cast.cleo.token}", headers=cast.ada.headers)
    assert answer.json() == {"user": "ada@example.com"}


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": ""}, {"authorization": "Bearer "}, {"authorization": "Basic YTpi"}],
)
async def test_no_token_is_400_and_never_cached(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for answer in (
        await client.get("/me", headers=headers),
        await client.get("/me?access_token=", headers=headers),
        await client.post("/me", json={"access_token": "in JSON it is a field"}, headers=headers),
    ):
        assert answer.status_code == 400
        assert answer.content == (
            b'{"error":"invalid_request","error_description":"The access token was not found"}'
        )
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"


@pytest.mark.parametrize("token", ["0" * 40, "x", "ünknown", "\udcff" * 3])
async def test_an_unknown_token_is_401(client: httpx.AsyncClient, token: str) -> None:
    header = {"authorization": f"Bearer {token}".encode("utf-8", "surrogateescape")}
    answer = await client.get("/me", headers=header)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.content == (
        b'{"error":"invalid_token","error_description":"The access token provided is invalid."}'
    )


async def test_an_expired_token_is_401_and_says_so(client: httpx.AsyncClient, cast: Cast) -> None:
    answer = await client.get("/me", headers=bearer(cast.expired_token))
    assert answer.status_code == 401
    assert answer.content == (
        b'{"error":"invalid_token","error_description":"The access token provided has expired."}'
    )


async def test_where_a_token_is_optional_a_bad_one_is_still_refused(
    client: httpx.AsyncClient, cast: Cast
) -> None:
    assert (await client.get("/maybe")).json() == {"user": None}
    assert (await client.get("/maybe", headers=cast.ada.headers)).json()["user"] is not None
    assert (await client.get("/maybe", headers=bearer("x"))).status_code == 401


@pytest.mark.parametrize("path", ["/anyone", "/own"])
async def test_where_none_is_asked_for_a_token_is_not_looked_at(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(path, headers=bearer("x"))).json() == {"user": None}


async def test_an_endpoint_that_wants_a_caller_and_has_none_refuses(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/careless")).status_code == 400


async def test_an_unknown_path_is_404_in_json(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/nothing/here")
    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"


async def test_a_wrong_method_is_405_and_names_the_right_ones(client: httpx.AsyncClient) -> None:
    answer = await client.put("/me")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST, OPTIONS"
    assert answer.json() == {
        "ok": False,
        "error": "method_not_allowed",
        "error_description": "This path does not take PUT; it takes GET and POST.",
    }


async def test_a_malformed_path_is_400(client: httpx.AsyncClient) -> None:
    assert (await client.get("/me%ff")).status_code == 400


async def test_an_empty_answer_is_204(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/empty")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        ("InvalidError", 400, "What was given is not what is expected here."),
        ("ForbiddenError", 403, "You may not do that."),
        ("NotFoundError", 404, "There is no such thing, or it is not yours."),
        ("ConflictError", 409, "Already so."),
        (
            "DiskFullError",
            507,
            "The server's disk is full. Nothing was changed; its operator has to make room.",
        ),
    ],
)
async def test_errors_of_use_cases_have_a_plain_answer(
    client: httpx.AsyncClient, error: str, status: int, text: str
) -> None:
    answer = await client.get(f"/raise/{error}")
    assert answer.status_code == status
    assert answer.json() == {"ok": False, "error": text}


@pytest.mark.parametrize("path", ["/fails", "/raise/CyanError"])
async def test_a_failure_inside_is_500_with_the_request_id_and_nothing_else(
    client: httpx.AsyncClient, path: str
) -> None:
    with capture_logs() as lines:
        answer = await client.get(path)
    assert answer.status_code == 500
    assert answer.json()["error"] == "internal_error"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    assert [line["event"] for line in lines] == ["http.failed", "http.request"]


async def test_each_request_has_an_id_of_its_own_which_its_log_lines_carry(
    client: httpx.AsyncClient,
) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answers = [await client.get("/anyone") for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 2
    assert [line["request_id"] for line in lines] == ids
    assert structlog.contextvars.get_contextvars() == {}


async def test_the_access_line_tells_what_happened_and_no_token(
    client: httpx.AsyncClient, cast: Cast
) -> None:
    with capture_logs() as lines:
        await client.get(f"/me?access_token={cast.ada.token}")
        await client.get(f"/nothing/{cast.ada.token}")
        hidden = "".join(f"%{ord(character):02x}" for character in cast.ada.token)
        await client.get(f"/nothing/{hidden}")
    assert [(line["method"], line["status"]) for line in lines] == [
        ("GET", 200),
        ("GET", 404),
        ("GET", 404),
    ]
    assert lines[0]["path"] == "/me"
    assert {redact(line["path"]) for line in lines[1:]} == {"/nothing/[redacted]"}


async def test_head_is_answered_as_get(client: httpx.AsyncClient, cast: Cast) -> None:
    assert (await client.head("/anyone")).status_code == 200
    assert (await client.head("/me")).status_code == 400  # no token
    assert (await client.head("/nothing")).status_code == 404


async def test_a_browser_may_ask_from_anywhere(client: httpx.AsyncClient) -> None:
    preflight = await client.options(
        "/v1/anything",
        headers={
            "origin": "https://example.com",
            "access-control-request-method": "PATCH",
            "access-control-request-headers": "authorization,x-particle-tool",
        },
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    for header in ("Authorization", "Content-Type", "X-Particle-Tool", "X-Particle-Project"):
        assert header in preflight.headers["access-control-allow-headers"]
    answer = await client.get("/anyone", headers={"origin": "https://example.com"})
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-total-count", "retry-after"} <= set(exposed)


async def test_requests_are_counted_by_route_and_not_by_path(client: httpx.AsyncClient) -> None:
    def count(method: str, route: str, status: str) -> float:
        labels = {"method": method, "route": route, "status": status}
        return REGISTRY.get_sample_value("cyan_http_requests_total", labels) or 0

    before = count("GET", "/anyone", "200"), count("GET", "unmatched", "404")
    await client.get("/anyone?x=1")
    await client.get("/some/path")
    await client.request("BREW", "/some/path")
    after = count("GET", "/anyone", "200"), count("GET", "unmatched", "404")
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)
    assert b"BREW" not in exposition()
    assert b"/some/path" not in exposition()
