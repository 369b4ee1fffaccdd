"""The floor of event streams: uvloop's transports, written to in a loop, and nothing else.

`python -m bench.barehub CORE` prints its port as one JSON line and runs until its standard input
ends. A GET opens a stream; each POST goes to all streams as one event of the usual size, then it is
answered. No HTTP is parsed, nobody is asked for a token, nothing is stored.
"""

import asyncio
import json
import sys
from typing import Final

import uvloop

from bench.machine import pin

_EVENT: Final = (
    b"event: weather/temperature/in\n"
    b'data: {"data":"0000000000000000","ttl":60,"published_at":"2026-01-01T00:00:00.000Z",'
    b'"coreid":"api","userid":"000000000000000000000000","version":0,"public":false}\n\n'
)
PIECE: Final = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)
_OPENING: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n:ok\n\n\r\n"
_ANSWER: Final = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"ok":true}'

_streams: list[asyncio.Transport] = []


class _Connection(asyncio.Protocol):
    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport in _streams:
            _streams.remove(self._transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET"):
            _streams.append(self._transport)
            self._transport.write(_OPENING)
            return
        for stream in _streams:
            stream.write(PIECE)
        self._transport.write(_ANSWER)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=2048)
    print(json.dumps({"http_port": server.sockets[0].getsockname()[1]}), flush=True)
    stopped = asyncio.Event()
    loop.add_reader(0, stopped.set)
    await stopped.wait()


if __name__ == "__main__":
    pin(int(sys.argv[1]))
    uvloop.run(_serve())
