"""Updates over UDP: to one device and to 100 at once, beside bare datagrams of the same size."""

import json
import select
from pathlib import Path

from bench.child import Child, Meter
from bench.figures import Amount, Comparison, Findings, rate_of
from bench.fleet import Fleet
from bench.hosts import Hosts
from bench.machine import BenchError
from bench.otareceiver import ACK_EVERY, WINDOW_BYTES, Receivers
from bench.settings import Settings
from bench.world import make_world

HOST = "127.0.0.1"
CHUNK_BYTES = 512
DEVICES = (1, 100)
BYTES_OF_ONE = 1_500_000
"""The largest file that today's boards take (device-protocol.md §3.2)."""
BYTES_OF_MANY = 500_000

RECORD_BYTES = CHUNK_BYTES + 12 + 29
"""A chunk's message with an index of two bytes, and its record (§1.4.3)."""
ACK_BYTES = 57
"""A device's record with an UpdateAck."""

UNANSWERED_OF_ALL = 2048
"""Datagrams of all floors' windows together: the receiver's buffer takes as many."""

GOAL = 0.3
OVERHEAD_GOAL = 1.10
SILENCE_MS = 20_000


def measure(settings: Settings, folder: Path) -> Findings:
    """(5) Files to devices, from the question to the last confirmation."""
    world = make_world(folder / "data", max(DEVICES))
    core = str(settings.server_core)
    findings = Findings()
    log = folder / "server.log"
    with Child("bench.otaserver", str(world.data), core, log=log) as server:
        address = (HOST, int(server.ready["udp_port"]))
        with Fleet(world, address, lambda index: (), "argon") as fleet:
            for devices in DEVICES:
                size = int((BYTES_OF_ONE if devices == 1 else BYTES_OF_MANY) * settings.scale)
                fleet.grow(devices)
                findings.extend(_compare(settings, folder, server, fleet, size))
    return findings


def _compare(settings: Settings, folder: Path, server: Child, fleet: Fleet, size: int) -> Findings:
    devices = len(fleet.members)
    count = -(-size // CHUNK_BYTES) * devices
    floors: list[Meter] = []
    meters: list[Meter] = []
    shares: list[float] = []
    grown: list[int] = []
    for _ in range(settings.runs):
        floors.append(_floor(str(settings.server_core), devices, count // devices, folder))
        receivers = Receivers(fleet, devices)
        order = {"devices": [member.device_id for member in fleet.members], "size": size}
        with settings.sampled(server.pid, folder, f"ota {devices}"), Meter(server.pid) as meter:
            server.say(json.dumps(order))
            _until_finished(fleet, receivers)
        receivers.check()
        meters.append(meter)
        told = server.next_answer()
        meter.server_s = told["cpu_s"]
        grown.append(told["grown_bytes"])
        shares.append(receivers.payload_bytes / (size * devices))
    rate, floor = rate_of(meters, count), rate_of(floors, count)
    what = f"chunks of {CHUNK_BYTES} bytes to {devices} device{'s' if devices > 1 else ''} at once"
    name = f"ota {devices}"
    return Findings(
        comparisons=[Comparison(name, what, rate, floor, GOAL)],
        amounts=[
            Amount(
                name,
                "UDP payload from the server over size of the file",
                min(shares),
                "",
                OVERHEAD_GOAL,
                remark=f"at most {max(shares):.3f} in a run, what was sent again included",
            ),
            Amount(
                name,
                "resident memory of the server that it grew by, for each transfer",
                max(grown) / devices / 1000,
                "kB",
                remark=f"a file of {size / 1000:,.0f} kB",
            ),
        ],
    )


def _until_finished(fleet: Fleet, receivers: Receivers) -> None:
    poll = select.poll()
    poll.register(fleet.hosts.udp, select.POLLIN)
    while receivers.finished < len(fleet.members):
        if not poll.poll(SILENCE_MS):
            raise BenchError(f"Only {receivers.finished} devices have the file.")
        receivers.take()


def _floor(core: str, devices: int, count: int, folder: Path) -> Meter:
    window = min(UNANSWERED_OF_ALL // devices, WINDOW_BYTES // CHUNK_BYTES)
    count -= count % ACK_EVERY
    with Child("bench.otafloor", core, log=folder / "floor.log") as floor:
        ack = bytes(ACK_BYTES)
        with Hosts((HOST, int(floor.ready["udp_port"]))) as hosts:
            poll = select.poll()
            poll.register(hosts.udp, select.POLLIN)
            for host in range(devices):
                hosts.send(host, ack)
            hosts.flush()
            got = [0] * devices
            left = devices * count
            with Meter(floor.pid) as meter:
                order = {"count": count, "size": RECORD_BYTES, "window": window}
                floor.say(json.dumps(order))
                while left:
                    if not poll.poll(SILENCE_MS):
                        raise BenchError(f"The floor lost datagrams: {left} did not come.")
                    for host, _ in hosts.receive():
                        left -= 1
                        got[host] += 1
                        if not got[host] % ACK_EVERY:
                            hosts.send(host, ack)
                    hosts.flush()
            # Its own clock: the system counts in hundredths of a second.
            meter.server_s = floor.next_answer()["cpu_s"]
    return meter
