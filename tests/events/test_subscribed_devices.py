"""Which events reach the devices that subscribed (platform-semantics.md §6.2)."""

import pytest

from cyan.core.bus import Bus
from cyan.core.ids import DeviceId
from cyan.devices.model import DeviceClaimed, DeviceReleased
from cyan.events.hub import follow
from cyan.events.model import Event
from cyan.events.subscriptions import MAX_SUBSCRIPTIONS_OF_A_DEVICE
from tests.events.world import ADA, CLEO, CLEOS_LAMP, LAMP, PUMP, World


class Inbox:
    """A connected device's side: what was sent to it."""

    def __init__(self, world: World, device_id: DeviceId, *prefixes: str) -> None:
        self.events: list[Event] = []
        for prefix in prefixes:
            assert world.hub.subscribe_device(device_id, prefix, self.events.append)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]


async def test_an_event_reaches_the_owners_subscribed_devices(world: World) -> None:
    pump, foreign = Inbox(world, PUMP, "temp"), Inbox(world, CLEOS_LAMP, "temp", "")
    await world.publish(world.event("temperature"), world.event("pressure"))
    assert pump.names == ["temperature"]
    assert foreign.names == []


async def test_a_person_reaches_their_devices(world: World) -> None:
    pump, foreign = Inbox(world, PUMP, "open"), Inbox(world, CLEOS_LAMP, "open")
    await world.service.publish(ADA, "open/valve", b"3")
    assert [(event.name, event.data, event.origin) for event in pump.events] == [
        ("open/valve", b"3", "api")
    ]
    assert foreign.names == []


async def test_a_device_gets_its_own_event_too(world: World) -> None:
    lamp = Inbox(world, LAMP, "temp")
    await world.publish(world.event("temperature"))
    assert lamp.names == ["temperature"]


async def test_two_fitting_prefixes_deliver_once(world: World) -> None:
    pump = Inbox(world, PUMP, "", "temp", "temperature")
    await world.publish(world.event("temperature"))
    assert pump.names == ["temperature"]


@pytest.mark.parametrize(
    "name", ["spark/device/reset", "particle/device/updates/forced", "SPARK/x", "Particle", "spark"]
)
async def test_reserved_names_never_reach_devices(world: World, name: str) -> None:
    pump = Inbox(world, PUMP, "", "s", "p", "S", "P", "spark", "particle", name)
    await world.publish(world.event(name), world.event("plain"))
    assert pump.names == ["plain"]


async def test_cloud_made_system_events_never_reach_devices(world: World) -> None:
    pump = Inbox(world, PUMP, "", "spark", "s")
    world.service.emit("spark/status", b"online", LAMP, ADA)
    await world.log.drain()
    assert pump.names == []


async def test_data_that_is_too_large_for_a_device_is_for_streams_only(world: World) -> None:
    pump = Inbox(world, PUMP, "")
    await world.service.publish(ADA, "fits", b"x" * 1024)
    await world.service.publish(ADA, "too-large", b"x" * 1025)
    assert pump.names == ["fits"]


async def test_a_subscription_to_one_device_leaves_the_others_out(world: World) -> None:
    heard: list[Event] = []
    world.hub.subscribe_device(PUMP, "temp", heard.append, only_from=LAMP)
    await world.publish(world.event("temp/pump", origin=PUMP), world.event("temp/lamp"))
    await world.service.publish(ADA, "temp/api", b"")
    assert [event.name for event in heard] == ["temp/lamp"]


async def test_subscribing_again_replaces_the_sink(world: World) -> None:
    old, new = Inbox(world, PUMP, "temp"), Inbox(world, PUMP, "temp")
    await world.publish(world.event("temperature"))
    assert (old.names, new.names) == ([], ["temperature"])


async def test_a_dropped_device_gets_nothing(world: World) -> None:
    pump = Inbox(world, PUMP, "temp", "spark")
    world.hub.drop_device(PUMP)
    world.hub.drop_device(PUMP)
    await world.publish(world.event("temperature"))
    assert pump.names == []


async def test_a_device_has_a_bounded_number_of_subscriptions(world: World) -> None:
    pump = Inbox(world, PUMP, *(f"n{number}" for number in range(MAX_SUBSCRIPTIONS_OF_A_DEVICE)))
    assert not world.hub.subscribe_device(PUMP, "one more", pump.events.append)
    assert world.hub.subscribe_device(PUMP, "n0", pump.events.append)


async def test_a_released_device_gets_nothing_of_its_former_owner(world: World) -> None:
    pump = Inbox(world, PUMP, "temp")
    del world.owners.book[PUMP]
    await world.publish(world.event("before-the-fact-was-told"))
    await world.publish(world.event("temperature"))
    bus = Bus()
    follow(bus, world.hub)
    bus.publish(DeviceReleased(PUMP, ADA))
    await world.publish(world.event("temperature"))
    assert pump.names == []


async def test_a_claimed_device_gets_its_new_owners_events_at_once(world: World) -> None:
    del world.owners.book[PUMP]
    pump = Inbox(world, PUMP, "temp", "spark")
    bus = Bus()
    follow(bus, world.hub)
    await world.publish(world.event("temp1"))
    world.owners.book[PUMP] = CLEO
    bus.publish(DeviceClaimed(PUMP, CLEO, None))
    await world.publish(world.event("temp2"), world.event("temp3", owner_id=CLEO))
    assert pump.names == ["temp3"]


async def test_a_device_that_fails_does_not_hurt_the_others(world: World) -> None:
    def broken(_event: Event) -> None:
        raise RuntimeError("its link is gone")

    world.hub.subscribe_device(LAMP, "temp", broken)
    pump = Inbox(world, PUMP, "temp")
    await world.publish(world.event("temperature"))
    assert pump.names == ["temperature"]
