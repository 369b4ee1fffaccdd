"""Devices over TCP: how many come online in a second, and the events of those that are."""

import select
import time
from pathlib import Path

from bench.child import Child, Meter
from bench.counters import EVENTS, ONLINE, read_counters
from bench.field import HOST
from bench.figures import Amount, Findings, Rate, rate_of
from bench.machine import BenchError
from bench.reader import Reader
from bench.settings import Settings
from bench.streams import SILENCE_S, StreamDevice, StreamFleet
from bench.world import World, make_world
from cyan.sim.platforms import Transport
from cyan.wire.messages import Publish, encode_publish

DEVICES = 1000
AT_ONCE = 128
"""Connections that are coming online at the same time."""

ONLINE_GOAL = 700.0
PEER_ONLINE = "spark-server 120 to 160/s (performance-floors.md §6.1)"

MESSAGES_PER_S = "100000"
"""Of one device: a few of them stand for many here, and shall not be held back."""

PUBLISHING = 100
"""Of the devices that are online; as many as spark-server was measured with."""

EVENTS_IN_A_RUN = 60_000
WINDOW = 512
"""Events that wait for their acknowledgement at most."""

EVENT = "weather/temperature/in"
PEER_EVENTS = "spark-server 19,800 to 22,400/s, unacknowledged and unstored (§6.1)"

_LEFT_WITHIN_S = 30.0


def measure(settings: Settings, folder: Path) -> Findings:
    """(5) RSA handshake, Hello, describe asked for and kept; (6) events, acknowledged and read."""
    count = int(DEVICES * settings.scale)
    core = str(settings.server_core)
    world = make_world(folder / "data", 0)
    world.add(count, Transport.TCP)
    online: list[Meter] = []
    floors: list[Meter] = []
    events: list[Meter] = []
    with Child(
        "bench.server",
        str(world.data),
        core,
        "real",
        "0",
        MESSAGES_PER_S,
        log=folder / "server.log",
    ) as server:
        for _ in range(settings.runs):
            floors.append(_floor(core, count, folder))
            with _fleet(world, server) as fleet:
                with (
                    settings.sampled(server.pid, folder, "tcp-online"),
                    Meter(server.pid) as meter,
                ):
                    fleet.go_online()
                online.append(meter)
                _expect_online(server, count)
                events.append(
                    _send_events(settings, folder, server, world, fleet.devices[:PUBLISHING])
                )
            _expect_online(server, 0)
    return Findings(
        amounts=[
            _online_amount(count, rate_of(online, count), rate_of(floors, count)),
            _events_amount(count, rate_of(events, EVENTS_IN_A_RUN)),
        ]
    )


def _online_amount(count: int, rate: Rate, floor: Rate) -> Amount:
    return Amount(
        "tcp-online",
        f"known devices online over TCP: handshake, Hello, describe asked for and kept; {count:,},"
        f" {AT_ONCE} at a time",
        rate.per_s,
        "per second",
        ONLINE_GOAL,
        is_least=True,
        remark=f"{rate.lowest_per_s:,.0f}-{rate.highest_per_s:,.0f}; server"
        f" {rate.server_us:.0f} µs each, its RSA alone {floor.server_us:.0f}; {PEER_ONLINE};"
        f" generator {rate.generator_share:.0%}",
    )


def _events_amount(count: int, rate: Rate) -> Amount:
    return Amount(
        "tcp-events",
        f"events of {PUBLISHING} devices over TCP, of {count:,} that are online: committed,"
        " acknowledged, one SSE reader",
        rate.per_s,
        "per second",
        remark=f"{rate.lowest_per_s:,.0f}-{rate.highest_per_s:,.0f}; server"
        f" {rate.server_us:.1f} µs each; {PEER_EVENTS}; generator {rate.generator_share:.0%}",
    )


def _fleet(world: World, server: Child) -> StreamFleet:
    address = (HOST, int(server.ready["tcp_port"]))
    return StreamFleet(world.identities, world.stream_key, address, AT_ONCE)


def _floor(core: str, count: int, folder: Path) -> Meter:
    with Child("bench.primitives", core, str(count), "tcp", log=folder / "floor.log") as floor:
        meter = Meter(floor.pid)
        meter.wall_s, meter.server_s = floor.ready["wall_s"], floor.ready["cpu_s"]
    return meter


def _expect_online(server: Child, count: int) -> None:
    """The gauge is set once a second."""
    deadline = time.monotonic() + _LEFT_WITHIN_S
    while (online := read_counters(int(server.ready["http_port"]))[ONLINE]) != count:
        if time.monotonic() > deadline:
            raise BenchError(f"{online:.0f} devices are online over TCP, not {count}.")
        time.sleep(0.1)


def _send_events(
    settings: Settings, folder: Path, server: Child, world: World, devices: list[StreamDevice]
) -> Meter:
    """One run: all devices in turn. Ends when everything is acknowledged and read."""
    http_port = int(server.ready["http_port"])
    reader = Reader(http_port, world.access_token)
    frames = []
    for i in range(EVENTS_IN_A_RUN):
        device = devices[i % len(devices)]
        event = Publish(EVENT, b"%016d" % i)
        frames.append(device.seal(encode_publish(device.next_message_id(), event)))
    before = read_counters(http_port)[EVENTS]
    with settings.sampled(server.pid, folder, "tcp-events"), Meter(server.pid) as meter:
        _exchange(devices, frames, reader)
    counted = read_counters(http_port)[EVENTS] - before
    if counted != EVENTS_IN_A_RUN or len(reader.arrivals()) != EVENTS_IN_A_RUN:
        raise BenchError(
            f"{EVENTS_IN_A_RUN} events over TCP, {counted:.0f} kept, {reader.frames} read"
        )
    reader.close()
    return meter


def _exchange(devices: list[StreamDevice], frames: list[bytes], reader: Reader) -> None:
    """Send the frames, never more than WINDOW ahead of the acknowledgements."""
    by_file = {device.socket.fileno(): device for device in devices}
    sent = answered = 0
    with select.epoll() as poll:
        for file in by_file:
            poll.register(file, select.EPOLLIN)
        poll.register(reader.fileno(), select.EPOLLIN)
        while answered < len(frames) or reader.frames < len(frames):
            until = min(answered + WINDOW, len(frames))
            for i in range(sent, until):
                devices[i % len(devices)].socket.send(frames[i])
            sent = max(sent, until)
            ready = poll.poll(SILENCE_S)
            if not ready:
                raise BenchError(f"The server answered {answered} of {sent} and fell silent.")
            for file, _ in ready:
                if file == reader.fileno():
                    reader.on_readable()
                else:
                    answered += by_file[file].on_acknowledgements()
