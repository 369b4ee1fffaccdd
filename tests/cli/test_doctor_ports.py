"""What the doctor says of ports that are taken, and of places where no board would look."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cyan.cli.doctoring import ports, processes
from cyan.cli.doctoring.installation import Api
from tests.cli.doctor import another_user, as_root, doctor, found_by, installation, levels
from tests.system.processes import Server, migrated, serving

HOLDER = """
import socket, sys
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
held = socket.socket(socket.AF_INET, kind)
held.bind(("127.0.0.1", 0))
if sys.argv[1] == "tcp":
    held.listen()
print(held.getsockname()[1], flush=True)
sys.stdin.read()
"""
BOARDS = {"udp_port": 5684, "tcp_port": 5683}


@contextmanager
def _held_port(transport: str) -> Iterator[tuple[int, int]]:
    """(process id, port) of a program that listens."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, transport],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        yield process.pid, int(process.stdout.readline())
    process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("ports") / "data", {"CYAN_TCP_PORT": "0"}) as server:
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return migrated(tmp_path / "data")


def test_free_ports_are_told_in_one_line(data: Path) -> None:
    found = found_by(ports.check_free, installation(data))
    assert levels(found) == {"ports.free": "ok"}


@pytest.mark.parametrize(
    ("setting", "transport"), [("udp_port", "udp"), ("tcp_port", "tcp"), ("http_port", "tcp")]
)
def test_a_taken_port_names_who_has_it(data: Path, setting: str, transport: str) -> None:
    with _held_port(transport) as (pid, port):
        found = found_by(ports.check_free, installation(data, ports={setting: port}))
    assert levels(found) == {f"ports.{setting}": "problem"}
    assert f"process {pid}" in found[f"ports.{setting}"].found
    assert "import socket" in found[f"ports.{setting}"].found


