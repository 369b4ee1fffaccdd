"""The running server: what it says of its own health, and what it has counted since its start."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from cyan.cli.doctoring import processes
from cyan.cli.doctoring.finding import (
    Finding,
    Level,
    counted,
    ok,
    problem,
    shown_some,
    warning,
)
from cyan.cli.doctoring.installation import Installation, ask, read_health
from cyan.cli.doctoring.processes import environment_of
from cyan.core.config import ENV_PREFIX

CROWDED_FILES: Final = 0.8
"""Of the files that the server may have open: each reader of a stream and each device over TCP
takes one, and without one nobody gets in."""

_SEEN: Final = frozenset(
    f"{ENV_PREFIX}{name}"
    for name in ("DATA", "HOST", "HTTP_PORT", "UDP_PORT", "TCP_PORT", "LOG_FORMAT", "LOG_LEVEL")
)
"""What is seen of a running server itself, or makes no difference here."""

_PART_STEPS: Final = {
    "database": "It cannot be written: see the data folder and the database above, then restart.",
    "udp": "Devices over UDP cannot connect: see the server's log, then restart it.",
    "tcp": "Devices over TCP cannot connect: see the server's log, then restart it.",
}
_SEE_LOG: Final = "See the server's log, then restart it."

Samples = Mapping[tuple[str, str], float]
"""Values by name and by the only label that counts here (reason, how, kind; or none)."""


class Counter(msgspec.Struct, frozen=True):
    """A counter of the server that tells of trouble: what it means, and what to do when it counts
    at all. Without a step it is only told."""

    name: str
    label: str
    meaning: str
    next_step: str | None = None


COUNTERS: Final = (
    Counter(
        "cyan_events_refused_total",
        "",
        "events of devices were refused because the log could not keep them within 10 s",
        "The disk was too slow or full: see the data folder above and `iostat -x 1`. Firmware "
        "tells its program that publishing failed.",
    ),
    Counter(
        "cyan_datagrams_dropped_total",
        "overload",
        "handshakes or connections were turned away because too many waited or were there already",
        "After an outage of the whole network this is normal, and devices come again. Else see "
        "max_sessions and max_connections, or someone floods the port: limit new flows by address "
        "in the firewall.",
    ),
    Counter(
        "cyan_datagrams_dropped_total",
        "device_over_rate",
        "messages were dropped because one device sent too many in a second",
        "A program on a device publishes in a loop, as a rule: the log names the device. What a "
        "device may send is the setting device_messages_per_s.",
    ),
    Counter(
        "cyan_datagrams_dropped_total",
        "malformed",
        "datagrams were no DTLS at all: scanners of the internet, as a rule",
    ),
    Counter(
        "cyan_datagrams_dropped_total",
        "not_authentic",
        "records did not open with their session's key: damaged, repeated or forged",
    ),
    Counter(
        "cyan_datagrams_dropped_total",
        "unknown_session",
        "datagrams were of sessions that are over; their devices make new handshakes by themselves",
    ),
    Counter(
        "cyan_handshakes_ended_total",
        "refused",
        "handshakes asked for what boards do not use: other programs, as a rule",
    ),
    Counter(
        "cyan_handshakes_ended_total",
        "wrong_server_key",
        "handshakes were given up by boards that have the key of another server",
        "The log has their addresses (`handshake.wrong_server_key`). Write the key again (`cyan "
        "keys server`) and put it on them; `cyan doctor --server-key <file>` compares a file.",
    ),
    Counter(
        "cyan_handshakes_ended_total",
        "failed",
        "handshakes failed after their first message: lost on the way, or strangers",
    ),
    Counter(
        "cyan_events_undelivered_total",
        "busy",
        "events for devices were left out because the device was behind",
    ),
    Counter(
        "cyan_events_undelivered_total",
        "too_large",
        "events for devices were larger than their firmware takes",
    ),
    Counter(
        "cyan_events_undelivered_total",
        "unanswered",
        "events for devices were not answered by them",
    ),
)


def check_health(installation: Installation) -> Iterator[Finding]:
    """`GET /health`."""
    server = installation.server
    if server is None:
        yield ok("server.health", "no server runs on this data folder")
        return
    who = "another user's process" if server.pid is None else f"process {server.pid}"
    if server.api is None:
        yield problem(
            "server.health",
            f"{who} serves this data folder, but no API answers.",
            "It is starting, or hangs: wait a moment and look again. Else see its log and restart.",
        )
        return
    health = read_health(ask(server.api, "/health"))
    parts = health.get("parts") if health is not None else None
    if health is None or not isinstance(parts, dict):
        yield problem("server.health", f"{who} has stopped answering just now.", _SEE_LOG)
        return
    unwell = sorted(str(name) for name, is_ready in parts.items() if not is_ready)
    for name in unwell:
        yield problem(
            "server.health",
            f"{who} says that its part {name!r} is not ready.",
            _PART_STEPS.get(name, _SEE_LOG),
        )
    if not unwell:
        online = health.get("online")
        devices = f", {counted(online, 'device')} online" if isinstance(online, int) else ""
        yield ok("server.health", f"{who}, all parts ready{devices}")


def check_settings(installation: Installation) -> Iterator[Finding]:
    """Whether this command was given the settings that the server was started with."""
    server = installation.server
    theirs = None if server is None or server.pid is None else environment_of(server.pid)
    if theirs is None:
        return
    names = {name for name in theirs | os.environ if name.startswith(ENV_PREFIX)} - _SEEN
    differing = sorted(name for name in names if theirs.get(name) != os.environ.get(name))
    if differing:
        yield warning(
            "server.settings",
            f"the server was started with another {shown_some(differing)} than this command, which "
            "so judges by other settings.",
            "Run it with the same environment, or with --config and the other options.",
        )


def check_counters(installation: Installation) -> Iterator[Finding]:
    """`GET /metrics`: what was refused, dropped or not delivered since the server's start."""
    server = installation.server
    if server is None or server.api is None:
        return
    answer = ask(server.api, "/metrics")
    if answer is None or answer.status != 200:
        yield warning(
            "server.counters",
            "the server does not show its metrics to this machine.",
            "Ask it over loopback, or with the operator's token: `/metrics`.",
        )
        return
    samples = read_samples(answer.body.decode(errors="replace"))
    yield from judge(samples, COUNTERS)
    yield from judge_handshakes(samples)


