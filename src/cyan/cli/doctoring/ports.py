"""Where boards and people reach the server: who listens there, or whether one could."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from cyan.cli.doctoring import processes
from cyan.cli.doctoring.finding import Finding, counted, ok, problem, warning
from cyan.cli.doctoring.hosts import addresses_of, is_everywhere, is_loopback
from cyan.cli.doctoring.installation import Installation
from cyan.cli.doctoring.keys import TCP_PORT, UDP_PORT
from cyan.cli.doctoring.processes import TCP, UDP
from cyan.cli.running import LOCK_FILE
from cyan.gateway.udp import RECEIVE_BUFFER_BYTES

_FIRST_FREE_PORT: Final = 1024
"""Below, only root may listen."""


class _Port(msgspec.Struct, frozen=True):
    """A port that the settings ask for."""

    name: str
    transport: str
    number: int


def check_listening(installation: Installation) -> Iterator[Finding]:
    """What the running server listens on."""
    server = installation.server
    if server is None:
        return
    if server.pid is None:
        yield ok("ports.listening", "a server of another user runs; see it as root")
        return
    if not server.sockets:
        yield warning(
            "ports.listening",
            f"process {server.pid} ({server.command}) holds the data folder and listens nowhere.",
            "It is starting or migrating: wait and look again. Else see its log.",
        )
        return
    devices = ", ".join(one.shown for one in server.devices) or "nowhere"
    people = ", ".join(one.shown for one in server.sockets if one not in server.devices)
    yield ok("ports.listening", f"devices: {devices}; people: {people or 'nowhere'}")
    for transport, name in ((UDP, "udp_port"), (TCP, "tcp_port")):
        if not any(one.transport == transport for one in server.devices):
            yield problem(
                f"ports.{transport}",
                f"the server does not listen for devices over {transport.upper()}.",
                f"See its log from the start; {name} is {getattr(installation.config, name)}.",
            )


def check_free(installation: Installation) -> Iterator[Finding]:
    """Whether a server could listen, when none runs."""
    if installation.server is not None:
        return
    config = installation.config
    ports = (
        _Port("udp_port", UDP, config.udp_port),
        _Port("tcp_port", TCP, config.tcp_port),
        _Port("http_port", TCP, config.http_port),
    )
    findings = [found for port in ports for found in _try_to_bind(config.host, port)]
    if config.tcp_port == config.http_port != 0:
        findings.append(
            problem(
                "ports.same",
                f"tcp_port and http_port are both {config.http_port}: only one can listen there.",
                f"Give people another port: http_port; boards use TCP {TCP_PORT}.",
            )
        )
    if not findings:
        numbers = ", ".join(f"{port.name} {port.number}" for port in ports)
        findings.append(ok("ports.free", f"no server runs here; free on {config.host}: {numbers}"))
    yield from findings


def check_reachable(installation: Installation) -> Iterator[Finding]:
    """Whether boards would look where the server listens."""
    config, server = installation.config, installation.server
    host = config.host
    udp_port, tcp_port = config.udp_port, config.tcp_port
    if server is not None:
        for one in server.devices:
            host = one.host
            if one.transport == UDP:
                udp_port = one.port
            else:
                tcp_port = one.port
    if is_loopback(host):
        yield warning(
            "ports.host",
            f"the server's host is {host}: only programs on this machine reach it.",
            'For boards, set host = "0.0.0.0" (or "::" for IPv6 too) and restart.',
        )
        return
    if udp_port != UDP_PORT:
        yield warning(
            "ports.number",
            f"the UDP port is {udp_port or 'any free one'}, but boards always use {UDP_PORT}.",
            f"Set udp_port = {UDP_PORT}, or let your router forward UDP {UDP_PORT} to it.",
        )
    if tcp_port != TCP_PORT:
        yield warning(
            "ports.number",
            f"the TCP port is {tcp_port or 'any free one'}; boards use {TCP_PORT} unless their key "
            "file names another.",
            f"Set tcp_port = {TCP_PORT}, or write the key file with `cyan keys server --port`.",
        )
    yield from _check_public_host(config.public_host)


def check_lost_datagrams(installation: Installation) -> Iterator[Finding]:
    """Whether the kernel had no room for what devices sent."""
    server = installation.server
    if server is None:
        return
    for one in server.sockets:
        if one.dropped:
            yield warning(
                "ports.dropped",
                f"the kernel has dropped {counted(one.dropped, 'datagram')} for {one.shown} since "
                "the server's start, because its buffer was full. Devices send again, so this "
                "costs time, not events.",
                f"Give it more room: `sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}`, the "
                "same in /etc/sysctl.d, and restart. If it goes on, the machine is too busy.",
            )


def _check_public_host(public_host: str) -> Iterator[Finding]:
    if not public_host:
        yield warning(
            "ports.public_host",
            "public_host is empty: nothing says which name or address boards use.",
            "Set public_host to the name or IPv4 address that you give to `cyan keys server`.",
        )
    elif is_everywhere(public_host) or is_loopback(public_host):
        yield warning(
            "ports.public_host",
            f"public_host is {public_host}: boards would look on themselves.",
            "Set it to the name or IPv4 address under which boards reach this machine.",
        )
    elif not addresses_of(public_host):
        yield warning(
            "ports.public_host",
            f"public_host is {public_host}, which this machine cannot look up.",
            "Make the name known in the DNS, or correct it.",
        )
    else:
        yield ok("ports.public_host", f"boards use {public_host}")


def _try_to_bind(host: str, port: _Port) -> Iterator[Finding]:
    kind = socket.SOCK_DGRAM if port.transport == UDP else socket.SOCK_STREAM
    check = f"ports.{port.name}"
    try:
        info = socket.getaddrinfo(host or None, port.number, type=kind, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        yield problem(
            "ports.host",
            f"host is {host}, which this machine cannot look up.",
            'Set host to an address of this machine, or "0.0.0.0" for all.',
        )
        return
    try:
        with socket.socket(info[0], kind) as probe:
            if port.transport == TCP:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(info[4])
            if port.transport == TCP:
                probe.listen(1)
    except OSError as error:
        shown = f"{port.transport.upper()} {port.number} ({port.name})"
        if error.errno == errno.EADDRINUSE:
            yield _taken(check, shown, port)
        elif error.errno in (errno.EACCES, errno.EPERM):
            yield problem(
                check,
                f"this user may not listen on {shown}.",
                f"Choose a port from {_FIRST_FREE_PORT} on; ports below are root's.",
            )
        elif error.errno == errno.EADDRNOTAVAIL:
            yield problem(
                check,
                f"host is {host}, which is no address of this machine.",
                'Set host to one that `ip address` shows, or to "0.0.0.0" for all.',
            )
        else:
            yield problem(
                check,
                f"{shown} cannot be listened on: {error.strerror or error}.",
                "See `ip address` for what this machine has, and the setting host.",
            )


def _taken(check: str, shown: str, port: _Port) -> Finding:
    """Who has the port, as far as we may know."""
    elsewhere = f"Stop that program, or set another {port.name}."
    for one in processes.bound_sockets():
        if (one.transport, one.port) != (port.transport, port.number):
            continue
        pid = processes.find_holder(f"socket:[{one.inode}]")
        if pid is None:
            continue
        folder = _folder_served_by(pid)
        command = processes.command_of(pid)
        if folder is None:
            return problem(check, f"{shown} is taken by process {pid} ({command}).", elsewhere)
        return problem(
            check,
            f"{shown} is taken by another server: process {pid} ({command}) with the data folder "
            f"{folder}.",
            f"If you mean that one, `cyan doctor --data {folder}`. Else stop it, or set another "
            f"{port.name}.",
        )
    return problem(
        check,
        f"{shown} is taken by a process of another user.",
        f"`ss -lpn 'sport = :{port.number}'` as root shows it. {elsewhere}",
    )


def _folder_served_by(pid: int) -> Path | None:
    """The data folder of a process that is a server of ours."""
    for target in processes.open_files(pid):
        path = Path(target)
        if path.name == LOCK_FILE:
            return path.parent
    return None
