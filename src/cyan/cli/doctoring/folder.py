"""The data folder: there, its owner's alone, with room, and on a disk that keeps what it says."""

import os
import pwd
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cyan.cli.doctoring.finding import Finding, ok, problem, shown_bytes, shown_some, warning
from cyan.cli.doctoring.installation import Installation

PUBLIC_SUFFIX: Final = ".der"
"""Exported public keys are for everybody; all else in the folder is not."""

LITTLE_SPACE_BYTES: Final = 100 * 1024 * 1024
"""Less is a problem: the write-ahead log alone may take a good part of it within minutes."""

FEW_INODES: Final = 1000

SLOW_SYNC_S: Final = 0.5
"""For one small file. An event is acknowledged after such a sync, and refused when there is none
within 10 s; the next commit waits for the one before."""

_SYNCS: Final = 3
_MIB: Final = 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_OVER_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "fuse.glusterfs"}
)
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


def check_exists(installation: Installation) -> Iterator[Finding]:
    folder = installation.folder
    if folder.is_dir():
        free = shown_bytes(_free_bytes(folder))
        yield ok("folder.exists", f"{folder}, {free} free")
    elif folder.exists():
        yield problem(
            "folder.exists",
            f"{folder} is no folder.",
            "Name the data folder with --data or CYAN_DATA.",
        )
    else:
        yield problem(
            "folder.exists",
            f"there is no data folder {folder}.",
            "Name the right one with --data, CYAN_DATA or CYAN_CONFIG; for a new server, make it "
            "with `cyan migrate`.",
        )


def check_owner(installation: Installation) -> Iterator[Finding]:
    """Everything in it belongs to one user, and we are that user, or root."""
    folder = installation.folder
    if not folder.is_dir():
        return
    owner, me = folder.stat().st_uid, os.geteuid()
    name = _user_name(owner)
    if me not in (0, owner):
        yield problem(
            "folder.owner",
            f"{folder} belongs to {name}, and this command runs as {_user_name(me)}.",
            f"Run every command as the user that serves: `runuser -u {name} -- cyan doctor`.",
        )
        return
    strange = [file.name for file in _files(folder) if file.lstat().st_uid != owner]
    if strange:
        yield problem(
            "folder.owner",
            f"{shown_some(strange)} in {folder} does not belong to {name}, as the folder does: the "
            "server may not be able to read or write it.",
            f"`chown -R {name}: {folder}`, and run all commands as {name}.",
        )
    else:
        yield ok("folder.owner", f"all belongs to {name}")


def check_mode(installation: Installation) -> Iterator[Finding]:
    """Keys and tokens are for the server's user alone."""
    folder = installation.folder
    if not installation.is_open_to_us:
        return
    mode = folder.stat().st_mode
    if mode & _OTHERS:
        yield warning(
            "folder.mode",
            f"{folder} has the rights {stat.S_IMODE(mode):04o}: other users may look into it.",
            f"`chmod 700 {folder}`",
        )
    else:
        yield ok("folder.mode", "for its owner only")
    bare = [
        file.name
        for file in _files(folder)
        if file.suffix != PUBLIC_SUFFIX and file.lstat().st_mode & _OTHERS
    ]
    if bare:
        # Who may pass through the folder reads them; behind a closed door they can wait.
        tell = problem if mode & (stat.S_IXGRP | stat.S_IXOTH) else warning
        yield tell(
            "folder.file_mode",
            f"{shown_some(bare)} in {folder} can be read by other users: who has the keys is this "
            "server.",
            f"`chmod 600 {folder / bare[0]}`" + (" and the others" if len(bare) > 1 else ""),
        )
    else:
        yield ok("folder.file_mode", "its files are for their owner only")


def check_space(installation: Installation) -> Iterator[Finding]:
    """Room on the disk for what may still come, in bytes and in files."""
    folder, config = installation.folder, installation.config
    if not installation.is_open_to_us:
        return
    free = _free_bytes(folder)
    database = config.database_path
    present = database.stat().st_size if database.exists() else 0
    to_come = max(0, config.event_retention_mib * _MIB - present)
    if free < LITTLE_SPACE_BYTES:
        yield problem(
            "folder.space",
            f"only {shown_bytes(free)} are free in {folder}. Without room the server can keep no "
            "event, and tells devices so.",
            "Make room on that disk, or keep less: event_retention_days and event_retention_mib.",
        )
    elif free < to_come:
        yield warning(
            "folder.space",
            f"{shown_bytes(free)} are free in {folder}, but the event log may still grow by "
            f"{shown_bytes(to_come)}.",
            f"Make room, or set event_retention_mib below {(free + present) // _MIB}.",
        )
    else:
        yield ok("folder.space", f"{shown_bytes(free)} free")
    disk = os.statvfs(folder)
    # Some file systems have no fixed number of inodes, and say 0.
    if disk.f_files and disk.f_favail < FEW_INODES:
        yield problem(
            "folder.inodes",
            f"the disk of {folder} has room for {disk.f_favail} more files only.",
            "Delete what made so many small files there: `df -i` and `du --inodes` find it.",
        )


def check_disk(installation: Installation) -> Iterator[Finding]:
    """A file can be written, and the disk says in good time that it has it."""
    folder = installation.folder
    if not installation.is_open_to_us:
        return
    kind = filesystem_of(folder)
    if kind in _OVER_NETWORK:
        yield problem(
            "folder.filesystem",
            f"{folder} lies on a network file system ({kind}), where SQLite's write-ahead log does "
            "not work.",
            "Move the data folder to a local disk.",
        )
    elif kind in _IN_MEMORY:
        yield warning(
            "folder.filesystem",
            f"{folder} lies in memory ({kind}): at a restart of the machine all of it is lost, "
            "keys included.",
            "Move the data folder to a disk.",
        )
    try:
        seconds = _time_of_sync(folder)
    except OSError as error:
        yield problem(
            "folder.writable",
            f"no file can be written in {folder}: {error.strerror}.",
            "See `mount` and the kernel's log (`dmesg`): a disk with errors is made read-only.",
        )
        return
    if seconds > SLOW_SYNC_S:
        yield warning(
            "folder.sync",
            f"the disk of {folder} takes {seconds:.1f} s to keep one small file. Each "
            "acknowledgement of an event waits for that.",
            "See what keeps it busy (`iostat -x 1`), or move the data folder to a faster disk.",
        )
    else:
        yield ok("folder.sync", f"the disk keeps a small file in {seconds * 1000:.1f} ms")


def filesystem_of(path: Path, mounts: str | None = None) -> str | None:
    """The kind of file system that a path is on: by /proc/self/mounts, or such a text."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text()
        except OSError:
            return None
    resolved = path.resolve()
    best, kind = -1, None
    for line in mounts.splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        point = Path(words[1].replace("\\040", " "))
        # A later mount on the same point hides the earlier one.
        if resolved.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), words[2]
    return kind


def _time_of_sync(folder: Path) -> float:
    """The median of a few, in seconds."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 4096)
            started = time.monotonic()
            file.flush()
            os.fsync(file.fileno())
            times.append(time.monotonic() - started)
    return sorted(times)[_SYNCS // 2]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _free_bytes(folder: Path) -> int:
    """What a user who is not root may still write."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
