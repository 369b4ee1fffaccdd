"""The floor of messages: bare batched echo, plus opening and sealing the records.

`python -m bench.echo CORE` reads the sessions from one line, prints its port as one JSON line and
runs until its standard input ends. It does on each datagram what no server can leave out: find the
session by its connection id, open the record, seal an answer (the content itself).
"""

import asyncio
import json
import os
import sys

from bench.machine import pin
from cyan.cli.running import run
from cyan.gateway.udp import BATCH, bind, datagram_socket
from cyan.wire.dtls.record import Keys, ServerRecords

HOST = "127.0.0.1"


def encode_sessions(sessions: list[tuple[bytes, Keys]]) -> str:
    """The line that the echo reads: connection ids and keys."""
    return json.dumps(
        [
            [
                part.hex()
                for part in (
                    connection_id,
                    keys.client_write_key,
                    keys.server_write_key,
                    keys.client_write_iv,
                    keys.server_write_iv,
                )
            ]
            for connection_id, keys in sessions
        ]
    )


def _decode_sessions(line: str) -> dict[bytes, ServerRecords]:
    sessions: dict[bytes, ServerRecords] = {}
    for parts in json.loads(line):
        connection_id, *keys = map(bytes.fromhex, parts)
        sessions[connection_id] = ServerRecords(Keys(*keys), connection_id)
    return sessions


def main(core: int) -> None:
    pin(core)
    sessions = _decode_sessions(sys.stdin.readline())
    bound = bind(HOST, 0)
    port = bound.getsockname()[1]
    udp = datagram_socket(bound)

    def on_readable() -> None:
        while True:
            batch = udp.receive()
            for datagram, address in batch:
                records = sessions[datagram[11:19]]
                opened = records.open(datagram)
                if opened is not None:
                    udp.send(records.seal_data(opened[1]), address)
            if len(batch) < BATCH:
                break
        udp.flush()

    async def serve(stop: asyncio.Event) -> None:
        def on_input() -> None:
            if not os.read(0, 4096):
                asyncio.get_running_loop().remove_reader(0)
                stop.set()

        loop = asyncio.get_running_loop()
        loop.add_reader(udp.fileno(), on_readable)
        loop.add_reader(0, on_input)
        print(json.dumps({"udp_port": port}), flush=True)
        await stop.wait()
        loop.remove_reader(udp.fileno())
        udp.close()

    run(serve)


if __name__ == "__main__":
    main(int(sys.argv[1]))