def test_one_port_for_boards_and_people_is_a_problem(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        number = once.getsockname()[1]
    found = found_by(ports.check_free, installation(data, tcp_port=number, http_port=number))
    assert levels(found) == {"ports.same": "problem"}


def test_a_port_of_another_server_of_ours_names_its_folder(server: Server, data: Path) -> None:
    found = found_by(ports.check_free, installation(data, udp_port=server.udp_port))
    assert levels(found) == {"ports.udp_port": "problem"}
    assert str(server.data) in found["ports.udp_port"].found
    assert f"cyan doctor --data {server.data}" in str(found["ports.udp_port"].next_step)


@pytest.mark.parametrize(
    ("host", "told"),
    [("192.0.2.1", "no address of this machine"), ("no-such-host.invalid", "cannot look up")],
)
def test_a_host_that_is_not_this_machine_is_a_problem(data: Path, host: str, told: str) -> None:
    found = list(ports.check_free(installation(data, host=host)))
    assert {one.level.value for one in found} == {"problem"}
    assert all(told in one.found for one in found)


@as_root
def test_a_port_that_only_root_may_have_is_a_problem(data: Path) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first <= 80:
        pytest.skip("Anyone may listen on low ports here.")
    place = installation(data, http_port=80)
    with another_user():
        found = found_by(ports.check_free, place)
    assert levels(found) == {"ports.http_port": "problem"}
    assert "may not listen" in found["ports.http_port"].found


def test_loopback_is_a_warning_because_no_board_reaches_it(data: Path) -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        found = found_by(ports.check_reachable, installation(data, host=host, ports=BOARDS))
        assert levels(found) == {"ports.host": "warning"}


def test_a_server_for_boards_that_says_where_it_is_has_nothing_to_mend(data: Path) -> None:
    place = installation(data, host="0.0.0.0", public_host="192.0.2.7", ports=BOARDS)
    assert levels(found_by(ports.check_reachable, place)) == {"ports.public_host": "ok"}


def test_another_udp_port_is_a_warning_and_so_is_another_tcp_port(data: Path) -> None:
    other = {"udp_port": 5690, "tcp_port": 5691}
    place = installation(data, host="0.0.0.0", public_host="192.0.2.7", ports=other)
    found = list(ports.check_reachable(place))
    assert [one.level.value for one in found] == ["warning", "warning", "ok"]
    assert "5690, but boards always use 5684" in found[0].found
    assert "5691; boards use 5683 unless their key file" in found[1].found


@pytest.mark.parametrize(
    ("public_host", "told"),
    [
        ("", "is empty"),
        ("127.0.0.1", "on themselves"),
        ("localhost", "on themselves"),
        ("0.0.0.0", "on themselves"),
        ("no-such-host.invalid", "cannot look up"),
    ],
)
def test_a_public_host_that_leads_nowhere_is_a_warning(
    data: Path, public_host: str, told: str
) -> None:
    place = installation(data, host="0.0.0.0", public_host=public_host, ports=BOARDS)
    found = found_by(ports.check_reachable, place)
    assert levels(found) == {"ports.public_host": "warning"}
    assert told in found["ports.public_host"].found


def test_a_running_server_is_found_with_the_ports_that_it_really_has(server: Server) -> None:
    # The settings that we are given here say otherwise.
    place = installation(server.data, udp_port=1, http_port=2, tcp_port=3)
    assert place.server is not None
    assert place.server.api == Api("127.0.0.1", server.http_port)
    found = found_by(ports.check_listening, place)
    assert levels(found) == {"ports.listening": "ok"}
    assert f"UDP 127.0.0.1:{server.udp_port}" in found["ports.listening"].found
    assert f"people: TCP 127.0.0.1:{server.http_port}" in found["ports.listening"].found
    assert found_by(ports.check_free, place) == {}


def test_who_holds_the_folder_and_listens_nowhere_is_a_warning(data: Path) -> None:
    holder = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(flush=True); "
    process = subprocess.Popen(
        [sys.executable, "-c", holder + "sys.stdin.read()", data / "server.lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        process.stdout.readline()
        found = found_by(ports.check_listening, installation(data))
    process.wait()
    assert levels(found) == {"ports.listening": "warning"}
    assert f"process {process.pid}" in found["ports.listening"].found


@as_root
def test_a_server_of_another_user_is_known_by_its_lock(server: Server) -> None:
    lock = server.data / "server.lock"
    closed = [folder for folder in lock.parents if not folder.stat().st_mode & 0o001]
    for folder in closed:
        folder.chmod(0o711)
    lock.chmod(0o644)
    try:
        with another_user():
            place = installation(server.data, http_port=server.http_port)
    finally:
        for folder in closed:
            folder.chmod(0o700)
        lock.chmod(0o600)
    assert place.server is not None
    assert place.server.pid is None
    assert place.server.api == Api("127.0.0.1", server.http_port)


def test_datagrams_that_the_kernel_had_no_room_for_are_counted(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", {"CYAN_TCP_PORT": "0"}) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        assert found_by(ports.check_lost_datagrams, installation(server.data)) == {}
        place = installation(server.data)
        assert place.server is not None
        assert place.server.pid is not None
        os.kill(place.server.pid, signal.SIGSTOP)
        try:
            for _ in range(40_000):
                sender.sendto(bytes(1000), ("127.0.0.1", server.udp_port))
        finally:
            os.kill(place.server.pid, signal.SIGCONT)
        found = found_by(ports.check_lost_datagrams, installation(server.data))
    assert levels(found) == {"ports.dropped": "warning"}
    assert "net.core.rmem_max" in str(found["ports.dropped"].next_step)


@pytest.mark.parametrize(("family", "host"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_sockets_are_read_as_the_kernel_shows_them(family: str, host: str) -> None:
    with (
        socket.socket(getattr(socket, family), socket.SOCK_DGRAM) as udp,
        socket.socket(getattr(socket, family), socket.SOCK_STREAM) as tcp,
        socket.socket(getattr(socket, family), socket.SOCK_STREAM) as client,
    ):
        udp.bind((host, 0))
        tcp.bind((host, 0))
        tcp.listen()
        client.connect(tcp.getsockname())
        own = {(one.transport, one.host, one.port) for one in processes.sockets_of(os.getpid())}
        wanted = {("udp", host, udp.getsockname()[1]), ("tcp", host, tcp.getsockname()[1])}
        assert wanted <= own
        assert client.getsockname()[1] not in {port for _, _, port in own}
    assert processes.command_of(os.getpid()).split() == " ".join(psutil.Process().cmdline()).split()


def test_the_command_tells_a_taken_port(server: Server, data: Path) -> None:
    examined = doctor(data, settings={"CYAN_UDP_PORT": str(server.udp_port)})
    assert (examined.exit_code, examined.problems) == (1, ["ports.udp_port"])
