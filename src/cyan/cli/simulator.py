"""The simulated devices of `cyan dev`: the simulator as a process of its own."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

import click

ONLINE_WITHIN_S: Final = 30.0
"""For the simulated devices; more than that is told and not waited for."""

READY_LINE_BYTES: Final = 1024
"""Room for one device in the simulator's ready line, which has about 290 bytes for each."""

_CHUNK_BYTES: Final = 65536


class Simulator:
    """A running simulator. It ends when its standard input does, so with us however we end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._online = asyncio.Event()
        self._following = asyncio.create_task(self._follow())

    @classmethod
    async def start(
        cls, count: int, *, host: str, port: int, key_file: Path, state: Path
    ) -> "Simulator":
        """`count` devices that connect to the server at `host` and `port`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cyan.sim",
            "--count", str(count), "--server", host, "--port", str(port),
            "--server-key", str(key_file), "--state", str(state),
            "--json", "--stop-with-stdin",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=READY_LINE_BYTES * (count + 1),
            start_new_session=True,  # a Ctrl-C is for the server, which then ends the simulator
        )  # fmt: skip
        return cls(process)

    async def wait_until_online(self, serving: "asyncio.Task[None]") -> None:
        """Returns when all devices are online, when that takes too long, or when the server that
        they connect to has ended."""
        online = asyncio.create_task(self._online.wait())
        await asyncio.wait(
            {online, self._following, serving},
            timeout=ONLINE_WITHIN_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        online.cancel()
        if self._online.is_set() or serving.done():
            return
        if self._following.done():
            click.echo("The simulator ended; see above. The server goes on.", err=True)
        else:
            click.echo("Not all simulated devices are online yet.", err=True)

    async def end(self) -> None:
        """Its devices end as in a power cut, to resume their sessions at the next start."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._following

    async def _follow(self) -> None:
        """Reads what it prints until it ends, because a full pipe would stop it."""
        stream = self._process.stdout
        assert stream is not None
        while line := await stream.readline():
            if json.loads(line).get("ready"):
                self._online.set()
                break
        while await stream.read(_CHUNK_BYTES):
            pass
