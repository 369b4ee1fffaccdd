"""The floor of the API: an ASGI application that answers every request with the same bytes.

`python -m bench.bareasgi FOLDER CORE` prints its port as one JSON line, then takes what it shall
answer as one line (hexadecimal), and runs until its standard input ends. It runs on uvicorn as that
comes: what our own connections cost more, such as their bounds, is not part of the floor.
"""

import asyncio
import json
import os
import socket
import sys

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from bench.machine import pin
from cyan.cli.running import run
from cyan.rest.httpserver import HttpServer

HOST = "127.0.0.1"


class Bare:
    """Says 200 and `body`, and looks at nothing."""

    def __init__(self) -> None:
        self._messages: tuple[Message, Message] | None = None

    def answer_with(self, body: bytes) -> None:
        self._messages = (
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-length", str(len(body)).encode()),
                    (b"content-type", b"application/json; charset=utf-8"),
                ],
            },
            {"type": "http.response.body", "body": body},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._messages is not None
        for message in self._messages:
            await send(message)


def main(core: int) -> None:
    pin(core)
    application = Bare()
    listener = socket.create_server((HOST, 0), backlog=2048)
    server = HttpServer(
        uvicorn.Config(
            application,
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            backlog=2048,
        )
    )

    async def serve(stop: asyncio.Event) -> None:
        def on_input() -> None:
            line = os.read(0, 1 << 16)
            if line:
                application.answer_with(bytes.fromhex(line.decode()))
            else:
                asyncio.get_running_loop().remove_reader(0)
                server.should_exit = True

        asyncio.get_running_loop().add_reader(0, on_input)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.has_started(serving)
        print(json.dumps({"http_port": listener.getsockname()[1]}), flush=True)
        await serving

    run(serve)


if __name__ == "__main__":
    main(int(sys.argv[2]))
