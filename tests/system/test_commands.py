"""The operator's commands over a data folder, beside a running server where they may be."""

import contextlib
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from cyan.wire.server_key import decode_server_key
from tests.system.people import log_in, logged_in
from tests.system.processes import Server, cyan, done, migrated, refused, serving, simulating

DEVICE = "0123456789abcdef01234567"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("commands") / "data") as server:
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with an up-to-date schema."""
    return migrated(tmp_path / "data")


def _is_private(path: Path) -> bool:
    return path.stat().st_mode & 0o077 == 0


def test_serve_refuses_a_folder_without_a_schema_and_names_the_command(tmp_path: Path) -> None:
    assert "`cyan migrate`" in refused("serve", settings={"CYAN_DATA": str(tmp_path / "data")})


def test_other_commands_refuse_it_too(tmp_path: Path) -> None:
    assert "`cyan migrate`" in refused("user", "list", "--data", tmp_path / "data")
    assert "`cyan migrate`" in refused("device", "list", "--data", tmp_path / "data")


def test_a_folder_without_a_database_is_named(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert f"no database in {elsewhere}." in refused("user", "list", "--data", elsewhere)
    assert not elsewhere.exists()


def test_many_connections_are_not_bounded_by_the_usual_soft_limit(tmp_path: Path) -> None:
    few = ["sh", "-c", 'ulimit -S -n 100; exec "$@"', "sh"]
    with serving(tmp_path / "data", under=few) as server, contextlib.ExitStack() as open_ones:
        for _ in range(200):
            address = ("127.0.0.1", server.http_port)
            open_ones.enter_context(socket.create_connection(address))
        assert httpx.get(f"{server.api_url}/health").status_code == 200


def test_migrate_tells_what_it_did_and_can_be_repeated(tmp_path: Path) -> None:
    first = done("migrate", "--data", tmp_path / "data")
    assert re.fullmatch(r"The schema went from nothing to \w+\.\n", first)
    again = done("migrate", "--data", tmp_path / "data")
    assert re.fullmatch(r"The schema is up to date \(\w+\)\.\n", again)


def test_serve_refuses_a_schema_that_it_does_not_know(data: Path) -> None:
    with closing(sqlite3.connect(data / "cyan.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer" in refused("serve", settings={"CYAN_DATA": str(data)})


def test_a_second_server_on_the_same_folder_is_refused(server: Server) -> None:
    settings = {"CYAN_DATA": str(server.data), "CYAN_HTTP_PORT": "0", "CYAN_UDP_PORT": "0"}
    for command in ("serve", "dev", "migrate"):
        assert "Another server uses this data folder" in refused(command, settings=settings)
    assert httpx.get(f"{server.api_url}/health").status_code == 200


@pytest.mark.parametrize("taken", ["CYAN_HTTP_PORT", "CYAN_UDP_PORT", "CYAN_TCP_PORT"])
def test_a_port_that_is_in_use_is_told_in_one_line(server: Server, data: Path, taken: str) -> None:
    ports = {
        "CYAN_HTTP_PORT": server.http_port,
        "CYAN_UDP_PORT": server.udp_port,
        "CYAN_TCP_PORT": server.tcp_port,
    }
    settings = {"CYAN_DATA": str(data), **dict.fromkeys(ports, "0")}
    line = refused("serve", settings=settings | {taken: str(ports[taken])})
    assert f"cannot listen on port {ports[taken]}" in line
    assert taken.removeprefix("CYAN_").lower().replace("_", "-") in line


def test_what_a_server_keeps_in_its_folder_is_for_its_owner_only(server: Server) -> None:
    kept = {path.name: path for path in server.data.iterdir()}
    assert {"cyan.db", "cyan.db-wal", "secrets.key", "server_udp.pem"} <= set(kept)
    assert server.data.stat().st_mode & 0o777 == 0o700
    assert [name for name, path in kept.items() if not _is_private(path)] == []


def test_a_setting_that_does_not_exist_stops_the_start_and_is_named(data: Path) -> None:
    line = refused("serve", settings={"CYAN_DATA": str(data), "CYAN_UDP_PROT": "0"})
    assert "udp_prot" in line.lower()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CYAN_HTTP_PORT", "eighty"),
        ("CYAN_UDP_PORT", "70000"),
        ("CYAN_ENROLMENT", "anyone"),
        ("CYAN_LOG_FORMAT", "xml"),
    ],
)
def test_a_value_that_does_not_fit_stops_the_start_and_is_named(
    data: Path, name: str, value: str
) -> None:
    line = refused("serve", settings={"CYAN_DATA": str(data), name: value})
    assert name.removeprefix("CYAN_").lower() in line
    assert value in line


def test_an_option_wins_over_the_environment(data: Path) -> None:
    line = refused("serve", "--enrolment", "closed", settings={"CYAN_ENROLMENT": "open"})
    assert "closed" in line


def test_a_user_who_is_added_beside_the_server_can_log_in(server: Server) -> None:
    in_folder = ["--data", str(server.data)]
    made = done("user", "add", "ada@example.com", "--password", PASSWORD, *in_folder)
    assert PASSWORD not in made
    assert "ada@example.com" in done("user", "list", *in_folder)
    assert log_in(server, "ada@example.com", PASSWORD)


def test_a_random_password_is_printed_once_and_works(server: Server) -> None:
    in_folder = ["--data", str(server.data)]
    made = done("user", "add", "ben@example.com", "--random-password", *in_folder)
    found = re.search(r"Password: (\S+)", made)
    assert found is not None
    assert log_in(server, "ben@example.com", found[1])
    assert found[1] not in done("user", "list", *in_folder)


def test_a_typed_password_is_asked_for_twice_and_not_shown(data: Path) -> None:
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    made = done("user", "add", "ada@example.com", "--data", data, typed=typed)
    assert PASSWORD not in made
    differing = cyan(
        "user", "add", "ben@example.com", "--data", data, typed=f"{PASSWORD}\nanother one\n"
    )
    assert differing.returncode != 0
    assert "ben@example.com" not in done("user", "list", "--data", data)


def test_passwd_changes_the_password_and_can_end_every_login(server: Server) -> None:
    in_folder = ["--data", str(server.data)]
    with logged_in(server, "cleo@example.com") as cleo:
        done("user", "passwd", "cleo@example.com", "--password", "another one", *in_folder)
        assert cleo.get("/v1/user").status_code == 200
        done(
            "user", "passwd", "cleo@example.com", "--password", "a third one", "--revoke-tokens",
            *in_folder,
        )  # fmt: skip
        assert cleo.get("/v1/user").status_code == 401
    assert log_in(server, "cleo@example.com", "a third one")


def test_refusals_about_users_are_one_line(data: Path) -> None:
    in_folder = ["--data", str(data)]
    done("user", "add", "ada@example.com", "--password", PASSWORD, *in_folder)
    twice = refused("user", "add", "Ada@example.com", "--password", PASSWORD, *in_folder)
    assert "already" in twice
    unknown = refused("user", "passwd", "ben@example.com", "--password", PASSWORD, *in_folder)
    assert "no account" in unknown


def test_a_device_is_added_for_its_owner_and_listed(data: Path) -> None:
    in_folder = ["--data", str(data)]
    done("user", "add", "ada@example.com", "--password", PASSWORD, *in_folder)
    made = done(
        "device", "add", DEVICE.upper(), "--owner", "ada@example.com", "--name", "lamp", *in_folder
    )
    assert DEVICE in made
    assert done("device", "list", *in_folder).split() == [DEVICE, "lamp", "ada@example.com"]


def test_a_device_s_key_is_shown_and_forgotten(data: Path, tmp_path: Path) -> None:
    in_folder = ["--data", str(data)]
    pem = tmp_path / "device.pem"
    printed = done("sim", "--print-keys", "--count", "1", "--seed", "some")
    found = re.search(r'"public_key":"([^"]+)"', printed)
    assert found is not None
    pem.write_text(found[1].replace("\\n", "\n"))
    done("device", "add", DEVICE, "--key", pem, *in_folder)
    base64 = "".join(pem.read_text().strip().splitlines()[1:-1])
    assert f"SPKI    {base64}" in done("device", "key", DEVICE, *in_folder)
    done("device", "key", DEVICE, "--forget", *in_folder)
    assert base64 not in done("device", "key", DEVICE, *in_folder)


def test_refusals_about_devices_are_one_line_that_says_what_is_wrong(
    data: Path, tmp_path: Path
) -> None:
    in_folder = ["--data", str(data)]
    assert "24 hexadecimal digits" in refused("device", "add", "lamp", *in_folder)
    no_owner = refused("device", "add", DEVICE, "--owner", "ben@example.com", *in_folder)
    assert "ben@example.com" in no_owner
    not_a_key = tmp_path / "not_a_key.pem"
    not_a_key.write_text("nothing of the kind")
    assert "public key" in refused("device", "add", DEVICE, "--key", not_a_key, *in_folder)
    for command in (("key", DEVICE), ("key", DEVICE, "--forget"), ("disconnect", DEVICE)):
        assert "`cyan device list`" in refused("device", *command, *in_folder)
    assert done("device", "list", *in_folder) == ""
    done("device", "add", DEVICE, *in_folder)
    assert "already" in refused("device", "add", DEVICE, *in_folder)


def test_the_server_key_file_has_320_bytes_the_address_and_always_the_same_key(
    data: Path, tmp_path: Path
) -> None:
    in_folder = ["--data", str(data)]
    files = tmp_path / "by_name.der", tmp_path / "by_address.der"
    done("keys", "server", "--host", "cyan.example.com", "--out", files[0], *in_folder)
    said = done(
        "keys", "server", "--host", "192.0.2.7", "--port", "5690", "--out", files[1], *in_folder
    )
    assert f"particle keys server {files[1]}" in said
    contents = [file.read_bytes() for file in files]
    assert [len(content) for content in contents] == [320, 320]
    by_name, by_address = map(decode_server_key, contents)
    assert (by_name.host, by_name.port) == ("cyan.example.com", 5684)
    assert (by_address.host, by_address.port) == ("192.0.2.7", 5690)
    assert by_name.public_key == by_address.public_key


def test_a_host_that_a_board_cannot_store_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "key.der"
    line = refused("keys", "server", "--host", "2001:db8::1", "--out", out, "--data", data)
    assert "2001:db8::1" in line
    assert not out.exists()


def test_a_key_file_that_cannot_be_written_is_told_in_one_line(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "missing" / "key.der"
    line = refused("keys", "server", "--host", "example.com", "--out", out, "--data", data)
    assert str(out) in line


def test_a_server_key_that_had_to_be_made_first_is_told(tmp_path: Path) -> None:
    # Else who is in the wrong folder gives boards a key that their server does not have.
    arguments = ("keys", "server", "--host", "example.com", "--out", tmp_path / "key.der")
    in_folder = ("--data", tmp_path / "data")
    assert f"no server key in {tmp_path / 'data'}" in done(*arguments, *in_folder)
    assert "no server key" not in done(*arguments, *in_folder)


def test_a_simulator_without_the_server_s_key_says_what_it_needs(tmp_path: Path) -> None:
    ended = cyan("sim", "--count", "1")
    assert ended.returncode != 0
    assert "--server-key" in ended.stderr
    missing = tmp_path / "missing.der"
    assert str(missing) in refused("sim", "--server-key", missing)


def test_the_same_seed_makes_the_same_devices(tmp_path: Path) -> None:
    three = done("sim", "--print-keys", "--count", "3", "--seed", "some")
    assert done("sim", "--print-keys", "--count", "3", "--seed", "some") == three
    assert done("sim", "--print-keys", "--count", "3", "--seed", "other") != three


def test_a_missing_server_key_is_not_replaced_when_devices_trust_it(tmp_path: Path) -> None:
    data = migrated(tmp_path / "data")
    with (
        serving(data, {"CYAN_ENROLMENT": "open"}) as server,
        simulating(server.key_file(), "--count", "1") as simulator,
    ):
        simulator.wait_until_ready()
        simulator.stop()
    (data / "server_udp.pem").unlink()
    said = refused("serve", "--data", data)
    assert "server_udp.pem is missing, and devices trust the key" in said
    assert "backup" in said
    assert not (data / "server_udp.pem").exists()
    done("keys", "server", "--host", "127.0.0.1", "--out", tmp_path / "new.der", "--data", data)
    with serving(data):
        pass


def test_help_names_every_command() -> None:
    said = done("--help")
    for command in ("dev", "serve", "migrate", "user", "device", "keys", "sim", "doctor"):
        assert re.search(rf"^  {command} ", said, re.MULTILINE)
