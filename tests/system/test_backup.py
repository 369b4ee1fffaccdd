"""`cyan backup` and `cyan restore`: what a running server keeps comes back in another folder, and
what must not come back does not."""

import json
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from cyan.cli.snapshot import SESSION_TABLES
from cyan.core.db.schema import metadata
from cyan.gateway import store as gateway_store
from tests.system.people import ANSWER_WITHIN_S, logged_in
from tests.system.processes import (
    Server,
    done,
    migrated,
    refused,
    serving,
    simulating,
    wait_until,
)

SEED = ("--seed", "backup", "--count", "2")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server:
        yield server


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a server that never ran, but has an account, beside its data folder."""
    folder = tmp_path_factory.mktemp("small")
    data = migrated(folder / "small")
    done("user", "add", "ada@example.com", "--password", "correct horse battery", "--data", data)
    (data / "secrets.key").write_bytes(bytes(32))
    done("backup", folder / "small.tar", "--data", data)
    return folder / "small.tar"


def _rows(data: Path, select: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{data / 'cyan.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(select).fetchall()


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_restored_server_serves_the_same_tokens_and_devices_connect_again(
    server: Server, tmp_path: Path
) -> None:
    file, restored = tmp_path / "cyan.tar", tmp_path / "restored"
    ports = {
        "CYAN_HTTP_PORT": str(server.http_port),
        "CYAN_UDP_PORT": str(server.udp_port),
        "CYAN_TCP_PORT": str(server.tcp_port),
    }
    key_file = server.key_file()
    with (
        simulating(key_file, *SEED, "--rate", "20") as simulator,
        logged_in(server, "ada@example.com") as ada,
    ):
        devices = simulator.wait_until_ready()
        for device in devices:
            assert ada.post("/v1/devices", data={"id": device}).status_code == 200
        # In the middle of traffic; what was acknowledged before is in it.
        wait_until(lambda: len(simulator.acknowledged()) > 20, "events are acknowledged")
        acknowledged = set(simulator.acknowledged())
        assert "Wrote" in done("backup", file, "--data", server.data)
        assert server.rows("SELECT count(*) FROM gateway_session") == [(2,)]
        token = ada.headers["authorization"]
        simulator.kill()
    server.stop()
    assert "Restored" in done("restore", file, "--data", restored)
    with serving(restored, {"CYAN_ENROLMENT": "registered", **ports}) as again:
        assert again.metric("cyan_sessions_adopted_total") == 0
        with httpx.Client(
            base_url=again.api_url, headers={"authorization": token}, timeout=ANSWER_WITHIN_S
        ) as ada:
            assert {row["id"] for row in ada.get("/v1/devices").json()} == set(devices)
            # The same keys on both sides, though strangers are not let in.
            with simulating(key_file, *SEED) as simulator:
                assert set(simulator.wait_until_ready()) == set(devices)
                answer = ada.post(f"/v1/devices/{devices[0]}/echo", data={"arg": "hello"})
                assert (answer.status_code, answer.json()["return_value"]) == (200, 5)
        kept = {data.decode() for (data,) in again.rows("SELECT data FROM events_event")}
        assert acknowledged <= kept


@pytest.mark.soak
@pytest.mark.timeout(450)
def test_a_device_that_goes_on_with_a_session_of_before_finds_no_one_to_go_on_with(
    server: Server, tmp_path: Path
) -> None:
    file, restored = tmp_path / "cyan.tar", tmp_path / "restored"
    ports = {
        "CYAN_HTTP_PORT": str(server.http_port),
        "CYAN_UDP_PORT": str(server.udp_port),
        "CYAN_TCP_PORT": str(server.tcp_port),
    }
    with simulating(server.key_file(), *SEED, "--rate", "5") as simulator:
        simulator.wait_until_ready()
        done("backup", file, "--data", server.data)
        server.kill()
        done("restore", file, "--data", restored)
        with serving(restored, {"CYAN_ENROLMENT": "open", **ports}) as again:
            known = len(simulator.acknowledged())
            # Its messages stay unanswered for 60 to 90 s, and so do three attempts to go on, before
            # it gives the session up: 1 to 4 minutes (docs/protocol/sessions.md).
            wait_until(
                lambda: again.metric("cyan_handshakes_total", kind="full") >= 2,
                "both devices make new handshakes",
                300,
            )
            wait_until(lambda: len(simulator.acknowledged()) > known, "they publish again")
            assert again.metric("cyan_handshakes_total", kind="resumed") == 0


def test_sessions_and_the_key_of_cursors_are_in_no_backup(server: Server, tmp_path: Path) -> None:
    with simulating(server.key_file(), *SEED) as simulator:
        simulator.wait_until_ready()
        sealed = [bytes(row[0]) for row in server.rows("SELECT cold FROM gateway_session")]
        done("backup", tmp_path / "cyan.tar", "--data", server.data)
    content = (tmp_path / "cyan.tar").read_bytes()
    assert len(sealed) == 2
    assert not any(cold in content for cold in sealed)
    done("restore", tmp_path / "cyan.tar", "--data", tmp_path / "restored")
    for table in SESSION_TABLES:
        assert _rows(tmp_path / "restored", f"SELECT count(*) FROM {table}") == [(0,)]
    # Whoever goes on from a cursor of the lost time begins anew.
    assert _rows(tmp_path / "restored", "SELECT count(*) FROM events_secret") == [(0,)]
    assert server.rows("SELECT count(*) FROM events_secret") == [(1,)]


def test_every_table_of_the_gateway_is_thought_of() -> None:
    assert gateway_store.sessions.name in SESSION_TABLES
    assert {name for name in metadata.tables if name.startswith("gateway_")} == set(SESSION_TABLES)


def test_a_backup_is_for_its_owner_only_and_holds_no_backups(tmp_path: Path) -> None:
    data = migrated(tmp_path / "data")
    (data / "secrets.key").write_bytes(bytes(32))
    (data / "mail").mkdir()
    (data / "mail/1.eml").write_text("Dear Ada")
    (data / "libraries/lamp/src").mkdir(parents=True)
    (data / "libraries/lamp/library.properties").write_text("name=lamp")
    (data / "libraries/lamp/src/lamp.h").write_text("#pragma once")
    (data / "half.new").write_text("hal")
    (data / "sim").mkdir()
    (data / "sim/seed").write_text("seed\n")
    (data / "sim/0123456789abcdef01234567.json").write_text("{}")
    (data / "backups").mkdir()
    old_umask = os.umask(0)
    try:
        done("backup", data / "backups/first.tar", "--data", data)
        done("backup", tmp_path / "second.tar", "--data", data)
    finally:
        os.umask(old_umask)
    with tarfile.open(tmp_path / "second.tar") as tar:
        entries = {entry.name: entry.mode for entry in tar}
    assert entries == dict.fromkeys(
        [
            "cyan.db",
            "secrets.key",
            "libraries/lamp/library.properties",
            "libraries/lamp/src/lamp.h",
            "mail/1.eml",
            "sim/seed",
            "manifest.json",
        ],
        0o600,
    )
    for file in (data / "backups/first.tar", tmp_path / "second.tar"):
        assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "second.tar"]


def test_what_was_restored_is_for_its_owner_only_and_the_same(small: Path, tmp_path: Path) -> None:
    restored = tmp_path / "new/folder"
    done("restore", small, "--data", restored)
    assert [path for path in restored.rglob("*") if path.stat().st_mode & 0o077] == []
    assert set(_files(restored)) == {"cyan.db", "secrets.key", "server.lock"}
    assert (restored / "secrets.key").read_bytes() == bytes(32)
    assert "ada@example.com" in done("user", "list", "--data", restored)


def test_both_leave_an_entry_in_the_audit(small: Path, tmp_path: Path) -> None:
    written = "SELECT actor, action FROM audit_entry WHERE action LIKE 'server.%'"
    assert _rows(small.with_name("small"), written) == [("operator", "server.backed_up")]
    done("restore", small, "--data", tmp_path / "restored")
    assert _rows(tmp_path / "restored", written) == [("operator", "server.restored")]


def test_nothing_is_written_over(small: Path, tmp_path: Path) -> None:
    before = small.read_bytes()
    told = refused("backup", small, "--data", small.with_name("small"))
    assert f"{small} exists already" in told
    assert small.read_bytes() == before
    told = refused("restore", small, "--data", small.with_name("small"))
    assert "is not empty: it holds cyan.db" in told


def test_a_backup_in_the_data_folder_is_refused(tmp_path: Path) -> None:
    data = migrated(tmp_path / "data")
    assert "elsewhere" in refused("backup", data / "cyan.tar", "--data", data)


def test_a_folder_without_a_database_has_nothing_to_back_up(tmp_path: Path) -> None:
    told = refused("backup", tmp_path / "cyan.tar", "--data", tmp_path / "elsewhere")
    assert f"no database in {tmp_path / 'elsewhere'}" in told
    assert not (tmp_path / "cyan.tar").exists()


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    data = migrated(tmp_path / "data")
    told = refused("backup", tmp_path / "missing/cyan.tar", "--data", data)
    assert f"{tmp_path / 'missing'}" in told
    assert "No such file or directory" in told


def test_a_damaged_database_is_not_backed_up(tmp_path: Path) -> None:
    data = migrated(tmp_path / "data")
    content = bytearray((data / "cyan.db").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = os.urandom(4096)
    (data / "cyan.db").write_bytes(content)
    assert "damaged" in refused("backup", tmp_path / "cyan.tar", "--data", data)
    assert not (tmp_path / "cyan.tar").exists()


def _refused_and_nothing_left(file: Path, folder: Path) -> str:
    told = refused("restore", file, "--data", folder)
    assert set(_files(folder)) == {"server.lock"}
    return told


@pytest.mark.parametrize("end", ["nothing", "the database", "the manifest"])
def test_a_backup_that_was_cut_short_is_refused(small: Path, tmp_path: Path, end: str) -> None:
    content = small.read_bytes()
    ends = {
        "nothing": 0,
        "the database": len(content) // 2,
        "the manifest": content.index(b'"created_at_ms"'),
    }
    cut = tmp_path / "cut.tar"
    cut.write_bytes(content[: ends[end]])
    told = _refused_and_nothing_left(cut, tmp_path / "restored")
    assert "cut short" in told


def test_a_backup_that_was_changed_is_refused(small: Path, tmp_path: Path) -> None:
    content = small.read_bytes()
    at = content.index(bytes(32), content.index(b"secrets.key") + 512)
    changed = tmp_path / "changed.tar"
    changed.write_bytes(content[:at] + b"x" + content[at + 1 :])
    told = _refused_and_nothing_left(changed, tmp_path / "restored")
    assert "was changed after it was written: 'secrets.key'" in told


def test_a_backup_that_is_not_there_is_told_and_no_folder_is_made(tmp_path: Path) -> None:
    told = refused("restore", tmp_path / "missing.tar", "--data", tmp_path / "restored")
    assert f"no file {tmp_path / 'missing.tar'}" in told
    assert not (tmp_path / "restored").exists()


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("no tar at all\n" * 1000)
    assert "is not a backup" in _refused_and_nothing_left(tmp_path / "text.tar", tmp_path / "r")


def _archive(path: Path, *entries: tarfile.TarInfo, manifest: object = None) -> Path:
    with tarfile.open(path, "w") as tar:
        for entry in entries:
            tar.addfile(entry)
        if manifest is not None:
            written = path.with_name("manifest.json")
            written.write_text(json.dumps(manifest))
            tar.add(written, "manifest.json")
    return path


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/../../escaped"])
def test_an_archive_that_points_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive = _archive(tmp_path / "evil.tar", tarfile.TarInfo(name))
    assert "escaped" in _refused_and_nothing_left(archive, tmp_path / "restored")
    assert not (tmp_path / "escaped").exists()


def test_links_in_an_archive_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("cyan.db")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive = _archive(tmp_path / "evil.tar", link)
    assert "no business with 'cyan.db'" in _refused_and_nothing_left(archive, tmp_path / "r")


def test_another_format_is_told_with_the_version_that_wrote_it(tmp_path: Path) -> None:
    manifest = {"format": 2, "version": "9.0", "schema": "1", "created_at_ms": 0, "files": {}}
    archive = _archive(tmp_path / "new.tar", manifest=manifest)
    told = _refused_and_nothing_left(archive, tmp_path / "restored")
    assert "format 2, written by version 9.0" in told


def test_an_archive_without_a_database_is_refused(tmp_path: Path) -> None:
    manifest = {"format": 1, "version": "1.0", "schema": "1", "created_at_ms": 0, "files": {}}
    archive = _archive(tmp_path / "none.tar", manifest=manifest)
    assert "holds no database" in _refused_and_nothing_left(archive, tmp_path / "restored")


def test_a_schema_of_a_newer_version_is_refused_and_named(tmp_path: Path) -> None:
    data = migrated(tmp_path / "data")
    with closing(sqlite3.connect(data / "cyan.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    file = tmp_path / "newer.tar"
    done("backup", file, "--data", data)
    told = _refused_and_nothing_left(file, tmp_path / "restored")
    assert "schema 9999, which this version does not know" in told


def test_a_restore_that_was_interrupted_can_be_done_again(small: Path, tmp_path: Path) -> None:
    restored = tmp_path / "restored"
    (restored / "restoring").mkdir(parents=True)
    (restored / "restoring/cyan.db").write_text("half")
    done("restore", small, "--data", restored)
    assert set(_files(restored)) == {"cyan.db", "secrets.key", "server.lock"}


def test_nothing_is_restored_under_a_running_server(server: Server, small: Path) -> None:
    assert "Another server uses this data folder" in refused(
        "restore", small, "--data", server.data
    )
