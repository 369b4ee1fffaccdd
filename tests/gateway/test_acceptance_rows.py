"""Rows of the acceptance list (platform-semantics.md §22), from the person to the device and back,
through the program's own parts in one process."""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cyan import app
from cyan.core.config import Config
from cyan.core.ids import DeviceId
from cyan.devices.registry import register_device
from cyan.gateway.calls import CALL_TIMEOUT_S
from cyan.sim.facts import EventReceived
from cyan.wire import coap
from cyan.wire.messages import Goodbye, encode_goodbye, encode_variable_value_answer
from tests.cast import Person
from tests.clock import HandClock
from tests.gateway.board import Board
from tests.gateway.firmware import Firmware
from tests.gateway.whole import Whole, prepare


@pytest.fixture
async def whole(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Whole]:
    monkeypatch.setattr(app, "SystemClock", lambda: clock)
    made = prepare(Config(data=tmp_path / "data", enrolment="open"), clock)
    await made.start()
    yield made
    await made.end()


async def claimed(whole: Whole, index: int = 0, person: Person | None = None) -> Firmware:
    """A device that breathes cyan and belongs to Ada, or somebody else."""
    firmware = await Firmware(whole, index).connect()
    answer = await whole.claim(person or whole.cast.ada, firmware.device_id)
    assert answer.status_code == 200
    return firmware


async def call(
    whole: Whole, firmware: Firmware, name: str, argument: str, person: Person | None = None
) -> httpx.Response:
    who = person or whole.cast.ada
    return await whole.client.post(
        f"/v1/devices/{firmware.device_id}/{name}", headers=who.headers, json={"arg": argument}
    )


async def read(whole: Whole, device_id: str, name: str, person: Person) -> httpx.Response:
    return await whole.client.get(f"/v1/devices/{device_id}/{name}", headers=person.headers)


async def test_row_16_an_account_and_an_online_device_are_enough(whole: Whole) -> None:
    ada = whole.cast.ada
    firmware = await Firmware(whole).connect()
    assert (await whole.claim(ada, firmware.device_id)).status_code == 200
    assert (await call(whole, firmware, "led", "on")).json()["return_value"] == 1
    assert (await read(whole, firmware.device_id, "answer", ada)).json()["result"] == 42
    async with whole.stream(ada, "/v1/devices/events") as stream:
        await whole.client.post("/v1/devices/events", headers=ada.headers, json={"name": "first"})
        await whole.linger()
        assert [name for name, _ in stream.events()] == ["first"]


async def test_row_17_a_device_publishes_and_its_owner_sees_it(whole: Whole) -> None:
    ada, cleo = whole.cast.ada, whole.cast.cleo
    board = await Board(whole, 7).connect()
    await whole.claim(ada, board.device_id)
    paths = ("/v1/devices/events", "/v1/events/temp", f"/v1/devices/{board.device_id}/events")
    for path in paths:
        async with whole.stream(ada, path) as stream, whole.stream(cleo, "/v1/events/temp") as none:
            await board.publish("temperature", b"21.5")
            await whole.linger()
            ((name, event),) = stream.events()
            assert name == "temperature"
            assert (event["data"], event["coreid"], event["ttl"]) == ("21.5", board.device_id, 60)
            assert none.status == 200
            assert none.events() == []


async def test_row_17_a_person_publishes_and_their_subscribed_device_gets_it(whole: Whole) -> None:
    firmware = await claimed(whole)
    stranger = await claimed(whole, 1, whole.cast.cleo)
    for name in ("fleet/news", "Fleet/news", "flee"):
        answer = await whole.client.post(
            "/v1/devices/events",
            headers=whole.cast.ada.headers,
            json={"name": name, "data": "hello", "private": True, "ttl": 60},
        )
        assert answer.status_code == 200
    await whole.settle()
    received = [fact for fact in firmware.facts if isinstance(fact, EventReceived)]
    assert [(fact.name, fact.data) for fact in received][-1] == ("fleet/news", b"hello")
    assert not any(fact.name.lower().startswith("fleet") for fact in received[:-1])
    assert not any(
        isinstance(fact, EventReceived) and fact.name == "fleet/news" for fact in stranger.facts
    )


async def test_row_17_an_event_that_comes_twice_is_seen_once(whole: Whole) -> None:
    board = await Board(whole, 7).connect()
    await whole.claim(whole.cast.ada, board.device_id)
    async with whole.stream(whole.cast.ada, "/v1/events/temperature") as stream:
        await board.publish("temperature", b"1")
        board.next_id -= 1
        await board.publish("temperature", b"1")
        await whole.linger()
        assert len(stream.events()) == 1


