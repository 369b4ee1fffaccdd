"""The measured server of updates: the real one, which sends a file when it is told to.

`python -m bench.otaserver FOLDER CORE` prints its ports as one JSON line. A line of JSON, `devices`
(their ids) and `size`, has it send one file of so many bytes to all of them at once; it prints
another JSON line when all have confirmed: how long it took, and what memory it took meanwhile.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from random import Random

import psutil

from bench.machine import pin
from cyan.app import Parts, Server
from cyan.cli.running import run
from cyan.core import log
from cyan.core.config import Config
from cyan.core.ids import DeviceId
from cyan.core.ports import Image, UpdateStage

LEVEL = "warning"
LOOK_EVERY_S = 0.05
"""At the memory."""


async def _send(parts: Parts, devices: list[str], data: bytes) -> dict[str, float]:
    """Send the file; seconds from the first chunk's stage to the last device's confirmation."""
    image = Image(memoryview(data), hashlib.sha256(data).digest(), 5)
    process = psutil.Process()
    before = process.memory_info().rss
    highest = before
    sending = looked = 0.0

    def on_progress(stage: UpdateStage, confirmed: int) -> None:
        nonlocal sending, looked, highest
        now = time.perf_counter()
        if stage is UpdateStage.SENDING and not sending:
            sending = now
        if now - looked >= LOOK_EVERY_S:
            # To ask for it costs as much as to send some chunks.
            looked = now
            highest = max(highest, process.memory_info().rss)

    cpu = time.process_time()
    began = time.perf_counter()
    await asyncio.gather(
        *(
            parts.gateway.updates.update(DeviceId(device_id), image, on_progress)
            for device_id in devices
        )
    )
    return {
        "wall_s": time.perf_counter() - (sending or began),
        "cpu_s": time.process_time() - cpu,
        "grown_bytes": highest - before,
    }


def main(folder: Path, core: int) -> None:
    pin(core)
    log.configure("text", LEVEL)
    server = Server(Config(data=folder, http_port=0, udp_port=0, tcp_port=0))
    parts: list[Parts] = []
    tasks: set[asyncio.Task[None]] = set()

    async def obey(line: bytes) -> None:
        asked = json.loads(line)
        data = Random(1).randbytes(asked["size"])
        print(json.dumps(await _send(parts[0], asked["devices"], data)), flush=True)

    async def serve(stop: asyncio.Event) -> None:
        waiting = bytearray()

        def on_ready(made: Parts) -> None:
            parts.append(made)
            ports = ("udp_port", "http_port")
            print(json.dumps({name: getattr(server, name) for name in ports}), flush=True)

        def on_input() -> None:
            more = os.read(0, 1 << 16)
            if not more:
                asyncio.get_running_loop().remove_reader(0)
                stop.set()
                return
            waiting.extend(more)
            while (end := waiting.find(b"\n")) >= 0:
                task = asyncio.get_running_loop().create_task(obey(bytes(waiting[:end])))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                del waiting[: end + 1]

        asyncio.get_running_loop().add_reader(0, on_input)
        await server.run(on_ready, stop)

    run(serve)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
