"""A fleet of 100,000: what it costs in memory, at rest, for each message, and over a `kill -9`.

One server's fleet grows, by real handshakes; beside it a small one stays as it is, so that the CPU
for a message at both sizes is measured in turns.
"""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import restart
from bench.child import Child, Meter
from bench.counters import ONLINE
from bench.field import HOST, Field, open_field
from bench.figures import Amount, Findings
from bench.fleet import PING_S, SETTLE_S, Fleet
from bench.load import Load
from bench.machine import BenchError, resident_bytes
from bench.settings import Settings
from bench.volley import Volley
from bench.world import make_world

NAME = "sessions"
SMALL = 1000
SIZES = (10_000, 50_000, 100_000)
PLATFORM = "argon"
"""A Wi-Fi board: it pings every 25 s, and is offline after 75 s of silence."""

EVENT = "weather/temperature/in"
EVENTS_IN_A_RUN = 100_000
RUNS = 3
WRITERS = {"noop": "log writer a no-op", "real": "committed"}

TAIL_S = 1.5
"""What a message leaves to be done is done after this: sessions are written once a second."""

IDLE_S = 30.0

MEMORY_GOAL_KB = 5.0
RATIO_GOAL = 1.3


def measure(settings: Settings, folder: Path) -> Findings:
    """(4) Memory, CPU for each message by size, CPU at rest, restart after `kill -9`."""
    findings = Findings()
    sizes = [int(size * settings.scale) for size in SIZES]
    with (
        open_field(settings, folder / "small", "real", SMALL, _subscriptions) as small,
        _growing_field(settings, folder) as large,
    ):
        empty_bytes = resident_bytes(large.server.pid)
        large.world.add(sizes[-1])
        joined = _Joined(empty_bytes)
        for size in sizes:
            joined.grow(large, size)
            if size == sizes[-1]:
                findings.amounts.append(joined.memory(large))
            for writer in WRITERS:
                findings.amounts.append(_compare(small, large, writer))
        findings.amounts.append(_at_rest(large))
        findings.amounts += restart.measure(large)
    return findings


def _subscriptions(_index: int) -> tuple[str, ...]:
    return ("fleet/",)


@contextmanager
def _growing_field(settings: Settings, folder: Path) -> Iterator[Field]:
    """A server that knows nobody yet: what it takes more later, it takes for its devices."""
    world = make_world(folder / "data", 0)
    core = str(settings.server_core)
    with Child("bench.server", str(world.data), core, "real", log=folder / "server.log") as server:
        address = (HOST, int(server.ready["udp_port"]))
        with Fleet(world, address, _subscriptions, PLATFORM, is_kept_alive=True) as fleet:
            yield Field(settings, folder, server, world, fleet)


@dataclass(slots=True)
class _Joined:
    """How the fleet came online."""

    empty_bytes: int
    wall_s: float = 0.0
    server_s: float = 0.0
    own_s: float = 0.0

    def grow(self, field: Field, size: int) -> None:
        with (
            field.settings.sampled(field.server.pid, field.folder, f"joining, to {size:,}"),
            Meter(field.server.pid) as meter,
        ):
            field.fleet.grow(size)
        field.fleet.rest(SETTLE_S)
        self.wall_s += meter.wall_s
        self.server_s += meter.server_s
        self.own_s += meter.own_s
        online = field.counters()[ONLINE]
        if online != size:
            raise BenchError(f"{size} devices came online, {online:.0f} count as online.")

    def memory(self, field: Field) -> Amount:
        size = len(field.fleet.members)
        taken = resident_bytes(field.server.pid) - self.empty_bytes
        return Amount(
            NAME,
            f"resident memory of each of {size:,}, registered and online since its handshake, with"
            " describes and subscriptions",
            taken / size / 1000,
            "kB",
            MEMORY_GOAL_KB,
            remark=f"the server before them {self.empty_bytes / 1e6:.0f} MB; they came at"
            f" {size / self.wall_s:,.0f}/s, for {self.server_s / size * 1e3:.2f} ms of CPU each"
            f" (the generator's own: {self.own_s / self.wall_s:.0%} of a core)",
        )


@dataclass(slots=True)
class _Cost:
    """Of messages: CPU of the server for each in µs, run by run; rate; share of the generator."""

    server_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)

    def measure(self, field: Field, title: str) -> None:
        """One run. What is left to be written after the last answer belongs to it."""
        count, fleet = EVENTS_IN_A_RUN, field.fleet
        volley = Volley(
            field.events(EVENT, count),
            fleet.hosts,
            [i % len(fleet.members) for i in range(count)],
        )
        with (
            field.settings.sampled(field.server.pid, field.folder, title),
            field.checked(count),
            Meter(field.server.pid) as whole,
        ):
            with Meter(field.server.pid) as meter:
                Load(fleet.hosts.udp).as_fast_as_answered(volley)
            fleet.rest(TAIL_S)
        self.server_us.append(whole.server_s / count * 1e6)
        self.per_s.append(count / meter.wall_s)
        self.generator.append(meter.own_s / meter.wall_s)

    @property
    def median_us(self) -> float:
        return statistics.median(self.server_us)


def _compare(small: Field, large: Field, writer: str) -> Amount:
    """CPU for each message, as a multiple of that of the small fleet."""
    size = len(large.fleet.members)
    least, most = _Cost(), _Cost()
    small.server.say(writer)
    large.server.say(writer)
    for _ in range(min(RUNS, small.settings.runs)):
        least.measure(small, f"{writer}, {SMALL:,} sessions")
        most.measure(large, f"{writer}, {size:,} sessions")
    return Amount(
        NAME,
        f"CPU for each confirmable event ({WRITERS[writer]}) at {size:,} sessions, as a multiple of"
        f" that at {SMALL:,}",
        most.median_us / least.median_us,
        "",
        RATIO_GOAL,
        remark=f"{most.median_us:.1f} µs ({statistics.median(most.per_s):,.0f}/s), at {SMALL:,}"
        f" {least.median_us:.1f} µs ({statistics.median(least.per_s):,.0f}/s); generator"
        f" {max(most.generator):.0%}",
    )


def _at_rest(field: Field) -> Amount:
    """Every device pings once in 25 s."""
    fleet = field.fleet
    fleet.idle(PING_S / 5)
    with (
        field.settings.sampled(field.server.pid, field.folder, "at rest"),
        Meter(field.server.pid) as meter,
    ):
        fleet.idle(IDLE_S)
    pings = fleet.pings
    return Amount(
        NAME,
        f"CPU of one core while {len(fleet.members):,} devices ping every {PING_S:.0f} s",
        meter.server_s / meter.wall_s * 100,
        "%",
        remark=f"{pings.sent / meter.wall_s:,.0f} pings/s,"
        f" each {meter.server_s / pings.sent * 1e6:.1f} µs, {pings.sent_again} of them sent again;"
        f" generator {meter.own_s / meter.wall_s:.0%}",
    )
