"""The floor of updates: bare datagrams of a chunk's size, as many as the devices' windows allow.

`python -m bench.otafloor CORE` prints its port as one JSON line. Each host begins with one datagram
of its own; then a line with JSON, `count`, `size` and `window`, has it send to each host so many
datagrams of this size, `window` at first and then two for every datagram that comes back. It prints
a JSON line with the seconds and its CPU when all are answered.
"""

import asyncio
import json
import os
import sys
import time

from bench.machine import pin
from cyan.cli.running import run
from cyan.gateway.udp import BATCH, bind, datagram_socket

HOST = "127.0.0.1"
FOR_EACH = 2
"""A device acknowledges every second chunk (device-protocol.md §5.2.2)."""


def main(core: int) -> None:
    pin(core)
    bound = bind(HOST, 0)
    udp = datagram_socket(bound)
    hosts: dict[bytes, list[int]] = {}
    """Address to what is left to send and to be answered."""
    pair: tuple[bytes, ...] = ()
    began = cpu = 0.0
    unfinished = 0

    def on_readable() -> None:
        nonlocal unfinished
        while True:
            batch = udp.receive()
            for _, address in batch:
                state = hosts.get(address)
                if state is None:
                    hosts[address] = [0, 0]
                    continue
                state[1] -= FOR_EACH
                more = pair[: state[0]]
                udp.send_all(more, address)
                state[0] -= len(more)
                if state[1] <= 0:
                    unfinished -= 1
                    if not unfinished:
                        say = {
                            "wall_s": time.perf_counter() - began,
                            "cpu_s": time.process_time() - cpu,
                        }
                        print(json.dumps(say), flush=True)
            if len(batch) < BATCH:
                break
        udp.flush()

    def begin(asked: dict[str, int]) -> None:
        nonlocal pair, began, cpu, unfinished
        datagram = bytes(asked["size"])
        pair = (datagram,) * FOR_EACH
        began, cpu, unfinished = time.perf_counter(), time.process_time(), len(hosts)
        for address, state in hosts.items():
            first = min(asked["window"], asked["count"])
            state[:] = [asked["count"] - first, asked["count"]]
            udp.send_all([datagram] * first, address)
        udp.flush()

    async def serve(stop: asyncio.Event) -> None:
        def on_input() -> None:
            line = os.read(0, 4096)
            if line:
                begin(json.loads(line))
            else:
                asyncio.get_running_loop().remove_reader(0)
                stop.set()

        loop = asyncio.get_running_loop()
        loop.add_reader(udp.fileno(), on_readable)
        loop.add_reader(0, on_input)
        print(json.dumps({"udp_port": bound.getsockname()[1]}), flush=True)
        await stop.wait()
        loop.remove_reader(udp.fileno())
        udp.close()

    run(serve)


if __name__ == "__main__":
    main(int(sys.argv[1]))
