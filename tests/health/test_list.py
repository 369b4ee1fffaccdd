"""GET /v1/diagnostics/:id: by dates, as JSON and as CSV."""

import csv
import io

import pytest

from cyan.core.clock import iso_ms
from cyan.health import service
from tests.clock import START
from tests.health.world import World

MINUTE_S = 60


def send_each_minute(world: World, count: int) -> None:
    """From START on, uptime 0, 60, 120…"""
    for number in range(count):
        world.send(f'{{"device":{{"system":{{"uptime":{number * MINUTE_S}}}}}}}')
        world.clock.advance(MINUTE_S)


def at_minute(number: float) -> str:
    return iso_ms(round(START.timestamp() * 1000) + round(number * MINUTE_S * 1000))


async def uptimes(world: World, query: str = "") -> list[int]:
    answer = await world.get(query)
    assert answer.status_code == 200
    records = answer.json()["diagnostics"]
    return [record["payload"]["device"]["system"]["uptime"] for record in records]


async def test_all_that_is_kept_comes_oldest_first(world: World) -> None:
    send_each_minute(world, 3)
    assert await uptimes(world) == [0, 60, 120]


async def test_dates_choose_a_stretch_with_both_ends(world: World) -> None:
    send_each_minute(world, 5)
    query = f"?start_date={at_minute(1)}&end_date={at_minute(3)}"
    assert await uptimes(world, query) == [60, 120, 180]
    assert await uptimes(world, f"?start_date={at_minute(3.5)}") == [240]
    assert await uptimes(world, f"?end_date={at_minute(0)}") == [0]


async def test_a_date_without_time_is_its_first_moment_in_utc(world: World) -> None:
    send_each_minute(world, 1)
    assert await uptimes(world, "?start_date=2026-01-02&end_date=2026-01-03") == [0]
    assert await uptimes(world, "?start_date=2026-01-01&end_date=2026-01-02") == []


@pytest.mark.parametrize(
    "query",
    [
        "?start_date=yesterday",
        "?end_date=2026-13-01",
        "?start_date=2026-01-03&end_date=2026-01-01",
        "?end_date=0001-01-01T00:00:00%2B23:59",
    ],
)
async def test_dates_that_are_none_or_the_wrong_way_round_are_told(
    world: World, query: str
) -> None:
    answer = await world.get(query)
    assert answer.status_code == 400
    assert answer.json()["error"] == "bad_request"
    assert "ISO 8601" in answer.json()["description"]


async def test_without_vitals_the_list_is_empty(world: World) -> None:
    assert (await world.get()).json() == {"diagnostics": []}


async def test_one_device_keeps_a_bounded_number_the_newest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_RECORDS", 3)
    send_each_minute(world, 5)
    assert await uptimes(world) == [120, 180, 240]


async def test_two_sets_of_one_moment_are_one(world: World) -> None:
    world.send('{"device":{"system":{"uptime":1}}}')
    world.send('{"device":{"system":{"uptime":2}}}')
    assert await uptimes(world) == [2]


async def test_csv_has_a_column_for_each_path_that_occurs(world: World) -> None:
    world.send('{"device":{"power":{"battery":{"charge":{"err":-210}}},"system":{"uptime":1}}}')
    world.clock.advance(MINUTE_S)
    world.send('{"device":{"power":{"battery":{"charge":88.5}},"system":{"uptime":61}}}')
    answer = await world.get(accept="text/csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows == [
        {
            "updated_at": at_minute(0),
            "device.power.battery.charge.err": "-210",
            "device.system.uptime": "1",
            "device.power.battery.charge": "",
        },
        {
            "updated_at": at_minute(1),
            "device.power.battery.charge.err": "",
            "device.system.uptime": "61",
            "device.power.battery.charge": "88.5",
        },
    ]


async def test_csv_has_values_as_json_writes_them(world: World) -> None:
    world.send('{"device":{"a":true,"b":[1,false],"c":null,"d":0.5,"e":"true, \\"so\\""}}')
    answer = await world.get(accept="text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row == {
        "updated_at": at_minute(0),
        "device.a": "true",
        "device.b": "[1,false]",
        "device.c": "",
        "device.d": "0.5",
        "device.e": 'true, "so"',
    }


async def test_csv_without_vitals_has_its_first_line(world: World) -> None:
    answer = await world.get(accept="text/csv")
    assert answer.text == "updated_at\r\n"
