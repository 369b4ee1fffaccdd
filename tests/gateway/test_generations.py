"""Every generation of firmware on its boards: all of a day in its life, at the real gateway."""

from collections.abc import AsyncIterator

import pytest

from cyan.devices.description import described
from cyan.sim.behaviour import Behaviour, built_in
from cyan.sim.facts import EndReason, EventReceived, EventSettled, HandshakeDone, Outcome, State
from cyan.sim.platforms import PLATFORMS, Transport
from tests.gateway.firmware import QUIET, Firmware
from tests.gateway.stream_firmware import StreamFirmware
from tests.gateway.world import ADA, World

AnyFirmware = Firmware | StreamFirmware

KINDS = [
    *(
        (name, generation)
        for name in ("core", "gcc", "photon", "electron", "argon")
        for generation in PLATFORMS[name].generations
    ),
    ("boron", "1.5"),
    ("boron", "6.2"),
    ("p2", "6.2"),
]
"""Every release on one board that it was for, over either transport, and what is cellular."""


@pytest.fixture
def behaviour() -> Behaviour:
    """What their applications do."""
    return built_in(event_interval_s=10.0)


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(kind))
async def firmware(
    world: World, behaviour: Behaviour, request: pytest.FixtureRequest
) -> AsyncIterator[AnyFirmware]:
    """Of Ada's."""
    name, generation = request.param
    is_tcp = PLATFORMS[name].transport is Transport.TCP
    kind = StreamFirmware if is_tcp else Firmware
    made = kind(world, behaviour=behaviour, platform=name, generation=generation)
    world.register(made.device_id, ADA)
    yield made
    if isinstance(made, StreamFirmware):
        made.close_stream()


async def come_online(world: World, firmware: AnyFirmware) -> None:
    firmware.on_time(world.clock.monotonic())
    await world.advance(3)
    assert firmware.device.state is State.ONLINE
    assert world.presence.is_online(firmware.device_id)


def acknowledged(firmware: AnyFirmware) -> list[bytes]:
    """The data of the events that it takes for kept."""
    return [
        fact.data
        for fact in firmware.facts
        if isinstance(fact, EventSettled) and fact.outcome is Outcome.ACKNOWLEDGED
    ]


async def test_it_connects_tells_what_it_offers_and_is_called(
    world: World, firmware: AnyFirmware
) -> None:
    await come_online(world, firmware)
    offer = described(world.db, firmware.device_id)
    assert offer.functions == ("led", "echo")
    assert set(offer.variables) == {"answer", "temperature", "ready", "greeting"}
    links = world.links
    assert await links.call_function(firmware.device_id, "led", "on") == 1
    assert await links.call_function(firmware.device_id, "echo", "x" * 40) == 40
    assert await links.read_variable(firmware.device_id, "answer") == b"\0\0\0\x2a"
    assert await links.read_variable(firmware.device_id, "greeting") == b"x" * 40
    await links.ping(firmware.device_id)
    await links.signal(firmware.device_id, True)
    assert world.statuses() == ["online"]


async def test_its_events_are_kept_once_and_it_gets_those_it_subscribed_to(
    world: World, firmware: AnyFirmware
) -> None:
    await come_online(world, firmware)
    await world.events.publish(ADA, "fleet/news", b"hello")
    await world.advance(65)
    logged = [event.data for event in world.logged("heartbeat")]
    assert len(logged) == len(set(logged)) >= 5
    assert set(acknowledged(firmware)) <= set(logged)
    received = [fact for fact in firmware.facts if isinstance(fact, EventReceived)]
    assert EventReceived("fleet/news", b"hello") in received


@pytest.mark.parametrize("behaviour", [QUIET], ids=["quiet"])
async def test_it_stays_online_by_its_pings_alone(world: World, firmware: AnyFirmware) -> None:
    await come_online(world, firmware)
    await world.advance(300)
    assert firmware.device.state is State.ONLINE
    assert world.statuses() == ["online"]
    handshakes = [fact for fact in firmware.facts if isinstance(fact, HandshakeDone)]
    assert len(handshakes) == 1


async def test_it_comes_back_from_sleep_and_over_udp_without_a_handshake(
    world: World, firmware: AnyFirmware
) -> None:
    await come_online(world, firmware)
    now_s = world.clock.monotonic()
    firmware.device.pause(EndReason.SLEEP, now_s)
    await world.advance(20)
    firmware.device.resume(world.clock.monotonic())
    await world.advance(3)
    assert firmware.device.state is State.ONLINE
    resumed = [fact.resumed for fact in firmware.facts if isinstance(fact, HandshakeDone)]
    assert resumed == [False, isinstance(firmware, Firmware)]
    assert await world.links.call_function(firmware.device_id, "led", "off") == 0
    went = ["offline", "online"] if isinstance(firmware, StreamFirmware) else []
    assert world.statuses() == ["online", *went]


async def test_it_outlives_a_kill_of_the_server_and_over_udp_does_not_notice(
    world: World, firmware: AnyFirmware
) -> None:
    await come_online(world, firmware)
    await world.advance(15)
    await world.restart(outage_s=4)
    await world.advance(60)
    assert firmware.device.state is State.ONLINE
    assert world.presence.is_online(firmware.device_id)
    assert await world.links.call_function(firmware.device_id, "led", "on") == 1
    logged = [event.data for event in world.logged("heartbeat")]
    assert len(logged) == len(set(logged))
    assert set(acknowledged(firmware)) <= set(logged)
    if isinstance(firmware, Firmware):
        assert firmware.handshakes == [False]
        assert world.statuses() == ["online"]
    else:
        assert world.statuses() == ["online", "offline", "online"]
