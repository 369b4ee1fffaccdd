"""What the doctor says of keys that are missing, damaged, or not what boards here have."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cyan.cli.doctoring import keys
from tests.cli.doctor import found_by, installation, levels
from tests.system.processes import Server, done, migrated, serving, simulating

DEVICE = "0123456789abcdef01234567"


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that had a device, which is online while it is looked at."""
    data = tmp_path_factory.mktemp("keys") / "data"
    settings = {"CYAN_ENROLMENT": "open", "CYAN_TCP_PORT": "0"}
    with (
        serving(data, settings) as server,
        simulating(server.key_file(), "--count", "1") as simulator,
    ):
        simulator.wait_until_ready()
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with keys that no device has seen yet."""
    folder = migrated(tmp_path / "data")
    _write(folder / keys.KEY_FILES["udp"], ec.generate_private_key(ec.SECP256R1()))
    return folder


def _write(path: Path, key: PrivateKeyTypes) -> None:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _seen(data: Path, platform_id: int) -> None:
    """A device of this platform has been online."""
    with closing(sqlite3.connect(data / "cyan.db")) as connection, connection:
        connection.execute(
            "INSERT INTO devices_device(id, registered_at_ms, first_online_at_ms, platform_id)"
            " VALUES (?, 1, 1, ?)",
            (DEVICE, platform_id),
        )


def _copy(used: Server, folder: Path) -> Path:
    """The used server's folder as a backup has it."""
    folder.mkdir()
    with (
        closing(sqlite3.connect(used.data / "cyan.db")) as source,
        closing(sqlite3.connect(folder / "cyan.db")) as copy,
    ):
        source.backup(copy)
    for name in ("secrets.key", "server_udp.pem"):
        (folder / name).write_bytes((used.data / name).read_bytes())
    return folder


def test_the_keys_of_a_server_that_ran_are_in_order(used: Server) -> None:
    place = installation(used.data, used.key_file())
    for check in (keys.check_udp_key, keys.check_tcp_key, keys.check_vault):
        assert set(levels(found_by(check, place)).values()) == {"ok"}


def test_a_new_folder_gets_its_keys_at_the_next_start(tmp_path: Path) -> None:
    place = installation(migrated(tmp_path / "data"))
    for check in (keys.check_udp_key, keys.check_tcp_key):
        (found,) = found_by(check, place).values()
        assert "will be made at the next start" in found.found
    assert found_by(keys.check_vault, place) == {}
    assert list(place.folder.iterdir()) == [place.folder / "cyan.db"]


@pytest.mark.parametrize(("platform_id", "transport"), [(13, "udp"), (6, "tcp")])
def test_a_key_that_boards_trust_and_that_is_gone_is_a_problem(
    tmp_path: Path, platform_id: int, transport: str
) -> None:
    data = migrated(tmp_path / "data")
    _seen(data, platform_id)
    place = installation(data)
    check = {"udp": keys.check_udp_key, "tcp": keys.check_tcp_key}
    found = found_by(check.pop(transport), place)
    assert levels(found) == {f"keys.{transport}": "problem"}
    assert "backup" in str(found[f"keys.{transport}"].next_step)
    (other,) = check.values()
    assert set(levels(found_by(other, place)).values()) == {"ok"}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", bytes(300)])
def test_a_damaged_key_is_a_problem_and_left_alone(
    data: Path, transport: str, content: bytes
) -> None:
    path = data / keys.KEY_FILES[transport]
    path.write_bytes(content)
    check = keys.check_udp_key if transport == "udp" else keys.check_tcp_key
    found = found_by(check, installation(data))[f"keys.{transport}"]
    assert (found.level.value, "is no private key in PEM" in found.found) == ("problem", True)
    assert path.read_bytes() == content


@pytest.mark.parametrize("wrong", ["another curve", "RSA", "nothing but a folder"])
def test_a_udp_key_of_another_kind_is_a_problem(data: Path, wrong: str) -> None:
    path = data / keys.KEY_FILES["udp"]
    path.unlink()
    if wrong == "another curve":
        _write(path, ec.generate_private_key(ec.SECP384R1()))
    elif wrong == "RSA":
        _write(path, rsa.generate_private_key(65537, 2048))
    else:
        path.mkdir()
    found = found_by(keys.check_udp_key, installation(data))
    assert levels(found) == {"keys.udp": "problem"}


