"""A device does what an image of the simulated platform says, after the restart."""

import pytest

from cyan.sim.images import read_image
from cyan.wire.errors import MalformedError
from cyan.wire.messages import (
    Publish,
    Subscribe,
    decode_request,
    decode_variable_value,
    encode_variable_request,
)
from cyan.wire.messages.calls import DOUBLE, INT, STRING
from cyan.wire.simulated import (
    Event,
    Function,
    Image,
    Piece,
    Subscription,
    Variable,
    encode_image,
)
from tests.sim.updating import TOKEN, AnyWorld, call, send_event, update, user_part
from tests.sim.world import World, online_world

ALL = Image(
    product_version=5,
    variables=(
        Variable("uptime", "int", 10, step=2.0, every_s=5.0),
        Variable("level", "double", 0.125),
        Variable("open", "bool", False),
        Variable("counter", "int", 42),
        Variable("mode", "string", "{idle}"),
    ),
    functions=(
        Function("set", {"night": 3}, None, into="mode"),
        Function("open", {}, 1, into="open"),
    ),
    events=(
        Event("hello", (Piece("I am "), Piece("", "counter"), Piece(" {x}"))),
        Event("tick", (Piece("open="), Piece("", "open")), 20.0),
    ),
    subscriptions=(Subscription("mode/", into="mode"),),
)


def events(world: World, since: int = 0) -> list[tuple[str, bytes | None]]:
    requests = [decode_request(message) for message in world.cloud.messages()[since:]]
    return [
        (request.name, request.data)
        for request in requests
        if isinstance(request, Publish) and not request.name.startswith(("spark/", "particle/"))
    ]


def read(world: AnyWorld, name: str, type_: int) -> object:
    answers = world.ask(lambda id_: encode_variable_request(id_, TOKEN, name))
    return decode_variable_value(type_, answers[-1].payload)


@pytest.fixture
def world() -> World:
    world = online_world()
    update(world, user_part(encode_image(ALL), product_version=5))
    return world


def test_functions_and_variables_are_those_of_the_image(world: World) -> None:
    assert read(world, "level", DOUBLE) == 0.125
    assert read(world, "counter", INT) == 42
    assert read(world, "mode", STRING) == "{idle}"
    assert call(world, "set", "night") == 3
    assert read(world, "mode", STRING) == "night"
    assert call(world, "set", "daylight") == len("daylight")
    assert call(world, "open", "true") == 1
    assert call(world, "led", "on") is None


def test_a_variable_grows_as_the_image_says(world: World) -> None:
    before = read(world, "uptime", INT)
    assert isinstance(before, int)
    world.run(50.0)
    assert read(world, "uptime", INT) == before + 20


def test_events_come_once_after_each_start_or_again_and_again(world: World) -> None:
    assert ("hello", b"I am 42 {x}") in events(world)
    before = len(world.cloud.heard)
    world.run(60.0)
    assert events(world, before) == [("tick", b"open=false")] * 3
    before = len(world.cloud.heard)
    world.deliver(world.cloud.close_notify())
    world.run(1.0)
    assert "hello" not in [name for name, _ in events(world, before)]
    send_event(world, "spark/device/reset", b"reboot")
    world.run(3.0)
    assert [name for name, _ in events(world, before)].count("hello") == 1


def test_subscriptions_are_those_of_the_image(world: World) -> None:
    requests = [decode_request(message) for message in world.cloud.messages()]
    assert [each.prefix for each in requests if isinstance(each, Subscribe)][-1] == "mode/"
    send_event(world, "mode/of/house", b"away")
    assert read(world, "mode", STRING) == "away"


def test_an_image_with_damage_is_none() -> None:
    with pytest.raises(MalformedError):
        read_image(encode_image(ALL)[:-1])
