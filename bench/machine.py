"""The machine that measures: its cores, its clocks, what it is."""

import os
import platform
import subprocess
from pathlib import Path

import psutil


class BenchError(Exception):
    """A measurement that cannot be made, or whose result would not be true."""


def two_cores() -> tuple[int, int]:
    """One core for the server, one for the generator. Raises BenchError on a single core."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("A server and its load need a core each; this machine has one.")
    return cores[0], cores[1]


def pin(core: int) -> None:
    """Keep this process, and the threads and processes that it starts, on one core."""
    os.sched_setaffinity(0, {core})


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used so far, in user and kernel, all its threads."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def resident_bytes(pid: int) -> int:
    """Memory that a process has in RAM, what it shares with others included."""
    return int(psutil.Process(pid).memory_info().rss)


def describe() -> str:
    """Cores, processor, kernel, Python: one line."""
    cores = os.cpu_count()
    return (
        f"{cores} cores, {_processor()}, Linux {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def commit() -> str:
    """The commit that was measured; `+` when files differ from it."""
    root = Path(__file__).parent
    try:
        head = _git(root, "rev-parse", "--short", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--", "../src") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
