"""Where a server's time goes: py-spy beside a run, and the lines of code that it found most often.

Its sampling takes its own share of the machine: figures of a profiled run are not for the table.
"""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.machine import BenchError

SAMPLES_PER_S = 400
LINES = 45


@contextmanager
def profiled(pid: int, folder: Path, title: str) -> Iterator[None]:
    """Sample the process while the block runs, then print the functions that it was found in."""
    raw = folder / "profile.raw"
    sampler = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "py-spy"),
            *("record", "--pid", str(pid), "--rate", str(SAMPLES_PER_S), "--threads", "--gil"),
            *("--function", "--format", "raw", "--output", str(raw)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    before = _threads_s(pid)
    try:
        yield
    finally:
        spent = [f"{s - before.get(thread, 0.0):.2f}" for thread, s in _threads_s(pid).items()]
        sampler.send_signal(signal.SIGINT)
        _, errors = sampler.communicate(timeout=30)
    if not raw.exists():
        raise BenchError(f"py-spy: {errors.decode()}")
    print(f"\nprofile of {title}: CPU seconds of the server's threads: {', '.join(spent)}")
    print(_summary(raw.read_text()))
    raw.unlink()


def _summary(raw: str) -> str:
    """`raw` has a line for each stack: frames from outside in, then how often it was found."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        alone[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    total = sum(alone.values()) or 1
    lines = [f"{total} samples with the interpreter lock held", "  alone  within"]
    lines += [
        f"  {alone[frame] / total:5.1%}  {count / total:5.1%}  {frame}"
        for frame, count in within.most_common(LINES)
    ]
    return "\n".join(lines)


def _threads_s(pid: int) -> dict[int, float]:
    """CPU seconds of each thread: user and kernel."""
    threads = psutil.Process(pid).threads()
    return {thread.id: thread.user_time + thread.system_time for thread in threads}
