"""`cyan dev --json` as a process, and everything that it started."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from tests import logs
from tests.system.processes import CYAN, READY_WITHIN_S, environment, metric, wait_until

FREE_PORTS: Final = {"CYAN_HTTP_PORT": "0", "CYAN_UDP_PORT": "0", "CYAN_TCP_PORT": "0"}
STOPPED_WITHIN_S: Final = 30.0


class Dev:
    """A running `cyan dev --json`; `ready` is the line that it printed."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any], log: Path) -> None:
        self._process = process
        self.ready = ready
        self.log = log

    @property
    def api_url(self) -> str:
        return str(self.ready["api_url"])

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.ready['access_token']}"}

    def metric(self, sample: str) -> float:
        """A sample's value; 0 when it does not exist yet."""
        return metric(self.api_url, sample)

    def simulators(self) -> list[psutil.Process]:
        """The processes that it started."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def listening(self) -> set[tuple[str, int]]:
        """(address, port) of every socket that others could reach."""
        sockets = psutil.Process(self._process.pid).net_connections()
        return {
            (sock.laddr.ip, sock.laddr.port)
            for sock in sockets
            if sock.laddr and sock.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
        }

    def kill(self) -> None:
        """End it as a power cut would; what it started is not asked."""
        self._process.kill()
        self._process.wait()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask it to end, which it has to do with 0."""
        self._process.send_signal(number)
        assert self._process.wait(STOPPED_WITHIN_S) == 0, self.log.read_text()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None


@contextmanager
def developing(
    data: Path, *options: str, settings: Mapping[str, str] | None = None
) -> Iterator[Dev]:
    """`cyan dev --json` over a fresh or used folder, ready; ended with all that it started."""
    log = data.with_name(data.name + ".log")
    given = {"CYAN_DATA": str(data), **FREE_PORTS, "CYAN_LOG_FORMAT": "json", **(settings or {})}
    output = data.with_name(data.name + ".ready")
    with output.open("w") as stdout, log.open("a") as stderr:
        process = subprocess.Popen(
            [CYAN, "dev", "--json", *options],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=environment(given),
        )
    started: list[psutil.Process] = []
    with logs.followed(log):
        try:

            def is_ready() -> bool:
                assert process.poll() is None, f"It ended at start:\n{log.read_text()}"
                return output.read_text().endswith("\n")

            wait_until(is_ready, "the server is ready", READY_WITHIN_S)
            (line,) = output.read_text().splitlines()
            dev = Dev(process, json.loads(line), log)
            started = dev.simulators()
            yield dev
            if dev.runs:
                dev.stop()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            _, left = psutil.wait_procs(started, STOPPED_WITHIN_S)
            for one in left:
                one.kill()
    assert left == [], "It left a simulator behind."
