"""What the kernel tells of processes and their sockets, in /proc (proc(5)).

Where there is no /proc, or it tells only of one's own processes, the answer is that nothing is
known: an empty list, or None.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

PROC: Final = Path("/proc")

UDP: Final = "udp"
TCP: Final = "tcp"

MAX_COMMAND_CHARACTERS: Final = 200

_LISTEN: Final = "0A"
"""The state of a TCP socket that listens, in /proc/net/tcp."""
_LOCAL, _STATE, _INODE, _DROPS = 1, 3, 9, 12
"""Columns of /proc/net/udp and tcp; the last one is in udp only."""


class Socket(msgspec.Struct, frozen=True):
    """A bound UDP socket or a listening TCP socket. `dropped` are datagrams that came while its
    buffer was full, since it was opened."""

    transport: str
    host: str
    port: int
    inode: int
    dropped: int = 0

    @property
    def shown(self) -> str:
        """`UDP 0.0.0.0:5684`, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport.upper()} {host}:{self.port}"


def bound_sockets(pid: int | None = None) -> list[Socket]:
    """Every one of this network namespace, or of that of a process."""
    net = PROC / ("self" if pid is None else str(pid)) / "net"
    found: list[Socket] = []
    for transport, name in ((UDP, "udp"), (UDP, "udp6"), (TCP, "tcp"), (TCP, "tcp6")):
        try:
            lines = (net / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if transport == TCP and words[_STATE] != _LISTEN:
                continue
            host, port = _read_address(words[_LOCAL])
            dropped = int(words[_DROPS]) if transport == UDP else 0
            found.append(Socket(transport, host, port, int(words[_INODE]), dropped))
    return found


def sockets_of(pid: int) -> list[Socket]:
    """The bound and listening sockets of one process."""
    own = set(open_files(pid))
    return [found for found in bound_sockets(pid) if f"socket:[{found.inode}]" in own]


def open_files(pid: int) -> list[str]:
    """What a process has open: paths, `socket:[inode]` and the like."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(PROC / str(pid) / "fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(entry.path))
    return found


def find_holder(target: str) -> int | None:
    """The id of a process, other than this one, that has `target` open: an absolute path without
    links, or `socket:[inode]`."""
    for pid in _processes():
        if target in open_files(pid):
            return pid
    return None


def command_of(pid: int) -> str:
    """The command line of a process, for people; empty when it is not known."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    text = raw.replace(b"\0", b" ").decode(errors="replace").strip()
    return "".join(c if c.isprintable() else "?" for c in text)[:MAX_COMMAND_CHARACTERS]


def environment_of(pid: int) -> dict[str, str] | None:
    """With which a process was started; None when it is not known."""
    try:
        raw = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    pairs = (line.partition("=") for line in raw.decode(errors="replace").split("\0"))
    return {name: value for name, mark, value in pairs if mark}


def open_file_limit(pid: int) -> int | None:
    """How many files a process may have open at most."""
    try:
        lines = (PROC / str(pid) / "limits").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("Max open files"):
            soft = line.removeprefix("Max open files").split()[0]
            return int(soft) if soft.isdigit() else None
    return None


def _processes() -> Iterator[int]:
    """All but this one."""
    try:
        names = os.listdir(PROC)
    except OSError:
        return
    for name in names:
        if name.isdigit() and int(name) != os.getpid():
            yield int(name)


def _read_address(text: str) -> tuple[str, int]:
    """`0100007F:1634`: the address in words of this machine's byte order, then the port."""
    words, port = text.split(":")
    packed = b"".join(
        struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8)
    )
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed), int(port, 16)
