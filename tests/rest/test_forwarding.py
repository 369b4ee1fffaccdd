"""Who a request comes from: forwarded headers are believed from trusted proxies only."""

from collections.abc import Sequence

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from cyan.core.config import Config
from cyan.core.errors import ConfigError
from cyan.rest.forwarding import (
    MAX_HOPS,
    UNKNOWN,
    Forwarding,
    client_address,
    is_local,
    parse_proxies,
)
from cyan.rest.ratelimit import is_loopback

CLIENT = "198.51.100.7"
PROXY = "10.1.2.3"
STRANGER = "203.0.113.9"


async def _seen(
    peer: str | None,
    *headers: tuple[str, str],
    trusted: str = "10.0.0.0/8, 127.0.0.1, ::1",
) -> Request:
    """The request as the application sees it."""
    seen: list[Scope] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "scheme": "http",
        "client": None if peer is None else (peer, 4321),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }

    async def receive() -> dict[str, object]:
        raise AssertionError("nothing is read")

    async def send(_message: object) -> None:
        raise AssertionError("nothing is sent")

    await Forwarding(application, parse_proxies(trusted))(scope, receive, send)
    return Request(seen[0])


def _for(*values: str) -> Sequence[tuple[str, str]]:
    return [("X-Forwarded-For", value) for value in values]


async def test_without_a_proxy_it_is_the_peer() -> None:
    request = await _seen(CLIENT)
    assert client_address(request) == CLIENT
    assert request.scope["scheme"] == "http"


async def test_a_trusted_proxy_tells_address_and_scheme() -> None:
    request = await _seen(PROXY, *_for(CLIENT), ("X-Forwarded-Proto", "HTTPS"))
    assert client_address(request) == CLIENT
    assert request.scope["scheme"] == "https"


@pytest.mark.parametrize("said", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.9.10:80"])
@pytest.mark.parametrize("peer", [PROXY, "127.0.0.1"])
async def test_nobody_becomes_this_machine_by_a_header(peer: str, said: str) -> None:
    request = await _seen(peer, *_for(said))
    assert client_address(request) == UNKNOWN
    assert not is_loopback(request.scope["client"][0])
    within_our_network = await _seen(peer, *_for(f"{said}, 10.9.9.9"))
    assert not is_loopback(within_our_network.scope["client"][0])


async def test_nobody_else_is_believed() -> None:
    request = await _seen(STRANGER, *_for(CLIENT), ("X-Forwarded-Proto", "https"))
    assert client_address(request) == STRANGER
    assert request.scope["scheme"] == "http"


async def test_what_a_client_invents_before_the_proxys_word_is_not_believed() -> None:
    request = await _seen(PROXY, *_for(f"127.0.0.1, {STRANGER}, {CLIENT}"))
    assert client_address(request) == CLIENT
    assert client_address(await _seen(PROXY, *_for("127.0.0.1", CLIENT))) == CLIENT


async def test_several_proxies_of_ours_are_walked_through() -> None:
    request = await _seen(
        PROXY, *_for(f"{STRANGER}, {CLIENT}, 10.9.9.9"), ("X-Forwarded-Proto", "https, http")
    )
    assert client_address(request) == CLIENT
    assert request.scope["scheme"] == "https"


async def test_a_path_of_proxies_alone_ends_at_its_first_and_at_a_bound() -> None:
    assert client_address(await _seen(PROXY, *_for("10.0.0.1, 10.0.0.2"))) == "10.0.0.1"
    long = ", ".join([CLIENT] + [f"10.0.1.{number}" for number in range(MAX_HOPS)])
    assert client_address(await _seen(PROXY, *_for(long))) == "10.0.1.0"


@pytest.mark.parametrize("text", ["unknown", "_hidden", "1.2.3", "<script>", "1.2.3.4.5", "[", "%"])
async def test_what_is_no_address_leaves_the_proxys(text: str) -> None:
    assert client_address(await _seen(PROXY, *_for(text))) == PROXY


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("198.51.100.7:5555", "198.51.100.7"),
        ("[2001:db8::1]:5555", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
    ],
)
async def test_addresses_come_in_one_form(written: str, address: str) -> None:
    assert client_address(await _seen(PROXY, *_for(written))) == address


async def test_ipv4_that_came_to_a_socket_of_ipv6_is_ipv4_and_trusted_as_such() -> None:
    assert client_address(await _seen(f"::ffff:{CLIENT}")) == CLIENT
    assert client_address(await _seen(f"::ffff:{PROXY}", *_for(CLIENT))) == CLIENT


async def test_a_scheme_that_is_none_changes_nothing() -> None:
    request = await _seen(PROXY, ("X-Forwarded-Proto", "gopher"))
    assert request.scope["scheme"] == "http"


async def test_a_scheme_alone_leaves_the_peer() -> None:
    request = await _seen(PROXY, ("X-Forwarded-Proto", "https"))
    assert (client_address(request), request.scope["scheme"]) == (PROXY, "https")


async def test_without_a_network_the_address_is_unknown() -> None:
    request = await _seen(None, *_for(CLIENT))
    assert client_address(request) == UNKNOWN
    assert not is_local(request)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_is_local(peer: str) -> None:
    assert is_local(await _seen(peer))


@pytest.mark.parametrize("trusted", ["127.0.0.1", ""])
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
async def test_what_a_proxy_on_this_machine_sent_on_is_not_local(trusted: str, header: str) -> None:
    assert not is_local(await _seen("127.0.0.1", (header, "127.0.0.1"), trusted=trusted))


async def test_others_are_not_local() -> None:
    assert not is_local(await _seen(CLIENT))


async def test_by_default_only_this_machine_is_a_proxy() -> None:
    trusted = Config().trusted_proxies
    assert client_address(await _seen("127.0.0.1", *_for(CLIENT), trusted=trusted)) == CLIENT
    assert client_address(await _seen("::1", *_for(CLIENT), trusted=trusted)) == CLIENT
    assert client_address(await _seen(PROXY, *_for(CLIENT), trusted=trusted)) == PROXY


@pytest.mark.parametrize("text", ["example.com", "10.0.0.1/8", "10.0.0.0/33", "127.0.0.1; ::1"])
def test_what_is_no_list_of_addresses_is_named_with_its_setting(text: str) -> None:
    with pytest.raises(ConfigError, match=r"trusted_proxies .*10\.0\.0\.0/8"):
        parse_proxies(text)


def test_nobody_can_be_trusted() -> None:
    assert parse_proxies("") == ()
