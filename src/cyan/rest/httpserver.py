"""uvicorn as this server runs it: bounded connections, HTTPS with a certificate, no signals."""

import asyncio
import contextlib
import socket
from functools import partial
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp

from cyan.rest.atonce import AnswerNow, no_answer_now
from cyan.rest.connection import BoundedConnection
from cyan.rest.tls import Certificate, SecureConnection

GRACEFUL_STOP_S: Final = 5
"""How long open requests may take after a signal; streams are closed at once."""

_CONNECTIONS_STOP_S: Final = GRACEFUL_STOP_S + 5
"""How long the connections of readers that do not read may hold up the stop after that."""


class HttpServer(uvicorn.Server):
    """Leaves signals to the process that runs it, and can be waited for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Closed here and not waited for: uvicorn would wait for whoever is in the middle of a TLS
        # handshake. It does wait for connections.
        for listener in self.servers:
            listener.close()
        self.servers = []
        await super().shutdown(sockets)

    async def has_started(self, serving: "asyncio.Task[None]") -> None:
        """Returns when it listens; raises what ended `serving` before that."""
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if serving.done():
            await serving


def http_server(
    asgi: ASGIApp, certificate: Certificate | None, answer_now: AnswerNow = no_answer_now
) -> HttpServer:
    """A server of this application, for HTTPS when there is a certificate. What `answer_now`
    answers does not come to the application."""
    tls = None if certificate is None else certificate.context
    connection = BoundedConnection if tls is None else SecureConnection
    return HttpServer(
        uvicorn.Config(
            asgi,
            # uvicorn calls it as it would a class.
            http=cast(type[asyncio.Protocol], partial(connection, answer_now=answer_now)),
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,  # rest/forwarding.py knows whom to believe
            timeout_graceful_shutdown=_CONNECTIONS_STOP_S,
            backlog=2048,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
    )
