"""Updates enabled, forced and pending: what devices tell and what they believe."""

from cyan.sim.facts import UpdatesPending
from cyan.wire import coap
from cyan.wire.messages import Publish, decode_request
from tests.sim.field_world import FieldWorld
from tests.sim.updating import AnyWorld, send_event, update, user_part
from tests.sim.world import online_world

ENABLED = "particle/device/updates/enabled"
FORCED = "particle/device/updates/forced"
PENDING = "particle/device/updates/pending"


def published(messages: list[coap.Message]) -> list[tuple[str, bytes]]:
    requests = [decode_request(message) for message in messages]
    return [
        (request.name, request.data or b"")
        for request in requests
        if isinstance(request, Publish) and request.name.startswith("particle/device/updates/")
    ]


def pending(world: AnyWorld | FieldWorld) -> list[bool]:
    return [
        fact.is_pending for fact in world.of(UpdatesPending) if isinstance(fact, UpdatesPending)
    ]


def test_every_connection_begins_with_both_flags() -> None:
    world = online_world()
    assert published(world.cloud.messages()) == [(ENABLED, b"true"), (FORCED, b"false")]
    world.device.enable_updates(world.now, enabled=False)
    world.device.stop(world.now)
    before = len(world.cloud.heard)
    world.device.resume(world.now)
    world.run(1.0)
    assert published(world.cloud.messages()[before:]) == [(ENABLED, b"false"), (FORCED, b"false")]


def test_what_the_application_changes_is_told_at_once_and_once() -> None:
    world = online_world()
    before = len(world.cloud.heard)
    for enabled in (False, False, True):
        world.device.enable_updates(world.now, enabled=enabled)
    told = published(world.cloud.messages()[before:])
    assert told == [(ENABLED, b"false"), (ENABLED, b"true")]


def test_a_forced_update_is_echoed_when_it_is_news() -> None:
    world = online_world()
    told = [published(send_event(world, FORCED, data)) for data in (b"true", b"true", b"false")]
    assert told == [[(FORCED, b"true")], [], [(FORCED, b"false")]]


def test_a_restart_forgets_both() -> None:
    world = online_world()
    send_event(world, FORCED, b"true")
    world.device.enable_updates(world.now, enabled=False)
    before = len(world.cloud.heard)
    update(world, user_part())
    told = published(world.cloud.messages()[before:])
    assert told == [(ENABLED, b"true"), (FORCED, b"false")]


def test_that_an_update_waits_is_believed_as_firmware_reads_it() -> None:
    world = online_world()
    assert world.device.updater.pending is None
    for data in (b"true", b"false", b"", b"t", b"1"):
        send_event(world, PENDING, data)
    assert pending(world) == [True, False, True, True, False]


def test_an_application_forbids_updates_for_a_while() -> None:
    world = FieldWorld("updates-disabled at_s=[0,10] for_s=4")
    world.run(12.0)
    assert published(world.cloud.messages()) == [
        (ENABLED, b"false"),
        (FORCED, b"false"),
        (ENABLED, b"true"),
        (ENABLED, b"false"),
    ]
    world.run(5.0)
    assert published(world.cloud.messages())[-1] == (ENABLED, b"true")
    assert [fact.kind for fact in world.faults] == ["updates-disabled"] * 2
