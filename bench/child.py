"""A process of the bench, on a core of its own: it says one JSON line when it is ready."""

import json
import select
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.machine import BenchError, cpu_s

STOP_WITHIN_S = 20.0


class Child:
    """Runs `python -m module …` until the block ends; then its standard input does.

    Its standard error goes to `log`.
    """

    def __init__(self, module: str, *arguments: str, log: Path, first_line: str = "") -> None:
        self._log = log
        self._module = module
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if first_line:
            self.say(first_line)

    @cached_property
    def ready(self) -> dict[str, Any]:
        """What it printed; waits for it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"{self._module} did not start:\n{self._log.read_text()}")
        return dict(json.loads(line))

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_ready(self) -> bool:
        """Whether `ready` can be had without waiting."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def next_answer(self) -> dict[str, Any]:
        """The next JSON line that it prints; waits for it, after `ready`."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"{self._module} has ended:\n{self._log.read_text()}")
        return dict(json.loads(line))

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """`kill -9`; returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Meter:
    """What one stretch of work cost: `wall_s`, CPU of a server process, CPU of this one."""

    def __init__(self, server_pid: int) -> None:
        self._pid = server_pid
        self.wall_s = self.server_s = self.own_s = 0.0

    def __enter__(self) -> "Meter":
        self._began = (time.perf_counter(), cpu_s(self._pid), time.process_time())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        wall, server, own = self._began
        self.wall_s = time.perf_counter() - wall
        self.server_s = cpu_s(self._pid) - server
        self.own_s = time.process_time() - own
