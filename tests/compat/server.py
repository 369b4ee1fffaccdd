"""The real server as a process of its own: `cyan dev --json` with a fresh data folder and free
ports. What it prints when it is ready is told here as a value."""

import email
import email.policy
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests import logs
from tests.ports import free_port

CYAN = Path(sys.executable).with_name("cyan")
"""The command as it is installed beside the Python that runs the tests."""

READY_WITHIN_S = 60
STOPPED_WITHIN_S = 30
MAIL_WITHIN_S = 30
_LOUD = frozenset({"error", "critical"})


class SimulatedDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device that `cyan dev` started."""

    id: str
    name: str | None
    transport: str


class ServerKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths of the padded public key files that boards need, one for each transport."""

    udp: str
    tcp: str | None


class Ready(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The line of `cyan dev --json`. People script it: a field more or less is a change to them."""

    api_url: str
    username: str
    password: str | None
    access_token: str
    udp_port: int
    tcp_port: int | None
    server_keys: ServerKeys
    devices: list[SimulatedDevice]


class Server:
    """A running server. `ready` is what it printed, `data` its folder, `log` its log in JSON."""

    def __init__(
        self, process: subprocess.Popen[bytes], ready: Ready, data: Path, log: Path
    ) -> None:
        self._process = process
        self.ready = ready
        self.data = data
        self.log = log

    @property
    def free_device(self) -> SimulatedDevice:
        """The one simulated device that nobody owns: the last."""
        return self.ready.devices[-1]

    @property
    def own_devices(self) -> list[SimulatedDevice]:
        """The simulated devices of the account."""
        return self.ready.devices[:-1]

    def add_user(self, username: str, password: str) -> None:
        """Make another account, as the operator does beside the running server."""
        self.run("user", "add", username, "--password", password)

    def run(self, *arguments: str) -> str:
        """Run a command of the operator beside the running server; what it printed."""
        return subprocess.run(
            [CYAN, *arguments, "--data", self.data], check=True, capture_output=True, text=True
        ).stdout

    def mail_to(self, username: str) -> str:
        """The text of the newest mail to somebody. Fails when none comes in time."""
        deadline = time.monotonic() + MAIL_WITHIN_S
        while time.monotonic() < deadline:
            for path in sorted((self.data / "mail").glob("*.eml"), reverse=True):
                mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                if mail["to"] == username:
                    return str(mail.get_content())
            time.sleep(0.1)
        raise AssertionError(f"No mail came to {username}.")

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()

    def logged_errors(self) -> list[str]:
        """Every line of its log that tells of an error."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if not line.startswith("{") or _level(line) in _LOUD]


@contextmanager
def running_server(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a server with its data below `folder`, and stop it as an operator would.

    Fails when it is not ready in time, does not end in time and with 0, or has logged an error. The
    same folder again is the same server, started again.
    """
    output, data, log = folder / "ready.json", folder / "data", folder / "server.log"
    settings = {
        "CYAN_DATA": str(data),
        "CYAN_HTTP_PORT": str(free_port(socket.SOCK_STREAM)),
        "CYAN_UDP_PORT": str(free_port(socket.SOCK_DGRAM)),
        "CYAN_TCP_PORT": str(free_port(socket.SOCK_STREAM)),
        "CYAN_LOG_FORMAT": "json",
        **(environment or {}),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CYAN_")}
    with output.open("wb") as stdout, log.open("ab") as stderr:
        process = subprocess.Popen(
            [CYAN, "dev", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=inherited | settings,
        )
    with logs.followed(log):
        try:
            server = Server(process, _wait_until_ready(process, output, log), data, log)
            yield server
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(STOPPED_WITHIN_S) == 0, log.read_text()
            errors = server.logged_errors()
            assert not errors, f"It logged errors: {errors}"
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], output: Path, log: Path) -> Ready:
    deadline = time.monotonic() + READY_WITHIN_S
    while not (line := output.read_bytes()).endswith(b"\n"):
        assert process.poll() is None, f"The server ended at start:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"The server is not ready:\n{log.read_text()}"
        time.sleep(0.05)
    return msgspec.json.decode(line, type=Ready)


def _level(line: str) -> object:
    return json.loads(line).get("level")
