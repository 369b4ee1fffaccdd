"""Events of devices: acknowledged by a server that writes nothing, and by the real one."""

import http.client
import re
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.child import Child, Meter
from bench.echo import encode_sessions
from bench.figures import Comparison, Latency, Rate, rate_of
from bench.fleet import Member, connect
from bench.listener import Listener
from bench.load import Load, Stretch
from bench.machine import BenchError
from bench.reader import Reader
from bench.settings import Settings
from bench.volley import Volley, connected_socket
from bench.world import make_world
from cyan.wire.messages import Publish, encode_publish

HOST = "127.0.0.1"
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

_EVENTS = re.compile(r'^cyan_events_total\{origin="device"\} (\S+)$', re.MULTILINE)
_REFUSED = re.compile(r"^cyan_events_refused_total (\S+)$", re.MULTILINE)


def measure_noop(settings: Settings, folder: Path) -> tuple[list[Comparison], list[Latency]]:
    """(1) A confirmable event with the log's writer replaced by a no-op, at 1,000 sessions."""
    with _field(settings, folder, "noop", SESSIONS, lambda index: ("fleet/",)) as field_:
        floor, rate = field_.compare(UNHEARD, field_.load)
    what = f"confirmable events, {SESSIONS:,} sessions, log writer a no-op"
    return [Comparison("events-noop", what, rate, floor, NOOP_GOAL)], []


def measure_real(settings: Settings, folder: Path) -> tuple[list[Comparison], list[Latency]]:
    """(2) The same for real: committed, matched with 10,000 subscriptions, one SSE reader."""
    per_device = SUBSCRIPTIONS // SESSIONS

    def subscriptions(index: int) -> tuple[str, ...]:
        if index == SESSIONS:
            return ("climate/",)
        # Lengths from 8 to 17: a match looks a name up under each length in use.
        return tuple(f"weather/{index:04d}/{'abcde'[: n // 2]}{n}" for n in range(per_device))

    with _field(settings, folder, "real", SESSIONS + 1, subscriptions) as field_:
        reader = Reader(field_.http_port, field_.access_token)
        listener = Listener(field_.members.pop(), (HOST, field_.udp_port))
        load = Load(
            field_.load.udp,
            {reader.fileno(): reader.on_readable, listener.fileno(): listener.on_readable},
        )
        comparisons: list[Comparison] = []
        latencies: list[Latency] = []
        for name, who in ((UNHEARD, "none fits"), (HEARD, "one device's fits")):
            before = listener.events
            floor, rate = field_.compare(name, load, reader)
            remarks: tuple[str, ...] = ()
            if name == HEARD:
                share = (listener.events - before) / (settings.runs * field_.events)
                remarks = (
                    f"where one device's fits, it got and acknowledged {share:.0%} of the events;"
                    " the rest came while 128 waited for its acknowledgement",
                )
            what = f"committed, {SUBSCRIPTIONS:,} subscriptions of which {who}, one SSE reader"
            comparisons.append(Comparison("events-real", what, rate, floor, REAL_GOAL, remarks))
            latencies.append(field_.latency(name, load, reader, rate.per_s / 2, who))
        reader.close()
        listener.close()
    return comparisons, latencies


