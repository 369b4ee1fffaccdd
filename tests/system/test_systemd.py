"""The unit of systemd: it is told when the server is ready, and what it forbids is not needed."""

import configparser
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from cyan.cli.systemd import notify
from tests.system.processes import CYAN, Server, migrated, serving

UNIT = Path(__file__).parents[2] / "packaging/cyan.service"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end of the socket."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(60)
        yield bound


def test_the_manager_is_told_when_devices_and_people_can_connect(
    manager: socket.socket, tmp_path: Path
) -> None:
    settings = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    server = Server(migrated(tmp_path / "data"), settings)
    try:
        server.start()
        assert manager.recv(1000) == b"READY=1"
        assert httpx.get(f"{server.api_url}/health").status_code == 200
        server.stop()
        assert server.logged_errors() == []
    finally:
        server.leave_nothing()


def test_names_in_the_abstract_namespace_are_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as bound:
        bound.bind("\0cyan-test-notify")
        bound.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", "@cyan-test-notify")
        notify("READY=1")
        assert bound.recv(1000) == b"READY=1"


def test_a_manager_that_has_gone_does_no_harm(tmp_path: Path) -> None:
    with serving(tmp_path / "data", {"NOTIFY_SOCKET": str(tmp_path / "nobody")}) as server:
        assert httpx.get(f"{server.api_url}/health").status_code == 200
        assert server.logged("systemd.not_told")


def _unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def test_the_unit_reloads_with_the_signal_that_the_server_knows(tmp_path: Path) -> None:
    assert _unit()["Service"]["ExecReload"] == "/bin/kill -HUP $MAINPID"
    with serving(tmp_path / "data") as server:
        os.kill(server.pid, signal.SIGHUP)
        assert httpx.get(f"{server.api_url}/health").status_code == 200


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/cyan/bin/cyan", str(CYAN))
    here = tmp_path / "cyan.service"
    here.write_text(text.replace("User=cyan", "User=root").replace("Group=cyan", "Group=root"))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", here], capture_output=True, text=True, check=False
    )
    # It reads the machine's other units as well, and tells of theirs.
    assert [line for line in found.stderr.splitlines() if "cyan.service" in line] == []
    assert found.returncode == 0


_WITHOUT_NEW_CODE = """
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(f"errno {ctypes.get_errno()}")
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_the_server_runs_where_no_memory_can_become_code(tmp_path: Path) -> None:
    under = [sys.executable, "-c", _WITHOUT_NEW_CODE]
    probe = subprocess.run([*under, "/bin/true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"This kernel cannot forbid it: {probe.stderr.strip()}")
    with serving(tmp_path / "data", under=under) as server:
        assert httpx.get(f"{server.api_url}/health").status_code == 200
    assert _unit()["Service"]["MemoryDenyWriteExecute"] == "yes"
