"""Ports that a server keeps when it is killed and started again.

They lie below those that Linux gives to whoever asks for any (32768 and up): while a server is
away, nobody else's socket can come by its port.
"""

import random
import socket
from typing import Final

FIRST: Final = 20_000
LAST: Final = 32_767


def free_port(kind: socket.SocketKind, host: str = "127.0.0.1") -> int:
    """One that nobody has now, of TCP (SOCK_STREAM) or UDP (SOCK_DGRAM)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = random.randint(FIRST, LAST)
        with socket.socket(family, kind) as tried:
            try:
                tried.bind((host, port))
            except OSError:
                continue
            return port