@dataclass(slots=True)
class _Field:
    """A server, its floor, and the sessions that both know."""

    settings: Settings
    folder: Path
    server: Child
    echo: Child
    members: list[Member]
    access_token: str
    load: Load
    echo_load: Load
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def http_port(self) -> int:
        return int(self.server.ready["http_port"])

    @property
    def udp_port(self) -> int:
        return int(self.server.ready["udp_port"])

    @property
    def events(self) -> int:
        """Of one run."""
        return int(EVENTS_IN_A_RUN * self.settings.scale)

    def volley(self, name: str, size: int) -> Volley:
        """Events of all sessions in turn, sealed; the data of each is its number."""
        datagrams = []
        members = self.members
        for i in range(size):
            member = members[i % len(members)]
            event = Publish(name, b"%016d" % next(self.numbers))
            content = encode_publish(member.next_message_id(), event)
            datagrams.append(member.records.seal_data(content))
        return Volley(datagrams)

    def compare(self, name: str, load: Load, reader: Reader | None = None) -> tuple[Rate, Rate]:
        """The floor and the server, in turns, each with the same datagrams."""
        floors: list[Meter] = []
        meters: list[Meter] = []
        for _ in range(self.settings.runs):
            volley = self.volley(name, self.events)
            with Meter(self.echo.pid) as meter:
                self.echo_load.as_fast_as_answered(volley)
            floors.append(meter)
            with (
                self.settings.sampled(self.server.pid, self.folder, name),
                self.checked(volley.count, reader) as is_done,
                Meter(self.server.pid) as meter,
            ):
                load.as_fast_as_answered(volley, is_done)
            meters.append(meter)
        return rate_of(floors, self.events), rate_of(meters, self.events)

    def latency(self, name: str, load: Load, reader: Reader, rate: float, who: str) -> Latency:
        """From a device's send to the reader, at half of what the server can do."""
        size = int(rate * LATENCY_S * self.settings.scale)
        volley = self.volley(name, size)
        with self.checked(size, reader) as is_done:
            stretches = load.at_rate(volley, rate, is_done)
        arrivals = reader.arrivals()
        delays = _delays_ms(stretches, arrivals, min(arrivals))
        centiles = statistics.quantiles(delays, n=100)
        return Latency(
            "device to SSE reader", f"at half load, {who}", rate,
            statistics.median(delays), centiles[98], max(delays), P99_GOAL_MS,
        )  # fmt: skip

    @contextmanager
    def checked(self, size: int, reader: Reader | None) -> Iterator[Callable[[], bool]]:
        """Whether the server counts as many events as were sent, and the reader has each once."""
        before, _ = self._counted()
        if reader is not None:
            reader.clear()
        yield lambda: reader is None or reader.frames >= size
        after, refused = self._counted()
        if refused or after - before != size:
            raise BenchError(
                f"{size} events sent, {after - before:.0f} kept, {refused:.0f} refused"
            )
        if reader is not None and (reader.frames != size or len(reader.arrivals()) != size):
            raise BenchError(f"{size} events sent, the reader got {reader.frames}")

    def _counted(self) -> tuple[float, float]:
        connection = http.client.HTTPConnection(HOST, self.http_port, timeout=5)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        events, refused = _EVENTS.search(text), _REFUSED.search(text)
        if events is None or refused is None:
            raise BenchError("The server's metrics lack the count of events.")
        return float(events[1]), float(refused[1])


@contextmanager
def _field(
    settings: Settings,
    folder: Path,
    kind: str,
    devices: int,
    subscriptions: Callable[[int], tuple[str, ...]],
) -> Iterator[_Field]:
    """A server with all its sessions, and an echo that knows the same keys."""
    world = make_world(folder / "data", devices)
    core = str(settings.server_core)
    with Child("bench.server", str(world.data), core, kind, log=folder / "server.log") as server:
        address = (HOST, int(server.ready["udp_port"]))
        members = connect(world, address, subscriptions)
        sessions = [(member.records.connection_id, member.records.keys) for member in members]
        with (
            Child(
                "bench.echo", core, log=folder / "echo.log", first_line=encode_sessions(sessions)
            ) as echo,
            connected_socket(address) as udp,
            connected_socket((HOST, int(echo.ready["udp_port"]))) as echo_udp,
        ):
            yield _Field(
                settings,
                folder,
                server,
                echo,
                members,
                world.access_token,
                Load(udp),
                Load(echo_udp),
            )


def _delays_ms(
    stretches: list[Stretch], arrivals: dict[int, float], first_number: int
) -> list[float]:
    return [
        (arrivals[first_number + i] - stretch.at_s) * 1000
        for stretch in stretches
        for i in range(stretch.first, stretch.first + stretch.count)
    ]
