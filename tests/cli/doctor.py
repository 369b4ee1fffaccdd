"""Looking at an installation as `cyan doctor` does, group by group or with the command itself."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from cyan.cli.doctoring.examination import Check
from cyan.cli.doctoring.finding import Finding, Level
from cyan.cli.doctoring.installation import Installation, look_at
from cyan.core.clock import Clock, SystemClock
from cyan.core.config import Config
from tests.system.dev import FREE_PORTS
from tests.system.processes import CYAN, environment

NOBODY: Final = 65534
ENDED_WITHIN_S: Final = 90.0
ANY_PORTS: Final = {"udp_port": 0, "tcp_port": 0, "http_port": 0}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root can become another user.")


def installation(
    data: Path,
    *key_files: Path,
    clock: Clock | None = None,
    ports: Mapping[str, int] | None = None,
    **settings: str | int,
) -> Installation:
    """A data folder with these settings, as it is now. The ports are any, unless they are given."""
    chosen: dict[str, Any] = {**ANY_PORTS, **(ports or {}), **settings}
    return look_at(Config(data=data, **chosen), clock or SystemClock(), key_files)


def found_by(check: Check, place: Installation) -> dict[str, Finding]:
    """What a check finds, by the finding's name; each name once at most."""
    return by_name(check(place))


def by_name(findings: Iterable[Finding]) -> dict[str, Finding]:
    listed = list(findings)
    named = {one.check: one for one in listed}
    assert len(named) == len(listed), "Two findings of one name."
    assert all((one.level is Level.OK) or one.next_step for one in listed)
    return named


def levels(findings: Mapping[str, Finding]) -> dict[str, str]:
    return {name: one.level.value for name, one in findings.items()}


class Examined:
    """What the command said with --json."""

    def __init__(self, exit_code: int, said: dict[str, Any]) -> None:
        self.exit_code = exit_code
        self.said = said

    def all(self, check: str) -> list[dict[str, Any]]:
        return [one for one in self.said["findings"] if one["check"] == check]

    def one(self, check: str) -> dict[str, Any]:
        (found,) = self.all(check)
        return found

    @property
    def problems(self) -> list[str]:
        return [one["check"] for one in self.said["findings"] if one["level"] == "problem"]


def doctor(
    data: Path,
    *arguments: str | Path,
    settings: Mapping[str, str] | None = None,
    under: Sequence[str | Path] = (),
) -> Examined:
    """Run the command, which has to end by itself and with nothing on standard error.

    Any port is fine, unless `settings` say otherwise. `under` is a program that runs it.
    """
    ended = subprocess.run(
        [*under, CYAN, "doctor", "--json", "--data", data, *arguments],
        capture_output=True,
        text=True,
        env=environment({**FREE_PORTS, **(settings or {})}),
        timeout=ENDED_WITHIN_S,
        check=False,
    )
    assert ended.stderr == ""
    return Examined(ended.returncode, json.loads(ended.stdout))


@contextmanager
def another_user() -> Iterator[None]:
    """Be nobody for a while, in no group of root's. Root's rights come back afterwards."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """An empty folder that other users can pass through to; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