@pytest.mark.parametrize(
    ("name", "size", "status"),
    [("n" * 64, 1024, 200), ("n" * 65, 1, 400), ("é" * 32, 1, 200), ("é" * 33, 1, 400)],
)
async def test_row_17_sizes_of_what_a_person_publishes(
    whole: Whole, name: str, size: int, status: int
) -> None:
    answer = await whole.client.post(
        "/v1/devices/events",
        headers=whole.cast.ada.headers,
        json={"name": name, "data": "x" * size},
    )
    assert answer.status_code == status


async def test_row_17_sizes_of_arguments_and_variables(whole: Whole) -> None:
    firmware = await claimed(whole)
    longest = await call(whole, firmware, "echo", "é" * 512)
    assert longest.json()["return_value"] == 1024
    greeting = await read(whole, firmware.device_id, "greeting", whole.cast.ada)
    assert greeting.json()["result"] == "é" * 512
    too_long = await call(whole, firmware, "echo", "é" * 512 + "x")
    assert too_long.status_code == 400
    again = await read(whole, firmware.device_id, "greeting", whole.cast.ada)
    assert again.json()["result"] == "é" * 512, "the device was not called"


@pytest.mark.parametrize(("argument", "result"), [("on", 1), ("off", 0), ("flicker", -1)])
async def test_row_18_a_function_returns_its_integer(
    whole: Whole, argument: str, result: int
) -> None:
    firmware = await claimed(whole)
    answer = await call(whole, firmware, "led", argument)
    assert answer.status_code == 200
    assert answer.json()["return_value"] == result
    assert answer.json()["connected"] is True


@pytest.mark.parametrize(
    ("name", "payload", "value"),
    [
        ("ready", b"\1", True),
        ("answer", struct.pack(">i", -42), -42),
        ("temperature", struct.pack("<d", 21.5), 21.5),
        ("greeting", "héllo".encode(), "héllo"),
        ("greeting", b"", ""),
    ],
)
async def test_row_18_each_type_of_variable_reads_back(
    whole: Whole, name: str, payload: bytes, value: object
) -> None:
    firmware = await claimed(whole)
    whole.peers.clear()
    reading = asyncio.ensure_future(read(whole, firmware.device_id, name, whole.cast.ada))
    # Answered by hand, so that the bytes are the ones written here.
    device = firmware.device
    assert device.session is not None
    records = device.session.records
    await whole.linger()
    opened = records.open(whole.sent[-1][0])
    assert opened is not None
    request = coap.decode(opened[1])
    answer = encode_variable_value_answer(9000, request.token, payload)
    firmware.send(records.seal_data(answer))
    await whole.settle()
    assert (await reading).json()["result"] == value


async def test_row_18_an_offline_device_times_out_at_once(whole: Whole) -> None:
    firmware = await claimed(whole)
    firmware.device.say_goodbye(whole.clock.monotonic())
    await whole.settle()
    for answer in (
        await call(whole, firmware, "led", "on"),
        await read(whole, firmware.device_id, "answer", whole.cast.ada),
    ):
        assert answer.status_code == 408
        assert answer.json() == {"ok": False, "error": "timed out"}


async def test_row_18_a_device_that_does_not_answer_times_out_within_30_s(whole: Whole) -> None:
    board = await Board(whole, 7).connect()
    await whole.claim(whole.cast.ada, board.device_id)
    board.respond = lambda message: ()
    reading = asyncio.ensure_future(read(whole, board.device_id, "answer", whole.cast.ada))
    await whole.linger()
    await whole.advance(CALL_TIMEOUT_S - 1)
    assert not reading.done()
    await whole.advance(2)
    answer = await reading
    assert answer.status_code == 408
    assert answer.json() == {"ok": False, "error": "timed out"}


async def test_row_18_an_unknown_name_is_not_found_and_the_device_not_asked(whole: Whole) -> None:
    firmware = await claimed(whole)
    before = whole.datagrams
    assert (await call(whole, firmware, "fly", "")).status_code == 404
    missing = await read(whole, firmware.device_id, "altitude", whole.cast.ada)
    assert missing.status_code == 404
    assert whole.datagrams == before


