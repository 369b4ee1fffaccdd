"""The sockets of a server: bound before anything else, so that a taken port stops the start."""

import contextlib
import resource
import socket
from collections.abc import Callable

from cyan.core.errors import ConfigError


class PortError(ConfigError):
    """A port cannot be listened on."""


def bound(
    bind_one: Callable[[str, int], socket.socket], host: str, port: int, option: str
) -> socket.socket:
    """A bound socket. Raises PortError, which names the port and the option for another."""
    try:
        return bind_one(host, port)
    except OSError as error:
        raise PortError(
            f"The server cannot listen on port {port} of {host}: {error.strerror or error}. Is"
            f" another one running? `cyan doctor` tells who holds the port; {option} takes another"
            " (0 any free one)."
        ) from error


def raise_file_limit() -> None:
    """Each connection is an open file; take as many as the system gives without asking. The usual
    soft limit of 1024 is for programs that use select(), which this is not."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def bind_tcp(host: str, port: int) -> socket.socket:
    """A TCP socket, not listening yet. Raises OSError."""
    info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # With the protocol named, asyncio's own loop sets TCP_NODELAY too.
    opened = socket.socket(info[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(info[4])
    except OSError:
        opened.close()
        raise
    return opened
