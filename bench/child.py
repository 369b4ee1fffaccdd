"""A process of the bench, on a core of its own: it says one JSON line when it is ready."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.machine import BenchError, cpu_s

STOP_WITHIN_S = 20.0


class Child:
    """Runs `python -m module …` until the block ends; then its standard input does.

    `ready` is the line that it printed. Its standard error goes to `log`.
    """

    def __init__(self, module: str, *arguments: str, log: Path, first_line: str = "") -> None:
        self._log = log
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
            self._process.stdin.write(first_line + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"{module} did not start:\n{log.read_text()}")
        self.ready: dict[str, Any] = json.loads(line)

    @property
    def pid(self) -> int:
        return self._process.pid

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
