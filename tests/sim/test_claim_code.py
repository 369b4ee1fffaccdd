"""A claim code that a device was given: shown until the server takes it (device-protocol.md
§3.11)."""

from cyan.sim.behaviour import built_in
from cyan.wire.messages import encode_event, encode_key_change
from tests.sim.world import World

CODE = "c" * 63
NAME = b"spark/device/claim/code"


def shown(world: World) -> int:
    return sum(
        NAME in heard.data and heard.message.payload == CODE.encode() for heard in world.cloud.heard
    )


def claiming_world() -> World:
    world = World(claim_code=CODE)
    world.run(0.5)
    return world


def take_code(world: World) -> None:
    world.ask(lambda id_: encode_event(id_, "spark/device/claim/done", b"", confirmable=True))


def test_it_comes_between_the_system_describe_and_the_question_for_the_time() -> None:
    paths = [message.options[0][1] for message in claiming_world().cloud.messages()]
    assert paths[:4] == [b"h", b"d", b"E", b"t"]


def test_it_is_shown_at_every_handshake_until_the_server_takes_it() -> None:
    world = claiming_world()
    assert shown(world) == 1
    world.deliver(world.cloud.request(encode_key_change))
    world.run(0.5)
    assert shown(world) == 2
    take_code(world)
    world.deliver(world.cloud.request(encode_key_change))
    world.run(0.5)
    assert world.handshakes == [False] * 3
    assert shown(world) == 2


def test_it_is_not_shown_when_a_session_goes_on() -> None:
    world = claiming_world()
    world.device.stop(world.now)
    after = World(
        built_in(event_interval_s=None),
        claim_code=CODE,
        cloud=world.cloud,
        stored=world.device.store(),
        now=world.now,
    )
    after.run(0.5)
    assert after.handshakes == [True]
    assert shown(after) == 1


def test_a_code_that_was_taken_is_not_shown_by_the_next_process_but_another_is() -> None:
    world = claiming_world()
    take_code(world)
    stored = world.device.store()
    assert World(claim_code=CODE, stored=stored).device.claim_code is None
    other = "d" * 63
    assert World(claim_code=other, stored=stored).device.claim_code == other
