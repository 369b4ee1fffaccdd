"""What the doctor says of a data folder that is missing, open to others, full or on a bad disk."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cyan.cli.doctoring import folder
from tests.cli.doctor import (
    NOBODY,
    another_user,
    as_root,
    doctor,
    found_by,
    installation,
    levels,
    reachable_folder,
)
from tests.system.processes import migrated

STRACE = shutil.which("strace")

Mount = Callable[..., Path]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return migrated(tmp_path / "data")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """`mount("size=1m")` is a small disk in memory, which only root can make."""
    mounted: list[Path] = []

    def make(*options: str) -> Path:
        point = tmp_path / f"disk-{len(mounted)}"
        point.mkdir()
        command = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            ",".join(("mode=0700", *options)),
            "none",
            str(point),
        ]
        if subprocess.run(command, check=False, capture_output=True).returncode != 0:
            pytest.skip("This user may not mount.")
        mounted.append(point)
        return point

    yield make
    for point in mounted:
        subprocess.run(["umount", point], check=True)


def test_a_good_folder_has_nothing_to_mend(data: Path) -> None:
    place = installation(data)
    for check in (folder.check_exists, folder.check_owner, folder.check_mode, folder.check_space):
        assert set(levels(found_by(check, place)).values()) == {"ok"}


def test_a_missing_folder_is_the_one_problem_told_of_it(tmp_path: Path) -> None:
    examined = doctor(tmp_path / "nowhere")
    assert examined.exit_code == 1
    assert examined.problems == ["folder.exists"]
    assert "--data" in examined.one("folder.exists")["next_step"]
    assert not (tmp_path / "nowhere").exists()


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    found = found_by(folder.check_exists, installation(tmp_path / "data"))
    assert "is no folder" in found["folder.exists"].found


def test_a_folder_that_others_may_look_into_is_a_warning(data: Path) -> None:
    data.chmod(0o755)
    found = found_by(folder.check_mode, installation(data))
    assert levels(found) == {"folder.mode": "warning", "folder.file_mode": "ok"}
    assert found["folder.mode"].next_step == f"`chmod 700 {data}`"


def test_a_key_that_others_can_read_is_a_problem_unless_the_folder_keeps_them_out(
    data: Path,
) -> None:
    key = data / "secrets.key"
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    closed = found_by(folder.check_mode, installation(data))
    assert levels(closed)["folder.file_mode"] == "warning"
    data.chmod(0o711)
    open_ = found_by(folder.check_mode, installation(data))
    assert levels(open_)["folder.file_mode"] == "problem"
    assert "secrets.key" in open_["folder.file_mode"].found


def test_an_exported_public_key_may_be_read_by_all(data: Path) -> None:
    (data / "server_udp_public.der").write_bytes(b"public")
    (data / "server_udp_public.der").chmod(0o644)
    found = found_by(folder.check_mode, installation(data))
    assert levels(found)["folder.file_mode"] == "ok"


@as_root
def test_what_root_wrote_into_another_users_folder_is_a_problem(data: Path) -> None:
    os.chown(data, NOBODY, -1)
    found = found_by(folder.check_owner, installation(data))
    assert levels(found) == {"folder.owner": "problem"}
    assert "cyan.db" in found["folder.owner"].found
    assert "chown -R" in str(found["folder.owner"].next_step)


@as_root
def test_who_may_not_look_inside_is_told_as_whom_to_come_again() -> None:
    with reachable_folder() as parent:
        data = migrated(parent / "data")
        with another_user():
            place = installation(data)
            found = found_by(folder.check_owner, place)
            # Nothing else is said: all of it would come from the missing rights.
            assert found_by(folder.check_mode, place) == {}
            assert found_by(folder.check_space, place) == {}
            assert found_by(folder.check_disk, place) == {}
    assert levels(found) == {"folder.owner": "problem"}
    assert "runuser -u root" in str(found["folder.owner"].next_step)


def test_less_room_than_the_log_may_take_is_a_warning(data: Path) -> None:
    free_mib = shutil.disk_usage(data).free // 1024**2
    found = found_by(folder.check_space, installation(data, event_retention_mib=free_mib * 2))
    assert levels(found)["folder.space"] == "warning"
    assert "event_retention_mib" in str(found["folder.space"].next_step)


def test_a_full_disk_is_a_problem(mount: Mount) -> None:
    found = found_by(folder.check_space, installation(mount("size=1m")))
    assert levels(found)["folder.space"] == "problem"
    assert "1.0 MiB" in found["folder.space"].found


def test_a_disk_without_inodes_is_a_problem(mount: Mount) -> None:
    found = found_by(folder.check_space, installation(mount("nr_inodes=20")))
    assert levels(found)["folder.inodes"] == "problem"


def test_a_folder_in_memory_is_a_warning(mount: Mount) -> None:
    found = found_by(folder.check_disk, installation(mount("size=1m")))
    assert levels(found)["folder.filesystem"] == "warning"
    assert "tmpfs" in found["folder.filesystem"].found


def test_a_disk_that_became_read_only_is_a_problem(mount: Mount) -> None:
    point = mount("size=1m")
    subprocess.run(["mount", "-o", "remount,ro", point], check=True)
    found = found_by(folder.check_disk, installation(point))
    assert levels(found)["folder.writable"] == "problem"
    assert "Read-only" in found["folder.writable"].found


def test_the_file_system_of_a_path_is_that_of_the_deepest_and_latest_mount() -> None:
    mounts = (
        "/dev/vda / ext4 rw 0 0\n"
        "server:/export /srv nfs4 rw 0 0\n"
        "/dev/vdb /srv/with\\040blank xfs rw 0 0\n"
        "/dev/vdc /var ext4 rw 0 0\n"
        "none /var tmpfs rw 0 0\n"
    )
    kinds = {
        "/srv/cyan": "nfs4",
        "/srv/with blank/cyan": "xfs",
        "/srv2": "ext4",
        "/var/lib/cyan": "tmpfs",
    }
    assert {path: folder.filesystem_of(Path(path), mounts) for path in kinds} == kinds


@pytest.mark.skipif(STRACE is None, reason="strace is not installed.")
def test_a_disk_that_is_slow_to_keep_a_file_is_a_warning(data: Path) -> None:
    # The kernel itself delays each fsync of the command.
    slowed = ["-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:delay_exit=700000"]
    examined = doctor(data, under=[str(STRACE), *slowed])
    assert examined.one("folder.sync")["level"] == "warning"
    assert examined.exit_code == 0
