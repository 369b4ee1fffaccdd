"""One device read over the API by a token, of 100,000 that there are, beside a bare answer."""

import random
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, insert

from bench.asking import Asker
from bench.child import Child, Meter
from bench.figures import Comparison, Findings, rate_of
from bench.machine import BenchError
from bench.settings import Settings
from bench.world import World, make_world
from cyan.core.clock import SystemClock
from cyan.core.db.engine import Database
from cyan.devices.store import devices_device

DEVICES = 100_000
REQUESTS_IN_A_RUN = 15_000
CONNECTIONS = 32
GOAL = 0.4

_REGISTERED_AT_ONCE = 10_000
_WARMING = 500


def measure(settings: Settings, folder: Path) -> Findings:
    """(8) `GET /v1/devices/:id` with all routes registered, and the same bytes from a bare ASGI
    application on uvicorn, in turns."""
    world = make_world(folder / "data", 0)
    devices = register_all(world, max(int(DEVICES * settings.scale), CONNECTIONS))
    count = max(int(REQUESTS_IN_A_RUN * settings.scale), CONNECTIONS)
    core = str(settings.server_core)
    chance = random.Random(8)
    ours: list[Meter] = []
    floors: list[Meter] = []
    with (
        Child("bench.server", str(world.data), core, "real", log=folder / "server.log") as server,
        Child("bench.bareasgi", str(folder), core, log=folder / "floor.log") as floor,
    ):
        warming = [_request(world, device_id) for device_id in chance.choices(devices, k=_WARMING)]
        answers, _ = _ask(server, warming)
        floor.say(answers[0].hex())
        _ask(floor, warming)
        for _ in range(settings.runs):
            asked = chance.choices(devices, k=count)
            requests = [_request(world, device_id) for device_id in asked]
            _, meter = _ask(floor, requests)
            floors.append(meter)
            with settings.sampled(server.pid, folder, "api"):
                bodies, meter = _ask(server, requests)
            ours.append(meter)
            _expect(asked, bodies)
    return Findings(
        comparisons=[
            Comparison(
                "api",
                f"one device of {len(devices):,} by id with a token, {CONNECTIONS} connections",
                rate_of(ours, count),
                rate_of(floors, count),
                GOAL,
            )
        ]
    )


def _ask(server: Child, requests: list[bytes]) -> tuple[list[bytes], Meter]:
    """Over new connections: a server closes those that say nothing for some seconds."""
    with Asker(int(server.ready["http_port"]), CONNECTIONS) as asker, Meter(server.pid) as meter:
        bodies = asker.ask(requests)
    return bodies, meter


def register_all(world: World, count: int) -> list[str]:
    """Devices of the owner that have been online once and described themselves; their ids."""
    at_ms = SystemClock().now_ms()
    ids = [f"e00fce68{number:016x}" for number in range(count)]
    rows: list[dict[str, object]] = [
        {
            "id": device_id,
            "name": f"device_{number}",
            "owner_id": world.owner,
            "registered_at_ms": at_ms,
            "claimed_at_ms": at_ms,
            "platform_id": 13,
            "product_id": 13,
            "product_version": 1,
            "system_version": 6200,
            "first_online_at_ms": at_ms,
            "last_handshake_at_ms": at_ms,
            "last_ip_address": "192.0.2.7",
            "functions": '["led","reset"]',
            "variables": '{"temperature":9,"name":4}',
        }
        for number, device_id in enumerate(ids)
    ]
    db = Database(world.data / "cyan.db")
    try:
        for start in range(0, count, _REGISTERED_AT_ONCE):
            some = rows[start : start + _REGISTERED_AT_ONCE]
            db.write_blocking(partial(_insert, rows=some))
    finally:
        db.close()
    return ids


def _insert(connection: Connection, rows: list[dict[str, object]]) -> None:
    connection.execute(insert(devices_device), rows)


def _request(world: World, device_id: str) -> bytes:
    return (
        f"GET /v1/devices/{device_id} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {world.access_token}\r\n"
        "Accept: application/json\r\nUser-Agent: bench\r\n\r\n"
    ).encode()


def _expect(asked: list[str], bodies: list[bytes]) -> None:
    """Each device was answered as often as it was asked for."""
    answered = sorted(body[7:31].decode() for body in bodies)
    if answered != sorted(asked):
        raise BenchError("The answers are not those of the devices that were asked for.")