def check_open_files(installation: Installation) -> Iterator[Finding]:
    server = installation.server
    if server is None or server.pid is None:
        return
    limit, used = processes.open_file_limit(server.pid), len(processes.open_files(server.pid))
    if limit is not None and used > CROWDED_FILES * limit:
        yield warning(
            "server.open_files",
            f"the server has {used} files open and may have {limit}: soon nobody more can connect.",
            "Raise the limit (LimitNOFILE of the systemd unit, or `ulimit -n`) and restart.",
        )


def read_samples(text: str) -> dict[tuple[str, str], float]:
    """The values of an exposition. Raises ValueError when it is none."""
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = list(sample.labels.values())
            if len(labels) <= 1:
                found[sample.name, labels[0] if labels else ""] = sample.value
    return found


def judge(samples: Samples, counters: Iterable[Counter]) -> Iterator[Finding]:
    """What the counters say that have counted anything."""
    for counter in counters:
        count = int(samples.get((counter.name, counter.label), 0))
        if count:
            level = Level.OK if counter.next_step is None else Level.WARNING
            found = f"since its start, {count:,} {counter.meaning}."
            yield Finding("server.counters", level, found, counter.next_step)


def judge_handshakes(samples: Samples) -> Iterator[Finding]:
    """When none succeeds at all, boards have the wrong key."""
    failed = int(samples.get(("cyan_handshakes_ended_total", "failed"), 0))
    done = sum(value for (name, _), value in samples.items() if name == "cyan_handshakes_total")
    online = samples.get(("cyan_devices_online", ""), 0)
    if failed and not done and not online:
        yield warning(
            "server.handshakes",
            f"no device has finished a handshake since the server's start, and {failed:,} failed.",
            "The boards have the key of another server, as a rule. Write it again (`cyan keys "
            "server`) and put it on them; `cyan doctor --server-key <file>` compares a file.",
        )
