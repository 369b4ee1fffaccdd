"""The logs of the servers that tests run; a test that fails shows how they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TAIL_CHARACTERS: Final = 4000

_STAMPS_LAG_S: Final = 0.1
"""Linux stamps files by the tick, which is up to 10 ms behind the clock; ten of them."""

_running: list[Path] = []
_ended: list[Path] = []


@contextmanager
def followed(log: Path) -> Iterator[None]:
    """This is the log of a server that runs as long as the `with`."""
    _running.append(log)
    try:
        yield
    finally:
        _running.remove(log)
        _ended.append(log)


def tail(log: Path) -> str:
    """How it ends."""
    return log.read_text(errors="replace")[-TAIL_CHARACTERS:]


def tails(began_s: float) -> Iterator[tuple[str, str]]:
    """(name, tail) of the logs that may tell why a test failed which began then (Unix time): those
    of servers that run, and those that were written to since."""
    ended = [log for log in _ended if log.exists()]
    since = [log for log in ended if log.stat().st_mtime >= began_s - _STAMPS_LAG_S]
    for log in dict.fromkeys([*since, *_running]):
        yield f"End of {log}", tail(log)
