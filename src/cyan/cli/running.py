"""Running a server in the foreground: signals, one process for a data folder, the loop."""

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from cyan.core.errors import ConfigError

LOCK_FILE: Final = "server.lock"


class AlreadyRunningError(ConfigError):
    """Another server uses this data folder. Stop it first, or choose another with --data."""


class NoRightsError(ConfigError):
    """The data folder belongs to somebody else."""


@contextlib.contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the data folder: exactly one process serves it. Raises AlreadyRunningError,
    NoRightsError."""
    try:
        descriptor = os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError as error:
        raise NoRightsError(
            f"This user may not write to {data}. Serve as its owner, or give it to this user;"
            " `cyan doctor` names the files."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError from error
        yield
    finally:
        os.close(descriptor)


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main(stop)` on uvloop where it exists; SIGINT and SIGTERM set `stop`."""

    async def body() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(body())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
