"""Open event streams whose readers take all that comes, and look at nothing."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from tests.system.processes import Server

_CHUNK_BYTES: Final = 1 << 18
_LOOK_S: Final = 0.1
_REST_S: Final = 0.01
"""Between two looks: so that much is read at once."""


@contextmanager
def reading(server: Server, token: str, count: int) -> Iterator[None]:
    """`count` streams of all events of the token's owner, read by one thread."""
    ends = threading.Event()
    request = f"GET /v1/devices/events?access_token={token} HTTP/1.1\r\nHost: test\r\n\r\n"
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(count):
            address = (server.host, server.http_port)
            stream = stack.enter_context(socket.create_connection(address))
            stream.sendall(request.encode())
            selector.register(stream, selectors.EVENT_READ, stream.recv)

        def read() -> None:
            while not ends.wait(_REST_S):
                for key, _ in selector.select(_LOOK_S):
                    key.data(_CHUNK_BYTES)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield
        finally:
            ends.set()
            thread.join()
