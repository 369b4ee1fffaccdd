"""The processes of a system test: `cyan serve`, `cyan sim` and the commands of an operator, all as
they are installed. Whatever happens, no process outlives its `with`."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from cyan.core.db import migrate
from tests import logs
from tests.ports import free_port

CYAN: Final = Path(sys.executable).with_name("cyan")
"""The command as it is installed beside the Python that runs the tests."""

READY_WITHIN_S: Final = 60.0
STOPPED_WITHIN_S: Final = 30.0
COMMAND_WITHIN_S: Final = 30.0
STEP_S: Final = 0.02

_LOUD: Final = frozenset({"error", "critical"})
_ANSWER_WITHIN_S: Final = 30.0


def wait_until(condition: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    """Returns when `condition()` is true; fails, telling `what`, when it is not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"Not within {within_s} s: {what}"
        time.sleep(STEP_S)


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our own environment with these settings of the server and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CYAN_")}
    return inherited | dict(settings or {})


def cyan(
    *arguments: str | Path, settings: Mapping[str, str] | None = None, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. `typed` is what a person types."""
    return subprocess.run(
        [CYAN, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        env=environment(settings),
        timeout=COMMAND_WITHIN_S,
        check=False,
    )


def done(*arguments: str | Path, settings: Mapping[str, str] | None = None, typed: str = "") -> str:
    """Run a command that has to succeed; what it printed."""
    ended = cyan(*arguments, settings=settings, typed=typed)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def refused(*arguments: str | Path, settings: Mapping[str, str] | None = None) -> str:
    """Run a command that has to fail; the one line that it told a person."""
    ended = cyan(*arguments, settings=settings)
    assert ended.returncode not in (0, None), ended.stdout
    assert ended.stdout == ""
    (line,) = ended.stderr.strip().splitlines()
    return line


def metric(api_url: str, sample: str) -> float:
    """A sample's value on the metrics page; 0 when it does not exist yet."""
    text = httpx.get(f"{api_url}/metrics", timeout=_ANSWER_WITHIN_S).text
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


class Server:
    """`cyan serve` over a data folder. It can be killed and started again on the same ports."""

    def __init__(
        self, data: Path, settings: Mapping[str, str] | None = None, under: Sequence[str] = ()
    ) -> None:
        self.data = data
        self.log_path = data.with_name(data.name + ".log")
        self.host = (settings or {}).get("CYAN_HOST", "127.0.0.1")
        self.http_port = free_port(socket.SOCK_STREAM, self.host)
        self.udp_port = free_port(socket.SOCK_DGRAM, self.host)
        self.tcp_port = free_port(socket.SOCK_STREAM, self.host)
        self._settings = dict(settings or {})
        self._under = list(under)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.http_port}"

    @property
    def pid(self) -> int:
        """Of its process, or of the program that runs it."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when devices and people can connect."""
        settings = {
            "CYAN_DATA": str(self.data),
            "CYAN_HTTP_PORT": str(self.http_port),
            "CYAN_UDP_PORT": str(self.udp_port),
            "CYAN_TCP_PORT": str(self.tcp_port),
            "CYAN_LOG_FORMAT": "json",
            **self._settings,
        }
        logged = len(self.log())
        with self.log_path.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*self._under, CYAN, "serve"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=environment(settings),
            )
        process = self._process

        def is_ready() -> bool:
            assert process.poll() is None, f"It ended at start:\n{self.log_tail()}"
            return any(line["event"] == "server.ready" for line in self.log()[logged:])

        wait_until(is_ready, "the server is ready", READY_WITHIN_S)
        ready = next(line for line in self.log()[logged:] if line["event"] == "server.ready")
        self.http_port, self.udp_port = ready["http_port"], ready["udp_port"]
        self.tcp_port = ready["tcp_port"]

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        assert self._process.poll() is None, "It had ended by itself."
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Its exit code, when it has ended."""
        assert self._process is not None
        return self._process.wait(STOPPED_WITHIN_S)

    def stop(self) -> None:
        """Ask it to end, which it has to do with 0."""
        self.terminate()
        assert self.exit_code() == 0, self.log_tail()

    def leave_nothing(self) -> None:
        """Make sure that it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> list[dict[str, Any]]:
        """Its log, whole lines only, over all starts."""
        if not self.log_path.exists():
            return []
        text = self.log_path.read_text()
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [
            json.loads(line) if line.startswith("{") else {"event": line, "level": "critical"}
            for line in lines
        ]

    def log_tail(self) -> str:
        return logs.tail(self.log_path)

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == event]

    def logged_errors(self) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["level"] in _LOUD]

    def metric(self, name: str, **labels: str) -> float:
        """A sample's value; 0 when it does not exist yet."""
        inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
        return metric(self.api_url, f"{name}{{{inside}}}" if labels else name)

    def rows(self, select: str, *parameters: str) -> list[tuple[Any, ...]]:
        """What its database file says now, whether the server runs or not."""
        connection = sqlite3.connect(f"file:{self.data / 'cyan.db'}?mode=ro", uri=True)
        try:
            return connection.execute(select, parameters).fetchall()
        finally:
            connection.close()

    def logged_events(self, name: str) -> list[str]:
        """The data of every event of this name in the event log, in order."""
        select = "SELECT data FROM events_event WHERE name = ? ORDER BY position"
        return [row[0].decode() for row in self.rows(select, name)]

    def key_file(self, protocol: str = "udp") -> Path:
        """The padded public key file with this server's address, made by the command for it. Boards
        cannot store an IPv6 address."""
        host = "127.0.0.1" if ":" in self.host else self.host
        port = self.udp_port if protocol == "udp" else self.tcp_port
        path = self.data.with_name(f"{self.data.name}.{protocol}.der")
        done(
            "keys", "server", "--protocol", protocol, "--host", host, "--port", str(port),
            "--out", path, "--data", self.data,
        )  # fmt: skip
        return path


