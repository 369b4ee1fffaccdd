"""Hosts as people write them in settings, and what they mean to a board."""

import ipaddress
import socket
from typing import Final

EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - to recognise, not to bind

_EXAMPLE_ID: Final = "0123456789abcdef01234567.v6"
"""What a board puts in the place of `$id` (device-protocol.md §1.1)."""


def is_everywhere(host: str) -> bool:
    """Whether it stands for every interface of this machine."""
    return host in EVERYWHERE


def addresses_of(host: str) -> list[str]:
    """The numeric addresses of a host; empty when the name is not known."""
    try:
        found = socket.getaddrinfo(host.replace("$id", _EXAMPLE_ID), None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found})


def is_loopback(host: str) -> bool:
    """Whether all its addresses are of this machine only."""
    addresses = [] if is_everywhere(host) else addresses_of(host)
    return bool(addresses) and all(ipaddress.ip_address(one).is_loopback for one in addresses)


def to_connect_to(host: str) -> str:
    """Where a program on this machine reaches what listens on `host`."""
    if host == "::":
        return "::1"
    return "127.0.0.1" if is_everywhere(host) else host


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
