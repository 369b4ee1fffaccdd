"""The measured server: the real one, on one core, with or without the writer of its event log.

`python -m bench.server FOLDER CORE real|noop [UDP-PORT [MESSAGES-PER-S]]` prints its ports as one
JSON line and runs until its standard input ends. The last is the limit of one device, as it is by
default unless said. A line `real` or `noop` there changes what becomes of the events.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from bench.machine import pin
from cyan.app import Parts, Server
from cyan.cli.running import run
from cyan.core import log
from cyan.core.config import Config
from cyan.events.log import Done, EventLog
from cyan.events.model import Event


class SwitchedLog(EventLog):
    """An event log that answers as if it had written, while `is_real` is False.

    All else is as it was: the events of one turn of the loop are one batch, answered together and
    handed to the readers of the log.
    """

    is_real = True

    def append(self, event: Event, done: Done | None = None) -> None:
        if self.is_real:
            super().append(event, done)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_all)
        self._waiting.append(event)
        self._waiting_dones.append(done)

    def _answer_all(self) -> None:
        events, self._committing_dones = self._waiting, self._waiting_dones
        self._waiting, self._waiting_dones = [], []
        first = self._position + 1
        self._position += len(events)
        self._finish(first, events, self._end_byte, None)


def main(data: Path, core: int, kind: str, udp_port: int, messages_per_s: int) -> None:
    pin(core)
    log.configure("text", "info")
    config = Config(
        data=data,
        http_port=0,
        udp_port=udp_port,
        tcp_port=0,
        device_messages_per_s=messages_per_s,
        limit_loopback="no",  # a thousand streams come from this machine
    )
    server = Server(config, log_factory=SwitchedLog)
    SwitchedLog.is_real = kind == "real"

    async def serve(stop: asyncio.Event) -> None:
        def on_ready(_parts: Parts) -> None:
            ports = ("udp_port", "tcp_port", "http_port")
            print(json.dumps({name: getattr(server, name) for name in ports}), flush=True)

        def on_input() -> None:
            line = os.read(0, 4096)
            if line:
                SwitchedLog.is_real = line.strip() == b"real"
            else:
                asyncio.get_running_loop().remove_reader(0)
                stop.set()

        asyncio.get_running_loop().add_reader(0, on_input)
        await server.run(on_ready, stop)

    run(serve)


if __name__ == "__main__":
    folder, core, kind, *rest = sys.argv[1:]
    udp_port = int(rest[0]) if rest else 0
    messages_per_s = int(rest[1]) if rest[1:] else Config.device_messages_per_s
    main(Path(folder), int(core), kind, udp_port, messages_per_s)
