"""The program: `python -m cyan.sim`, or `main` with options that are already read."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from cyan.sim.boards import UnknownBoardError
from cyan.sim.describing import TooLongError
from cyan.sim.fleet import Fleet
from cyan.sim.journal import Journal
from cyan.sim.options import Options, OptionsError
from cyan.sim.plan import make_boards, make_fleet, make_plans
from cyan.sim.reporter import Reporter
from cyan.sim.servers import ServerError
from cyan.sim.statefolder import StateFolder, StateInUseError, read_seed
from cyan.sim.tables import TableError

SPARE_FILES = 64
"""Open files beside the sockets."""

SPARE_INPUT_BYTES = 4096
"""What stands on standard input means nothing; only its end does."""


def main(options: Options) -> int:
    """Runs the simulator until its duration has passed or a signal stops it.

    Returns the exit status: 0, or 2 with a line on standard error when it cannot begin.
    """
    with contextlib.ExitStack() as stack:
        # Thousands of devices may collect an update at the same time.
        updates = options.state or Path(stack.enter_context(TemporaryDirectory(prefix="cyan-sim-")))
        return _run(options, updates)


def _run(options: Options, updates: Path) -> int:
    try:
        options.check()
        seed = read_seed(options.state, options.seed)
        boards = make_boards(options.shares)
        identities = make_fleet(seed, boards)
        reporter = Reporter(is_json=options.json)
        if options.print_keys:
            reporter.keys(seed, identities)
            return 0
        faults = options.read_faults()
        plans = make_plans(options, identities, boards, updates)
        raise_file_limit(len(plans))
    except (
        OptionsError,
        ServerError,
        TableError,
        TooLongError,
        UnknownBoardError,
        OSError,
    ) as error:
        print(f"cyan sim: {error}", file=sys.stderr)
        return 2

    async def run() -> None:
        with contextlib.ExitStack() as stack:
            folder = None
            if options.state is not None:
                opened = StateFolder(options.state, factory_reset=options.factory_reset)
                folder = stack.enter_context(contextlib.closing(opened))
            journal = None
            if options.journal is not None:
                journal = stack.enter_context(contextlib.closing(Journal(options.journal)))
            fleet = Fleet(plans, reporter, seed=seed, faults=faults, journal=journal, folder=folder)
            fleet.start(options.connect_rate)
            stopped = stop_signal(options)
            ready = asyncio.ensure_future(fleet.ready.wait())
            ready.add_done_callback(
                lambda done: None if done.cancelled() else reporter.ready(seed, identities)
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), options.duration_s)
            ready.cancel()
            await fleet.stop(farewell=not stopped.is_sudden)
            reporter.ended(seed, fleet.statistics)

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(run())
    except StateInUseError as error:
        print(f"cyan sim: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read our output is gone, and we with it.
        return 1
    return 0


def raise_file_limit(count: int) -> None:
    """Makes room for a socket for each device."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + SPARE_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise OptionsError(f"--count {count} needs {needed} open files, the limit is {hard}")
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class Stop(asyncio.Event):
    """Set by SIGTERM, SIGINT and, if so asked, the end of standard input.

    In the last case whoever started us is gone, and as a rule the server with it: the devices then
    end as in a power cut (`is_sudden`), and resume their sessions at the next start.
    """

    is_sudden = False


def stop_signal(options: Options) -> Stop:
    loop = asyncio.get_running_loop()
    stopped = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if options.stop_with_stdin:

        def on_readable() -> None:
            if not os.read(sys.stdin.fileno(), SPARE_INPUT_BYTES):
                loop.remove_reader(sys.stdin)
                stopped.is_sudden = True
                stopped.set()

        loop.add_reader(sys.stdin, on_readable)
    return stopped


def loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
