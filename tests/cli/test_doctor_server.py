"""What the doctor says of a running server: its health, and what it has counted."""

import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client.parser import text_string_to_metric_families

from cyan.cli.doctoring import serving as checks
from cyan.cli.doctoring.serving import COUNTERS, judge, judge_handshakes, read_samples
from cyan.core import metrics
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import ALERT, plaintext_record
from tests.cli.doctor import doctor, found_by, installation, levels
from tests.rest.certificates import write_certificate
from tests.system.processes import Server, done, migrated, serving, wait_until

ANSWER_WITHIN_S = 10.0
FATAL_DECRYPT_ERROR = bytes((2, 51))
"""RFC 5246 §7.2."""
TCP_ANYWHERE = {"CYAN_TCP_PORT": "0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "data", TCP_ANYWHERE) as server:
        done("user", "add", "ada@example.com", "--random-password", "--data", server.data)
        yield server


@contextmanager
def _unwell_server(data: Path) -> Iterator[Server]:
    """A server whose logged errors are not looked at, because they are what is provoked."""
    server = Server(migrated(data), TCP_ANYWHERE)
    try:
        server.start()
        yield server
    finally:
        server.leave_nothing()


def test_a_server_that_is_well_says_so(server: Server) -> None:
    place = installation(server.data)
    found = found_by(checks.check_health, place)
    assert levels(found) == {"server.health": "ok"}
    assert "all parts ready, 0 devices online" in found["server.health"].found
    assert found_by(checks.check_open_files, place) == {}


def test_a_server_that_speaks_https_is_asked_so_whatever_this_command_knows(
    tmp_path: Path,
) -> None:
    certificate, key = tmp_path / "api.crt", tmp_path / "api.key"
    write_certificate(certificate, key)
    secure = {"CYAN_TLS_CERTIFICATE": str(certificate), "CYAN_TLS_KEY": str(key)}
    with serving(tmp_path / "data", {**TCP_ANYWHERE, **secure}) as server:
        told = installation(server.data, tls_certificate=str(certificate), tls_key=str(key))
        for place in (told, installation(server.data)):
            found = found_by(checks.check_health, place)
            assert levels(found) == {"server.health": "ok"}
            assert found_by(checks.check_counters, place).keys() <= {"server.counters"}


def test_a_server_with_other_settings_than_the_command_is_a_warning(tmp_path: Path) -> None:
    settings = {**TCP_ANYWHERE, "CYAN_ENROLMENT": "open", "CYAN_PUBLIC_HOST": "192.0.2.7"}
    with serving(tmp_path / "data", settings) as server:
        same = doctor(server.data, "--no-self-test", settings=settings)
        other = doctor(server.data, "--no-self-test", settings={"CYAN_PUBLIC_HOST": "192.0.2.7"})
    assert same.all("server.settings") == []
    assert "another CYAN_ENROLMENT than" in other.one("server.settings")["found"]
    assert other.exit_code == 0


def test_without_a_server_there_is_nothing_to_say(tmp_path: Path) -> None:
    place = installation(migrated(tmp_path / "data"))
    assert levels(found_by(checks.check_health, place)) == {"server.health": "ok"}
    assert found_by(checks.check_counters, place) == {}
    assert found_by(checks.check_open_files, place) == {}


def test_a_part_that_is_not_ready_is_a_problem_and_so_is_its_cause(tmp_path: Path) -> None:
    with (
        _unwell_server(tmp_path / "data") as server,
        closing(sqlite3.connect(server.data / "cyan.db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        examined = doctor(server.data, "--no-self-test")
        other.execute("ROLLBACK")
    assert examined.exit_code == 1
    assert "'database' is not ready" in examined.one("server.health")["found"]
    assert {"server.health", "database.locked"} <= set(examined.problems)


def test_a_server_that_hangs_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyan.cli.doctoring.installation.ANSWER_WITHIN_S", 0.5)
    with serving(tmp_path / "data", TCP_ANYWHERE) as server:
        pid = _pid(server)
        os.kill(pid, signal.SIGSTOP)
        try:
            found = found_by(checks.check_health, installation(server.data))
        finally:
            os.kill(pid, signal.SIGCONT)
    assert levels(found) == {"server.health": "problem"}
    assert "no API answers" in found["server.health"].found


def test_when_every_handshake_fails_the_key_of_the_boards_is_suspected(tmp_path: Path) -> None:
    with serving(tmp_path / "data", TCP_ANYWHERE) as server:
        _give_up_a_handshake(server)
        found = found_by(checks.check_counters, installation(server.data))
    assert levels(found) == {"server.counters": "warning"}
    assert "key of another server" in found["server.counters"].found
    assert "cyan keys server" in str(found["server.counters"].next_step)


def test_what_strangers_send_is_told_and_is_no_warning(server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"GET / HTTP/1.1\r\n\r\n", ("127.0.0.1", server.udp_port))
        wait_until(
            lambda: server.metric("cyan_datagrams_dropped_total", reason="malformed") > 0,
            "it is counted",
        )
    found = [one for one in checks.check_counters(installation(server.data)) if "DTLS" in one.found]
    assert [one.level.value for one in found] == ["ok"]


def test_a_counter_with_a_next_step_is_a_warning_when_it_counts() -> None:
    samples = read_samples(
        "# TYPE cyan_events_refused_total counter\ncyan_events_refused_total 3.0\n"
        "# TYPE cyan_datagrams_dropped_total counter\n"
        'cyan_datagrams_dropped_total{reason="overload"} 0.0\n'
    )
    (found,) = judge(samples, COUNTERS)
    assert found.level.value == "warning"
    assert "3 events of devices were refused" in found.found


def test_handshakes_that_fail_beside_others_that_succeed_are_no_warning() -> None:
    failed = {("cyan_handshakes_ended_total", "failed"): 5.0}
    assert len(list(judge_handshakes(failed))) == 1
    assert list(judge_handshakes(failed | {("cyan_handshakes_total", "full"): 1.0})) == []
    assert list(judge_handshakes(failed | {("cyan_devices_online", ""): 1.0})) == []


def test_every_counter_that_is_judged_is_one_that_the_server_has() -> None:
    shown = {
        (sample.name, label)
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        for label in (sample.labels.values() or ("",))
    }
    assert {(one.name, one.label) for one in COUNTERS} <= shown


def test_a_server_that_runs_out_of_open_files_is_a_warning(tmp_path: Path) -> None:
    few = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"]
    with serving(tmp_path / "data", TCP_ANYWHERE, under=few) as server, ExitStack() as readers:
        for _ in range(40):
            address = ("127.0.0.1", server.http_port)
            readers.enter_context(socket.create_connection(address))
        found = found_by(checks.check_open_files, installation(server.data))
    assert levels(found) == {"server.open_files": "warning"}
    assert "may have 64" in found["server.open_files"].found


def _give_up_a_handshake(server: Server) -> None:
    """The way of a board with another server's key: it sees that the server's flight is not signed
    with it and says so with an alert, as Device OS 6.2.0 was seen to do."""
    board = ClientHandshake(
        device_key=ec.generate_private_key(ec.SECP256R1()),
        server_public_key=ec.generate_private_key(ec.SECP256R1()).public_key(),
        entropy=os.urandom(64),
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect(("127.0.0.1", server.udp_port))
        link.settimeout(ANSWER_WITHIN_S)
        link.send(board.start())
        (second_hello,) = board.feed(link.recv(2048))
        link.send(second_hello)
        board.feed(link.recv(2048))
        assert board.failed is not None
        link.send(plaintext_record(ALERT, 2, FATAL_DECRYPT_ERROR))
    wait_until(
        lambda: server.metric("cyan_handshakes_ended_total", how="wrong_server_key") > 0,
        "the handshake has failed",
    )


def _pid(server: Server) -> int:
    running = installation(server.data).server
    assert running is not None
    assert running.pid is not None
    return running.pid
