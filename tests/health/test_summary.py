"""GET /v1/diagnostics/:id/summary: the vitals of a time as a few samples."""

from typing import Any

import msgspec
import pytest

from cyan.core.clock import iso_ms
from cyan.health.model import RETENTION_MS
from tests.health.world import BORON, World

HOUR_S = 3600


def send(world: World, strength: float | None = None, **more: object) -> None:
    signal = {} if strength is None else {"signal": {"strength": strength}}
    world.send(msgspec.json.encode({"device": {"network": signal, **more}}).decode())


async def summary(world: World, query: str = "") -> dict[str, Any]:
    answer = await world.get("/summary" + query)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def of_hours(world: World, hours: int) -> str:
    """A query for the last hours."""
    return f"?start_date={iso_ms(world.clock.now_ms() - hours * HOUR_S * 1000)}"


async def test_a_sample_is_the_mean_of_its_stretch(world: World) -> None:
    start_ms = world.clock.now_ms()
    for strength in (10, 20, 60):
        send(world, strength)
        world.clock.advance(HOUR_S / 2)
    found = await summary(world, of_hours(world, 1) + "&limit=1")
    assert [sample["signalStrength"] for sample in found["samples"]] == [40]
    query = f"?start_date={iso_ms(start_ms)}&end_date={iso_ms(start_ms + 2 * HOUR_S * 1000 - 1)}"
    found = await summary(world, query + "&limit=2")
    assert found == {
        "deviceID": BORON,
        "memoryAvailable": None,
        "bucketSize": HOUR_S,
        "startDate": iso_ms(start_ms),
        "endDate": iso_ms(start_ms + 2 * HOUR_S * 1000 - 1),
        "hasBattery": False,
        "samples": [
            {
                "timestamp": iso_ms(start_ms + number * HOUR_S * 1000),
                "signalStrength": strength,
                "signalQuality": None,
                "roundTrip": None,
                "batteryCharge": None,
                "memoryUsed": None,
            }
            for number, strength in enumerate((15, 60))
        ],
    }


async def test_every_value_of_the_graphs_is_there(world: World) -> None:
    payload = {
        "device": {
            "network": {"signal": {"strength": 88.33, "quality": 45.83}},
            "power": {"battery": {"charge": 12.5}},
            "system": {"memory": {"used": 25, "total": 100}},
            "cloud": {"coap": {"round_trip": 531}},
        },
        "service": {"coap": {"round_trip": 143}},
    }
    world.send(msgspec.json.encode(payload).decode())
    found = await summary(world)
    (sample,) = found["samples"]
    del sample["timestamp"]
    assert sample == {
        "signalStrength": 88.33,
        "signalQuality": 45.83,
        "roundTrip": 143,
        "batteryCharge": 12.5,
        "memoryUsed": 25,
    }
    assert (found["memoryAvailable"], found["hasBattery"]) == (100, True)


async def test_a_value_that_could_not_be_measured_does_not_count(world: World) -> None:
    send(world, 40, power={"battery": {"charge": {"err": -210}}})
    world.clock.advance(1)
    send(world)
    found = await summary(world)
    (sample,) = found["samples"]
    assert (sample["signalStrength"], sample["batteryCharge"]) == (40, None)
    assert not found["hasBattery"]


async def test_a_month_has_thirty_samples_unless_told_otherwise(world: World) -> None:
    for _ in range(40):
        send(world, 50)
        world.clock.advance(24 * HOUR_S)
    found = await summary(world)
    assert len(found["samples"]) == 30
    assert found["bucketSize"] == 24 * HOUR_S
    assert found["startDate"] == iso_ms(world.clock.now_ms() - RETENTION_MS)


async def test_stretches_without_vitals_are_left_out(world: World) -> None:
    assert (await summary(world))["samples"] == []
    send(world, 50)
    world.clock.advance(10 * 24 * HOUR_S)
    send(world, 60)
    found = await summary(world)
    assert [sample["signalStrength"] for sample in found["samples"]] == [50, 60]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?limit=0", "1 to 1000"),
        ("?limit=1001", "1 to 1000"),
        ("?limit=few", "1 to 1000"),
        ("?start_date=yesterday", "ISO 8601"),
        ("?start_date=2026-01-02&end_date=2026-01-01", "ISO 8601"),
    ],
)
async def test_what_cannot_be_asked_is_refused(world: World, query: str, says: str) -> None:
    answer = await world.get("/summary" + query)
    assert answer.status_code == 400
    assert says in answer.json()["description"]


async def test_a_stranger_sees_nothing(world: World) -> None:
    assert (await world.get("/summary", world.cast.cleo)).status_code == 403