@pytest.mark.parametrize(("bits", "exponent"), [(1024, 65537), (2048, 3)])
def test_a_tcp_key_that_boards_cannot_use_is_a_problem(
    data: Path, bits: int, exponent: int
) -> None:
    path = data / keys.KEY_FILES["tcp"]
    _write(path, rsa.generate_private_key(exponent, bits))
    found = found_by(keys.check_tcp_key, installation(data))
    assert levels(found) == {"keys.tcp": "problem"}
    assert "2048 bits with the exponent 65537" in found["keys.tcp"].found


def test_a_vault_key_that_did_not_seal_the_sessions_is_a_problem(
    used: Server, tmp_path: Path
) -> None:
    data = _copy(used, tmp_path / "data")
    assert levels(found_by(keys.check_vault, installation(data))) == {"keys.vault": "ok"}
    (data / "secrets.key").write_bytes(bytes(32))
    found = found_by(keys.check_vault, installation(data))
    assert levels(found) == {"keys.vault": "problem"}
    (data / "secrets.key").write_bytes(bytes(31))
    assert levels(found_by(keys.check_vault, installation(data))) == {"keys.vault": "problem"}
    (data / "secrets.key").unlink()
    missing = found_by(keys.check_vault, installation(data))
    assert "is missing" in missing["keys.vault"].found
    assert not (data / "secrets.key").exists()


def test_an_exported_key_file_of_this_server_is_known_by_its_key(data: Path) -> None:
    file = data.with_name("board.der")
    done("keys", "server", "--host", "192.0.2.7", "--out", file, "--data", data)
    found = found_by(keys.check_exported, installation(data, file))
    assert levels(found) == {"keys.address": "ok"}
    assert "192.0.2.7" in found["keys.address"].found


def test_an_exported_key_of_another_server_is_a_problem(data: Path, tmp_path: Path) -> None:
    other, file = migrated(tmp_path / "other"), tmp_path / "board.der"
    done("keys", "server", "--host", "192.0.2.7", "--out", file, "--data", other)
    found = found_by(keys.check_exported, installation(data, file))
    assert levels(found) == {"keys.exported": "problem"}
    assert "another key" in found["keys.exported"].found


def test_a_key_file_in_the_folder_is_compared_without_being_named(
    data: Path, tmp_path: Path
) -> None:
    own = ("--out", data / "own.der", "--data", data)
    done("keys", "server", "--host", "127.0.0.1", *own)
    assert found_by(keys.check_exported, installation(data)) == {}
    other = ("--out", data / "other.der", "--data", migrated(tmp_path / "other"))
    done("keys", "server", "--host", "127.0.0.1", *other)
    found = found_by(keys.check_exported, installation(data))
    assert "other.der" in found["keys.exported"].found


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("127.0.0.1", "5684", "boards would look on themselves"),
        ("no-such-host.invalid", "5684", "cannot look up"),
    ],
)
def test_an_address_that_leads_boards_nowhere_is_a_problem(
    data: Path, host: str, port: str, told: str
) -> None:
    file = data.with_name("board.der")
    done("keys", "server", "--host", host, "--port", port, "--out", file, "--data", data)
    found = found_by(keys.check_exported, installation(data, file))
    assert levels(found) == {"keys.address": "problem"}
    assert told in found["keys.address"].found


def test_a_udp_port_that_boards_ignore_is_a_warning(data: Path) -> None:
    file = data.with_name("board.der")
    done("keys", "server", "--host", "192.0.2.7", "--port", "5999", "--out", file, "--data", data)
    found = found_by(keys.check_exported, installation(data, file))
    assert levels(found) == {"keys.address": "ok", "keys.port": "warning"}


@pytest.mark.parametrize("content", [b"", b"x" * 2000, bytes(320)])
def test_a_file_that_is_no_key_file_is_told(data: Path, content: bytes) -> None:
    file = data.with_name("board.der")
    file.write_bytes(content)
    found = found_by(keys.check_exported, installation(data, file))
    assert levels(found) == {"keys.exported": "problem"}
    missing = found_by(keys.check_exported, installation(data, data.with_name("missing.der")))
    assert "No such file" in missing["keys.exported"].found
