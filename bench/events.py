"""Events of devices: acknowledged by a server that writes nothing, and by the real one."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.child import Child, Meter
from bench.echo import encode_sessions
from bench.field import HOST, Field, open_field
from bench.figures import Comparison, Findings, Latency, Rate, rate_of
from bench.listener import Listener
from bench.load import Load, Stretch
from bench.reader import Reader
from bench.settings import Settings
from bench.volley import Volley, connected_socket

SESSIONS = 1000
SUBSCRIPTIONS = 10_000
EVENTS_IN_A_RUN = 100_000
LATENCY_S = 4

NOOP_GOAL = 0.4
REAL_GOAL = 0.2
P99_GOAL_MS = 50.0

UNHEARD = "weather/temperature/in"
"""22 characters, as the floors were measured with; begins like many of the subscriptions."""

HEARD = "climate/temperature/in"


def measure_noop(settings: Settings, folder: Path) -> Findings:
    """(1) A confirmable event with the log's writer replaced by a no-op, at 1,000 sessions."""
    with _course(settings, folder, "noop", SESSIONS, lambda index: ("fleet/",)) as course:
        floor, rate = course.compare(UNHEARD, course.load)
    what = f"confirmable events, {SESSIONS:,} sessions, log writer a no-op"
    return Findings(comparisons=[Comparison("events-noop", what, rate, floor, NOOP_GOAL)])


def measure_real(settings: Settings, folder: Path) -> Findings:
    """(2) The same for real: committed, matched with 10,000 subscriptions, one SSE reader."""
    per_device = SUBSCRIPTIONS // SESSIONS

    def subscriptions(index: int) -> tuple[str, ...]:
        if index == SESSIONS:
            return ("climate/",)
        # Lengths from 8 to 17: a match looks a name up under each length in use.
        return tuple(f"weather/{index:04d}/{'abcde'[: n // 2]}{n}" for n in range(per_device))

    findings = Findings()
    with _course(settings, folder, "real", SESSIONS + 1, subscriptions) as course:
        field = course.field
        reader = Reader(field.http_port, field.world.access_token)
        listener = Listener(field.fleet.members.pop(), (HOST, field.udp_port))
        load = Load(
            course.load.udp,
            {reader.fileno(): reader.on_readable, listener.fileno(): listener.on_readable},
        )
        for name, who in ((UNHEARD, "none fits"), (HEARD, "one device's fits")):
            before = listener.events
            floor, rate = course.compare(name, load, reader)
            remarks: tuple[str, ...] = ()
            if name == HEARD:
                share = (listener.events - before) / (settings.runs * course.events)
                remarks = (
                    f"where one device's fits, it got and acknowledged {share:.0%} of the events;"
                    " the rest came while 128 waited for its acknowledgement",
                )
            what = f"committed, {SUBSCRIPTIONS:,} subscriptions of which {who}, one SSE reader"
            findings.comparisons.append(
                Comparison("events-real", what, rate, floor, REAL_GOAL, remarks)
            )
            findings.latencies.append(course.latency(name, load, reader, rate.per_s / 2, who))
        reader.close()
        listener.close()
    return findings


@dataclass(slots=True)
class _Course:
    """A field beside its floor: an echo that knows the same sessions."""

    field: Field
    echo: Child
    load: Load
    echo_load: Load

    @property
    def events(self) -> int:
        """Of one run."""
        return int(EVENTS_IN_A_RUN * self.field.settings.scale)

    def compare(self, name: str, load: Load, reader: Reader | None = None) -> tuple[Rate, Rate]:
        """The floor and the server, in turns, each with the same datagrams."""
        floors: list[Meter] = []
        meters: list[Meter] = []
        field, settings = self.field, self.field.settings
        for _ in range(settings.runs):
            volley = Volley(field.events(name, self.events))
            with Meter(self.echo.pid) as meter:
                self.echo_load.as_fast_as_answered(volley)
            floors.append(meter)
            with (
                settings.sampled(field.server.pid, field.folder, name),
                field.checked(volley.count, reader) as is_done,
                Meter(field.server.pid) as meter,
            ):
                load.as_fast_as_answered(volley, is_done)
            meters.append(meter)
        return rate_of(floors, self.events), rate_of(meters, self.events)

    def latency(self, name: str, load: Load, reader: Reader, rate: float, who: str) -> Latency:
        """From a device's send to the reader, at half of what the server can do."""
        size = int(rate * LATENCY_S * self.field.settings.scale)
        volley = Volley(self.field.events(name, size))
        with self.field.checked(size, reader) as is_done:
            stretches = load.at_rate(volley, rate, is_done)
        arrivals = reader.arrivals()
        delays = _delays_ms(stretches, arrivals, min(arrivals))
        centiles = statistics.quantiles(delays, n=100)
        return Latency(
            "device to SSE reader", f"at half load, {who}", rate,
            statistics.median(delays), centiles[98], max(delays), P99_GOAL_MS,
        )  # fmt: skip


@contextmanager
def _course(
    settings: Settings,
    folder: Path,
    kind: str,
    devices: int,
    subscriptions: Callable[[int], tuple[str, ...]],
) -> Iterator[_Course]:
    """A server with all its sessions, and an echo that knows the same keys."""
    core = str(settings.server_core)
    with open_field(settings, folder, kind, devices, subscriptions) as field:
        sessions = [
            (member.records.connection_id, member.records.keys) for member in field.fleet.members
        ]
        with (
            Child(
                "bench.echo", core, log=folder / "echo.log", first_line=encode_sessions(sessions)
            ) as echo,
            connected_socket((HOST, field.udp_port)) as udp,
            connected_socket((HOST, int(echo.ready["udp_port"]))) as echo_udp,
        ):
            yield _Course(field, echo, Load(udp), Load(echo_udp))


def _delays_ms(
    stretches: list[Stretch], arrivals: dict[int, float], first_number: int
) -> list[float]:
    return [
        (arrivals[first_number + i] - stretch.at_s) * 1000
        for stretch in stretches
        for i in range(stretch.first, stretch.first + stretch.count)
    ]
