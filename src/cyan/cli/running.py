"""Running a server in the foreground: signals, one process for a data folder, the loop."""

import asyncio
import contextlib
import fcntl
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import click

from cyan.core.errors import ConfigError

LOCK_FILE: Final = "server.lock"


class AlreadyRunningError(ConfigError):
    """Another server uses this data folder. Stop it first, or choose another with --data."""


@contextlib.contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the data folder: exactly one process serves it. Raises AlreadyRunningError."""
    descriptor = os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError from error
        yield
    finally:
        os.close(descriptor)


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main(stop)` on uvloop where it exists; SIGINT and SIGTERM set `stop`.

    A port that cannot be bound is one line for the person, not a traceback.
    """

    _allow_many_connections()

    async def body() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(body())
    except OSError as error:
        raise click.ClickException(
            f"The server cannot listen: {error.strerror or error}. Is another one running? "
            "Choose other ports with --http-port and --udp-port (0 takes any free one)."
        ) from error


def _allow_many_connections() -> None:
    """Each reader of a stream takes a file descriptor; the usual soft limit of 1024 is for programs
    that use select(), which this is not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