async def test_row_18_only_the_owner_may(whole: Whole) -> None:
    firmware = await claimed(whole)
    before = whole.datagrams
    cleo = whole.cast.cleo
    assert (await call(whole, firmware, "led", "on", cleo)).status_code == 403
    assert (await read(whole, firmware.device_id, "answer", cleo)).status_code == 403
    nobody = await whole.client.get(f"/v1/devices/{firmware.device_id}/answer")
    assert nobody.status_code in (400, 401)
    assert whole.datagrams == before


async def test_row_20_the_hundredth_device_is_claimed_and_the_next_refused(whole: Whole) -> None:
    ada = whole.cast.ada
    for number in range(99):
        known = DeviceId(f"e00fce68{0xA00 + number:016x}")
        register_device(whole.db, whole.clock, known, owner=ada.user_id)
    await claimed(whole, 0)
    one_more = await Firmware(whole, 1).connect()
    assert (await whole.claim(ada, one_more.device_id)).status_code == 403
    assert (await whole.claim(whole.cast.cleo, one_more.device_id)).status_code == 200


async def test_row_38_the_id_of_a_device_survives_everything(whole: Whole) -> None:
    ada = whole.cast.ada
    firmware = await claimed(whole)
    one = f"/v1/devices/{firmware.device_id}"
    in_capitals = await whole.client.get(
        f"/v1/devices/{firmware.device_id.upper()}", headers=ada.headers
    )
    assert in_capitals.json()["id"] == firmware.device_id
    for change in ({"id": "0" * 24}, {"deviceID": "0" * 24}, {"name": "lamp", "id": "0" * 24}):
        await whole.client.put(one, headers=ada.headers, json=change)
    assert (await whole.client.get(one, headers=ada.headers)).json()["id"] == firmware.device_id
    assert (await whole.client.delete(one, headers=ada.headers)).status_code == 200
    assert (await whole.claim(ada, firmware.device_id.upper())).json()["id"] == firmware.device_id
    listed = (await whole.client.get("/v1/devices", headers=ada.headers)).json()
    assert [device["id"] for device in listed] == [firmware.device_id]


async def test_row_59_claiming_needs_a_device_that_breathes_cyan(whole: Whole) -> None:
    ada = whole.cast.ada
    unheard = DeviceId("e00fce68000000000000beef")
    register_device(whole.db, whole.clock, unheard)
    assert (await whole.claim(ada, unheard)).status_code == 404

    board = Board(whole, 7)
    await board.shake_hands()
    assert (await whole.claim(ada, board.device_id)).status_code == 404, "green: no Hello yet"
    await board.say_hello()
    await board.say(lambda id_: encode_goodbye(id_, Goodbye(disconnect_reason=2)))
    assert (await whole.claim(ada, board.device_id)).status_code == 404, "it said goodbye"
    await board.ping()
    assert (await whole.claim(ada, board.device_id)).status_code == 200
    await board.say(lambda id_: encode_goodbye(id_, Goodbye(disconnect_reason=2)))
    assert (await whole.claim(ada, board.device_id)).status_code == 200, "own again, offline"


async def test_row_59_a_device_that_fell_silent_cannot_be_claimed(whole: Whole) -> None:
    board = await Board(whole, 7).connect()
    await whole.advance(76)
    assert (await whole.claim(whole.cast.ada, board.device_id)).status_code == 404
    await board.ping()
    assert (await whole.claim(whole.cast.ada, board.device_id)).status_code == 200


async def test_row_60_claiming_takes_effect_at_once_and_only_for_one(whole: Whole) -> None:
    ada, cleo = whole.cast.ada, whole.cast.cleo
    board = await Board(whole, 7).connect()
    async with whole.stream(ada, "/v1/devices/events") as stream:
        await board.publish("before", b"1")
        assert (await whole.claim(ada, board.device_id)).status_code == 200
        await board.publish("after", b"1")
        await whole.linger()
        names = [name for name, _ in stream.events()]
        assert "after" in names
        assert "before" not in names
        assert (await whole.claim(ada, board.device_id)).status_code == 200
        foreign = await whole.claim(cleo, board.device_id)
        assert foreign.status_code == 403
        assert "belongs to someone else" in foreign.text
        released = await whole.client.delete(f"/v1/devices/{board.device_id}", headers=ada.headers)
        assert released.status_code == 200
        await board.publish("released", b"1")
        await whole.linger()
        assert "released" not in [name for name, _ in stream.events()]
    assert (await whole.claim(cleo, board.device_id)).status_code == 200
