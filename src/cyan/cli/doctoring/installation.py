"""What is examined: the settings, and the server that runs with them, if one does."""

import contextlib
import fcntl
import http.client
import json
import os
import ssl
from pathlib import Path
from typing import Final

import msgspec

from cyan.cli.doctoring import processes
from cyan.cli.doctoring.hosts import to_connect_to
from cyan.cli.doctoring.processes import TCP, UDP, Socket
from cyan.cli.running import LOCK_FILE
from cyan.core.clock import Clock
from cyan.core.config import Config

ANSWER_WITHIN_S: Final = 8.0
"""The server gives its database 5 s before it calls itself unwell."""

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024


class Api(msgspec.Struct, frozen=True):
    """Where an API answers, and whether over HTTPS."""

    host: str
    port: int
    is_secure: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What the API said."""

    status: int
    body: bytes


class RunningServer(msgspec.Struct, frozen=True):
    """The process that holds the data folder. `pid` is None when it is another user's: then
    `sockets` are not known either, and the rest is what the settings say."""

    pid: int | None
    command: str
    sockets: tuple[Socket, ...]
    api: Api | None
    """Where its API answers; None when it answers nowhere."""
    devices: tuple[Socket, ...]
    """Where it listens for devices."""


class Instant(msgspec.Struct, frozen=True):
    """Both clocks, read together."""

    wall_ms: int
    monotonic_s: float


class Installation(msgspec.Struct, frozen=True):
    """One data folder with its settings. `key_files` are exported server keys to compare."""

    config: Config
    clock: Clock
    server: RunningServer | None
    started: Instant
    key_files: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        return self.config.data.absolute()

    @property
    def is_open_to_us(self) -> bool:
        """Whether this user may look into the data folder. If not, that is all there is to say."""
        readable = os.access(self.folder, os.R_OK | os.X_OK, effective_ids=True)
        return readable and self.folder.is_dir()


def look_at(config: Config, clock: Clock, key_files: tuple[Path, ...] = ()) -> Installation:
    return Installation(config, clock, find_server(config), read_clocks(clock), key_files)


def read_clocks(clock: Clock) -> Instant:
    return Instant(clock.now_ms(), clock.monotonic())


def find_server(config: Config) -> RunningServer | None:
    """The process that holds the data folder, and what it listens on."""
    lock = config.data.absolute() / LOCK_FILE
    with contextlib.suppress(OSError):
        lock = lock.resolve()
    pid = processes.find_holder(str(lock))
    if pid is None:
        if not _is_held(lock):
            return None
        assumed = (
            Socket(UDP, config.host, config.udp_port, 0),
            Socket(TCP, config.host, config.tcp_port, 0),
        )
        api = _find_api([Socket(TCP, config.host, config.http_port, 0)], config)
        return RunningServer(None, "", (), api, assumed)
    sockets = processes.sockets_of(pid)
    # The API is where the settings say, as a rule; the port for devices is asked last.
    preference = {config.http_port: 0, config.tcp_port: 2}
    listening = [found for found in sockets if found.transport == TCP]
    listening.sort(key=lambda found: preference.get(found.port, 1))
    api = _find_api(listening, config)
    devices = tuple(
        found
        for found in sockets
        if found.transport == UDP or not _is_api(found, api, config.http_port)
    )
    return RunningServer(pid, processes.command_of(pid), tuple(sockets), api, devices)


def ask(api: Api, path: str) -> Answer | None:
    """GET of the API; None when nothing answers there, or not in HTTP.

    Whose certificate it is makes no difference: it is for another name than this machine's own, and
    nothing secret is asked or told.
    """
    connection: http.client.HTTPConnection
    if api.is_secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            api.host, api.port, timeout=ANSWER_WITHIN_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(api.host, api.port, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Answer(response.status, response.read(MAX_ANSWER_BYTES))
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def read_health(answer: Answer | None) -> dict[str, object] | None:
    """The JSON of `GET /health`; None when that was no such thing."""
    if answer is None:
        return None
    try:
        found = json.loads(answer.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "parts" in found else None


def _is_api(found: Socket, api: Api | None, http_port: int) -> bool:
    """By the answer that came from there; if none came, by the settings."""
    if api is None:
        return found.port == http_port
    return (api.host, api.port) == (to_connect_to(found.host), found.port)


def _find_api(listening: list[Socket], config: Config) -> Api | None:
    # As the settings of this command say first; the server may have been started with others, and
    # opens the API's port last. A question at the port of devices counts there as a failed device.
    likely_first = sorted(
        listening,
        key=lambda one: (one.port != config.http_port, one.port == config.tcp_port, -one.inode),
    )
    is_secure = bool(config.tls_certificate)
    for found in likely_first:
        for scheme in (is_secure, not is_secure):
            api = Api(to_connect_to(found.host), found.port, scheme)
            if read_health(ask(api, "/health")) is not None:
                return api
    return None


def _is_held(lock: Path) -> bool:
    """Whether any process holds the folder, be it one that /proc does not show us."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared and at once given back: it stands in nobody's way for longer than a system call.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
