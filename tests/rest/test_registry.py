"""Finding a route by method and path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from cyan.rest.call import Call
from cyan.rest.registry import MalformedPathError, Registry, Route
from cyan.rest.responses import no_content


async def _endpoint(_call: Call) -> Response:
    return no_content()


def registry(*lines: str) -> Registry:
    pairs = (line.split(" ", 1) for line in lines)
    return Registry(Route(method, path, _endpoint) for method, path in pairs)


ROUTES = registry(
    "GET /v1/devices",
    "GET /v1/devices/{device}",
    "PUT /v1/devices/{device}",
    "POST /v1/devices/events",
    "GET /v1/devices/events",
    "GET /v1/devices/events/{prefix*}",
    "GET /v1/devices/{device}/{variable}",
    "GET /v1/devices/{device}/events",
    "GET /v1/devices/{device}/events/{prefix*}",
    "PUT /v1/products/{product}/firmware/release",
    "PUT /v1/products/{product}/firmware/{version}",
)


@pytest.mark.parametrize(
    ("method", "path", "found", "values"),
    [
        ("GET", "/v1/devices", "/v1/devices", {}),
        ("GET", "/v1/devices/", "/v1/devices", {}),
        ("GET", "/v1/devices/lamp", "/v1/devices/{device}", {"device": "lamp"}),
        ("GET", "/v1/devices/my%20lamp", "/v1/devices/{device}", {"device": "my lamp"}),
        ("GET", "/v1/devices/a%2Fb", "/v1/devices/{device}", {"device": "a/b"}),
        ("GET", "/v1/devices/a+b@c", "/v1/devices/{device}", {"device": "a+b@c"}),
        ("GET", "/v1/devices/%C3%A9", "/v1/devices/{device}", {"device": "é"}),
        ("GET", "/v1/devices/events", "/v1/devices/events", {}),
        ("GET", "/v1/devices/events/", "/v1/devices/events", {}),
        ("GET", "/v1/devices/events/t", "/v1/devices/events/{prefix*}", {"prefix": "t"}),
        ("GET", "/v1/devices/events/a/b", "/v1/devices/events/{prefix*}", {"prefix": "a/b"}),
        ("GET", "/v1/devices/events/a%2Fb", "/v1/devices/events/{prefix*}", {"prefix": "a/b"}),
        ("GET", "/v1/devices/events/a/", "/v1/devices/events/{prefix*}", {"prefix": "a/"}),
        ("GET", "/v1/devices/events/a//b", "/v1/devices/events/{prefix*}", {"prefix": "a//b"}),
        (
            "GET",
            "/v1/devices/lamp/temperature",
            "/v1/devices/{device}/{variable}",
            {"device": "lamp", "variable": "temperature"},
        ),
        (
            "GET",
            "/v1/devices/lamp/events/t",
            "/v1/devices/{device}/events/{prefix*}",
            {"device": "lamp", "prefix": "t"},
        ),
        (
            "PUT",
            "/v1/products/7/firmware/release",
            "/v1/products/{product}/firmware/release",
            {"product": "7"},
        ),
        (
            "PUT",
            "/v1/products/7/firmware/3",
            "/v1/products/{product}/firmware/{version}",
            {"product": "7", "version": "3"},
        ),
    ],
)
def test_a_path_finds_the_most_exact_route(
    method: str, path: str, found: str, values: dict[str, str]
) -> None:
    match = ROUTES.match(method, path.encode())
    assert match is not None
    assert (match.route.path, match.path) == (found, values)


def test_a_device_that_is_named_like_a_route_is_still_reached_by_other_methods() -> None:
    match = ROUTES.match("PUT", b"/v1/devices/events")
    assert match is not None
    assert match.path == {"device": "events"}


@pytest.mark.parametrize(
    "path", ["/", "", "/v1", "/v2/devices", "/v1//devices", "/v1/devices//x", "/V1/devices", "*"]
)
def test_an_unknown_path_finds_nothing(path: str) -> None:
    assert ROUTES.match("GET", path.encode()) is None
    assert ROUTES.methods(path.encode()) == []


def test_a_known_path_tells_its_methods() -> None:
    assert ROUTES.match("PATCH", b"/v1/devices/events") is None
    assert ROUTES.methods(b"/v1/devices/events") == ["GET", "POST", "PUT"]


@pytest.mark.parametrize("path", [b"/v1/devices/%FF", b"/v1/devices/\xff"])
def test_a_path_that_is_not_utf_8_is_malformed(path: bytes) -> None:
    with pytest.raises(MalformedPathError):
        ROUTES.match("GET", path)


def test_a_route_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        registry("GET /v1/devices/{device}", "GET /v1/devices/{id}")


def test_only_the_last_segment_takes_the_rest() -> None:
    with pytest.raises(ValueError, match="last segment"):
        registry("GET /v1/{rest*}/x")


@given(st.text(alphabet="/%ab{}.\x00é", max_size=60))
def test_any_path_is_found_or_not_or_malformed(path: str) -> None:
    try:
        match = ROUTES.match("GET", ("/v1/devices/" + path).encode())
    except MalformedPathError:
        return
    assert match is None or match.route in ROUTES.routes


@given(st.lists(st.sampled_from(["v1", "devices", "lamp", "events", "release", ""]), max_size=6))
def test_a_short_search_finds_what_a_whole_one_finds(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    last = f"%{ord(path[-1]):02x}" if path[-1] != "/" else "/"  # escaped, it takes the long way
    for method in ("GET", "PUT", "POST"):
        assert ROUTES.match(method, path.encode()) == ROUTES.match(
            method, (path[:-1] + last).encode()
        )


def test_a_path_of_endless_segments_is_cut() -> None:
    match = ROUTES.match("GET", b"/v1/devices/events" + b"/x" * 5000)
    assert match is not None
    assert match.path["prefix"] == "/".join(["x"] * 5000)
