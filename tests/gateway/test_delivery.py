"""Which events reach which connected devices."""

import pytest

from cyan.devices.model import DeviceReleased
from cyan.events.model import Event
from cyan.wire import coap
from cyan.wire.messages import Publish, Subscribe, encode_publish, encode_subscribe
from tests.gateway.board import Board
from tests.gateway.world import ADA, CLEO, World, metric

PENDING = "particle/device/updates/pending"


@pytest.fixture
async def lamp(world: World) -> Board:
    board = Board(world, 1)
    world.register(board.device_id, ADA)
    return await board.connect()


@pytest.fixture
async def pump(world: World) -> Board:
    board = Board(world, 2)
    world.register(board.device_id, ADA)
    return await board.connect()


async def test_an_event_reaches_a_subscribed_device_of_its_owner(
    world: World, lamp: Board, pump: Board
) -> None:
    """Row 17: a device publishes, another one of its owner gets it, by prefix."""
    await pump.subscribe("fleet/")
    await lamp.publish("fleet/news", b"hello")
    await lamp.publish("Fleet/news", b"prefixes are case-sensitive")
    await lamp.publish("fleet", b"shorter than the prefix")
    event = pump.requests()[-1]
    assert pump.event_names() == [PENDING, "fleet/news"]
    assert (event.type, event.payload) == (coap.CON, b"hello")
    assert "fleet/news" not in lamp.event_names()


async def test_a_device_gets_its_own_event_when_it_subscribed(world: World, lamp: Board) -> None:
    await lamp.subscribe("fleet/")
    await lamp.publish("fleet/news")
    assert lamp.event_names() == [PENDING, "fleet/news"]


async def test_an_event_from_the_api_reaches_the_persons_devices(world: World, lamp: Board) -> None:
    """Row 17: publishing over the API."""
    await lamp.subscribe("fleet/")
    await world.events.publish(ADA, "fleet/news", b"hello")
    await world.events.publish(CLEO, "fleet/news", b"from a stranger")
    await world.settle()
    assert lamp.event_names() == [PENDING, "fleet/news"]
    assert lamp.requests()[-1].payload == b"hello"


async def test_nothing_crosses_from_one_owner_to_another(world: World, lamp: Board) -> None:
    """Row 17: other accounts see nothing."""
    stranger = Board(world, 3)
    world.register(stranger.device_id, CLEO)
    await stranger.connect()
    unclaimed = await Board(world, 4).connect()
    for board in (stranger, unclaimed):
        await board.subscribe("fleet/")
        await board.subscribe("")
    await lamp.publish("fleet/news")
    assert stranger.event_names() == unclaimed.event_names() == [PENDING]
    await lamp.subscribe("fleet/")
    await stranger.publish("fleet/news")
    await unclaimed.publish("fleet/news")
    assert lamp.event_names() == [PENDING]


async def test_system_events_of_devices_never_reach_devices(
    world: World, lamp: Board, pump: Board
) -> None:
    for prefix in ("spark", "particle", ""):
        await pump.subscribe(prefix)
    for name in ("spark/device/reset", "particle/device/updates/forced", "SPARK/x", "spark/status"):
        await lamp.publish(name)
    assert pump.event_names() == [PENDING]


async def test_a_subscription_to_one_device_gets_only_its_events(
    world: World, lamp: Board, pump: Board
) -> None:
    third = Board(world, 3)
    world.register(third.device_id, ADA)
    await third.connect()
    only = Subscribe("fleet/", device_id=lamp.device_id)
    assert await third.say(lambda id_: encode_subscribe(id_, only)) is not None
    await lamp.publish("fleet/lamp")
    await pump.publish("fleet/pump")
    assert third.event_names() == [PENDING, "fleet/lamp"]


@pytest.mark.parametrize(
    ("subscription", "content_format", "data"),
    [
        (Subscribe("fleet/", cbor=True), coap.CBOR, b"\xa1\x61a\x01"),
        (Subscribe("fleet/", binary=True), coap.STRUCTURED, b"\xa1\x61a\x01"),
        (Subscribe("fleet/"), coap.JSON, b'{"a":1}'),
    ],
)
async def test_structured_data_comes_in_the_form_that_the_handler_reads(
    world: World,
    lamp: Board,
    pump: Board,
    subscription: Subscribe,
    content_format: int,
    data: bytes,
) -> None:
    await pump.say(lambda id_: encode_subscribe(id_, Subscribe("other/", cbor=True)))
    await pump.say(lambda id_: encode_subscribe(id_, subscription))
    structured = Publish("fleet/news", b"\xa1\x61a\x01", coap.STRUCTURED)
    await lamp.say(lambda id_: encode_publish(id_, structured))
    delivered = pump.requests()[-1]
    option = coap.find_option(delivered, coap.CONTENT_FORMAT)
    assert (coap.decode_uint(option or b""), delivered.payload) == (content_format, data)


async def test_an_event_too_large_for_a_device_is_not_sent_to_it(world: World, lamp: Board) -> None:
    """Row 17: sizes."""
    await lamp.subscribe("fleet/")
    await world.events.publish(ADA, "fleet/news", b"x" * 1025)
    await world.settle()
    assert lamp.event_names() == [PENDING]
    small = Board(world, 5, platform_id=10)
    small.max_message_size = 800
    world.register(small.device_id, ADA)
    await small.connect()
    await small.subscribe("fleet/")
    before = metric("cyan_events_undelivered_total", reason="too_large")
    await world.events.publish(ADA, "fleet/large", b"x" * 900)
    await world.settle()
    assert lamp.event_names() == [PENDING, "fleet/large"]
    assert small.event_names() == [PENDING]
    assert metric("cyan_events_undelivered_total", reason="too_large") == before + 1


async def test_an_offline_device_gets_nothing_later(world: World, lamp: Board, pump: Board) -> None:
    await pump.subscribe("fleet/")
    await world.advance(40)
    await lamp.ping()
    await world.advance(40)
    assert not world.presence.is_online(pump.device_id)
    await lamp.publish("fleet/news")
    await pump.ping()
    assert "fleet/news" not in pump.event_names()
    await lamp.publish("fleet/more")
    assert pump.event_names() == [PENDING, "fleet/more"]


async def test_a_device_that_changes_hands_takes_its_subscriptions_along(
    world: World, lamp: Board, pump: Board
) -> None:
    await pump.subscribe("fleet/")
    await world.db.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE devices_device SET owner_id = NULL WHERE id = ?", (pump.device_id,)
        )
    )
    world.ownership.refresh(pump.device_id)
    world.bus.publish(DeviceReleased(pump.device_id, previous=ADA))
    await lamp.publish("fleet/news")
    assert pump.event_names() == [PENDING]


async def test_a_device_that_is_too_busy_misses_events_and_that_is_counted(
    world: World, lamp: Board
) -> None:
    await lamp.subscribe("fleet/")
    lamp.respond = lambda message: ()
    before = metric("cyan_events_undelivered_total", reason="busy")
    for _ in range(130):
        world.hub.deliver([(1, Event("fleet/news", b"1", 0, "api", ADA))])
    await world.settle()
    assert metric("cyan_events_undelivered_total", reason="busy") == before + 2