@cache
def _migrated_database() -> bytes:
    """A database file that has just been migrated."""
    with TemporaryDirectory() as folder:
        migrate.upgrade(Path(folder) / "cyan.db")
        return (Path(folder) / "cyan.db").read_bytes()


def migrated(data: Path) -> Path:
    """A data folder with an up-to-date schema."""
    data.mkdir(mode=0o700, exist_ok=True)
    path = data / "cyan.db"
    if path.exists():
        migrate.upgrade(path)
    else:
        path.touch(mode=0o600)
        path.write_bytes(_migrated_database())
    return data


@contextmanager
def serving(
    data: Path, settings: Mapping[str, str] | None = None, under: Sequence[str] = ()
) -> Iterator[Server]:
    """A server over a fresh or used data folder, stopped as an operator would.

    Fails when it does not start or end in time, not with 0, or has logged an error. `under` is a
    program that runs it.
    """
    server = Server(migrated(data), settings, under)
    with logs.followed(server.log_path):
        try:
            server.start()
            yield server
            if server.runs:
                server.stop()
            errors = server.logged_errors()
            assert not errors, f"It logged errors: {errors}"
        finally:
            server.leave_nothing()


class Simulator:
    """`cyan sim --json` with its lines in a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, journal: Path) -> None:
        self._process = process
        self._output = output
        self._acknowledged = _Recorded(journal)
        self._sent = _Recorded(journal.with_name(journal.name + ".sent"))

    def lines(self) -> list[dict[str, Any]]:
        text = self._output.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def wait_until_ready(self) -> list[str]:
        """The ids of its devices, once all of them are online."""
        wait_until(lambda: any("ready" in line for line in self.lines()), "devices are online", 60)
        ready = next(line for line in self.lines() if "ready" in line)
        return [device["id"] for device in ready["devices"]]

    def acknowledged(self) -> list[str]:
        """The data of every event that the server acknowledged, each like no other."""
        return self._acknowledged.read()

    def sent(self) -> list[str]:
        """The data of every event that was sent at least once."""
        return self._sent.read()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> dict[str, int]:
        """Its devices say goodbye; what they counted."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(STOPPED_WITHIN_S) == 0
        statistics: dict[str, int] = self.lines()[-1]["statistics"]
        return statistics


@contextmanager
def simulating(key_file: Path, *arguments: str | Path) -> Iterator[Simulator]:
    """Simulated devices that find their server by its key file."""
    journal = _unused(key_file.with_name("journal"))
    output = _unused(key_file.with_name("sim.json"))
    with output.open("wb") as stdout:
        process = subprocess.Popen(
            [CYAN, "sim", "--json", "--server-key", key_file, "--journal", journal, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            env=environment(),
        )
    try:
        journal.touch()
        yield Simulator(process, output, journal)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


class _Recorded:
    """The data of the events in one file of a journal; what was read once is not read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end_byte = 0
        self._data: list[str] = []

    def read(self) -> list[str]:
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._end_byte)
                whole_lines = file.read().rpartition(b"\n")[0]
            if whole_lines:
                self._end_byte += len(whole_lines) + 1
                self._data += (line.split(" ", 2)[2] for line in whole_lines.decode().split("\n"))
        return self._data.copy()


def _unused(path: Path) -> Path:
    """A path like this one where nothing is yet."""
    number = 0
    while path.exists():
        number += 1
        path = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return path
