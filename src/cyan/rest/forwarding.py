"""Who a request comes from, when a web server stands before this one.

`X-Forwarded-For` and `X-Forwarded-Proto` are believed only from the proxies that the operator
trusts: anybody else could write there what they like, and get round the limits of their address.
"""

import functools
import ipaddress
from collections.abc import Callable, Iterable
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from cyan.core.errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_HOPS: Final = 16
"""Proxies of ours that a request can have come through; addresses before them are not looked at."""

KNOWN_PEERS: Final = 1024
"""Addresses of which is remembered whether they are trusted."""

UNKNOWN: Final = "unknown"
"""The address of a request that came over no network, or that names none of the network."""

_FOR: Final = b"x-forwarded-for"
_PROTO: Final = b"x-forwarded-proto"
_SAID: Final = frozenset({_FOR, _PROTO})
_FORWARDING: Final = ("x-forwarded-for", "forwarded", "via")
"""Headers that say that somebody else has sent this on (RFC 7239 §4, RFC 9110 §7.6.3)."""

_SCHEMES: Final = frozenset({"http", "https"})


def client_address(request: HTTPConnection) -> str:
    """The address of who made the request: the peer's, or what a trusted proxy says it was.

    An IPv4 or IPv6 address as `ipaddress` writes it, for limits and the audit; IPv4 also where it
    came to a socket of IPv6. "unknown" when there is none.
    """
    client = request.client
    if client is None:
        return UNKNOWN
    address = _parse(client.host)
    return UNKNOWN if address is None else str(address)


def is_local(request: HTTPConnection) -> bool:
    """Whether a program on this machine asks for itself. What was sent on by a proxy beside us is
    not local, trusted or not: its visitors are everybody."""
    client = request.client
    address = None if client is None else _parse(client.host)
    if address is None or not address.is_loopback:
        return False
    return not any(name in request.headers for name in _FORWARDING)


def parse_proxies(text: str) -> tuple[Network, ...]:
    """Addresses and networks with commas between them. Raises ConfigError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return tuple(ipaddress.ip_network(name) for name in names)
    except ValueError as error:
        raise ConfigError(
            f"trusted_proxies has addresses and networks with commas between them, such as"
            f" `127.0.0.1, 10.0.0.0/8`: {error}."
        ) from error


class Forwarding:
    """An ASGI application that knows its clients by what trusted proxies say of them."""

    def __init__(self, app: ASGIApp, proxies: Iterable[Network]) -> None:
        self._app = app
        self._is_trusted = _trust(tuple(proxies))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = self.as_sent(scope)
        await self._app(scope, receive, send)

    def as_sent(self, scope: Scope) -> Scope:
        """The request as its client made it."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if _SAID.isdisjoint(dict(headers)):
            return scope
        path = [value for name, value in headers if name == _FOR]
        schemes = [value for name, value in headers if name == _PROTO]
        peer = scope.get("client")
        if peer is None or not self._is_trusted(peer[0]):
            return scope
        address, hops = self._walk(peer[0], _values(path))
        if path and _is_loopback(address):
            # Limits that this machine is spared are not for who is only said to be on it.
            address = UNKNOWN
        seen = {**scope, "client": (address, 0 if path else peer[1])}
        said = _values(schemes)
        if said:
            # Each proxy may add its own word; the one of the outermost that is trusted counts.
            scheme = said[-min(max(hops, 1), len(said))].lower()
            if scheme in _SCHEMES:
                seen["scheme"] = scheme
        return seen

    def _walk(self, peer: str, path: list[str]) -> tuple[str, int]:
        """From the peer back to the first that is no trusted proxy, and how many steps that was.

        Each proxy adds whom it got the request from at the end, so that what a client invents
        stands before what is true.
        """
        address, hops = peer, 0
        for text in reversed(path[-MAX_HOPS:]):
            if not self._is_trusted(address):
                break
            before = _parse(_without_port(text))
            if before is None:
                break
            address, hops = str(before), hops + 1
        return address, hops


def _trust(proxies: tuple[Network, ...]) -> Callable[[str], bool]:
    @functools.lru_cache(KNOWN_PEERS)
    def is_trusted(text: str) -> bool:
        address = _parse(text)
        return address is not None and any(address in network for network in proxies)

    return is_trusted


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_loopback(text: str) -> bool:
    address = _parse(text)
    return address is not None and address.is_loopback


def _without_port(text: str) -> str:
    """`192.0.2.1:1234` and `[2001:db8::1]:1234`, as some proxies write, without the port."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _values(headers: list[bytes]) -> list[str]:
    """The parts between commas, of all headers of one name in their order."""
    return [
        part.strip() for part in b",".join(headers).decode("latin-1").split(",") if part.strip()
    ]
