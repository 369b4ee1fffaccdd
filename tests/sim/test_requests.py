"""Functions, variables, describes, events: how a device answers."""

import struct

import pytest

from cyan.sim.behaviour import built_in
from cyan.sim.facts import Answered, EventReceived
from cyan.wire import coap
from cyan.wire.blockwise import SZX_1024, find_block
from cyan.wire.messages import (
    APPLICATION,
    METRICS,
    SYSTEM,
    encode_describe_request,
    encode_event,
    encode_function_call,
    encode_signal,
    encode_variable_request,
)
from tests.sim.world import World, online_world

TOKEN = b"\x2a"


def call(world: World, name: str, argument: str) -> list[coap.Message]:
    return world.ask(lambda id_: encode_function_call(id_, TOKEN, name, argument))


def read(world: World, name: str) -> coap.Message:
    acknowledgement, answer = world.ask(lambda id_: encode_variable_request(id_, TOKEN, name))
    assert (acknowledgement.type, acknowledgement.code) == (coap.ACK, coap.EMPTY)
    assert (answer.type, answer.token) == (coap.CON, TOKEN)
    return answer


@pytest.mark.parametrize(
    ("name", "argument", "result"),
    [("led", "on", 1), ("led", "off", 0), ("led", "?", -1), ("echo", "grüße", 7), ("echo", "", 0)],
)
def test_a_function_is_acknowledged_and_then_answered(
    name: str, argument: str, result: int
) -> None:
    world = online_world()
    acknowledgement, answer = call(world, name, argument)
    assert (acknowledgement.type, acknowledgement.code) == (coap.ACK, coap.EMPTY)
    assert (answer.type, answer.code, answer.token) == (coap.CON, coap.CHANGED, TOKEN)
    assert answer.payload == struct.pack(">i", result)
    assert world.of(Answered) == [Answered("function", name)]
    assert world.device.outstanding == 0


def test_an_unknown_function_is_acknowledged_and_nothing_more() -> None:
    (acknowledgement,) = call(online_world(), "nosuch", "x")
    assert (acknowledgement.type, acknowledgement.code) == (coap.ACK, coap.EMPTY)


def test_variables_of_every_type_are_read() -> None:
    world = online_world()
    assert read(world, "answer").payload == bytes.fromhex("0000002a")
    (temperature,) = struct.unpack("<d", read(world, "temperature").payload)
    assert 15.0 <= temperature <= 30.0
    assert read(world, "ready").payload == b"\x01"
    greeting = f"hello from {world.device.identity.name}".encode()
    assert read(world, "greeting").payload == greeting


def test_functions_change_variables() -> None:
    world = online_world()
    call(world, "led", "off")
    call(world, "echo", "bonjour")
    assert read(world, "ready").payload == b"\0"
    assert read(world, "greeting").payload == b"bonjour"


def test_an_unknown_variable_is_not_found() -> None:
    answer = read(online_world(), "nosuch")
    assert (answer.code, answer.payload) == (coap.NOT_FOUND, b"")


def test_a_repeated_request_is_acknowledged_again_and_done_once() -> None:
    world = online_world()
    request = encode_function_call(777, TOKEN, "led", "on")
    world.deliver(world.cloud.seal(request))
    before = len(world.cloud.heard)
    world.deliver(world.cloud.seal(request))
    assert [m.type for m in world.cloud.messages()[before:]] == [coap.ACK]
    world.run(46.0)
    before = len(world.cloud.heard)
    world.deliver(world.cloud.seal(request))
    assert [m.type for m in world.cloud.messages()[before:]] == [coap.ACK, coap.CON]


@pytest.mark.parametrize("flags", [SYSTEM, APPLICATION])
def test_a_describe_is_the_one_that_was_posted(flags: int) -> None:
    world = online_world()
    posted = next(
        message
        for message in world.cloud.messages()
        if (coap.URI_QUERY, bytes((flags,))) in message.options
    )
    _, answer = world.ask(lambda id_: encode_describe_request(id_, TOKEN, flags))
    assert (answer.type, answer.code) == (coap.CON, coap.CONTENT)
    assert answer.payload == posted.payload


def test_vitals_are_binary() -> None:
    _, answer = online_world().ask(lambda id_: encode_describe_request(id_, TOKEN, METRICS))
    # device-protocol.md §3.3.4.
    assert answer.payload.startswith(bytes.fromhex("00040002000400"))


def test_a_describe_request_without_flags_is_refused() -> None:
    request = coap.Message(coap.CON, coap.GET, 9, TOKEN, ((coap.URI_PATH, b"d"),))
    world = online_world()
    world.deliver(world.cloud.seal(coap.encode(request)))
    # As captured in udp-full-session.log.
    assert world.cloud.heard[-1].data == b"\x61\x80\x00\x09" + TOKEN
    assert world.ends == []


def test_a_long_describe_is_fetched_block_by_block() -> None:
    functions = tuple(f"function_number_{number:03}" for number in range(100))
    world = online_world(built_in(event_interval_s=None, functions=functions))
    parts: list[bytes] = []
    more = True
    while more:
        number = len(parts)
        _, answer = world.ask(
            lambda id_, number=number: encode_describe_request(  # type: ignore[misc]
                id_, TOKEN, APPLICATION, block_number=number, szx=SZX_1024
            )
        )
        block = find_block(answer, coap.BLOCK2)
        assert block is not None
        assert block.number == number
        assert coap.find_option(answer, coap.ETAG)
        parts.append(answer.payload)
        more = block.more
    assert b"".join(parts).startswith(b'{"f":["led","echo","function_number_000"')
    assert len(parts) == 3
    (refusal,) = world.ask(
        lambda id_: encode_describe_request(id_, TOKEN, APPLICATION, block_number=1, szx=SZX_1024)
    )
    assert refusal.code == coap.NOT_FOUND
    (refusal,) = world.ask(
        lambda id_: encode_describe_request(id_, TOKEN, APPLICATION, block_number=1, szx=5)
    )
    assert refusal.code == coap.BAD_OPTION


def test_a_signal_is_answered_inside_the_acknowledgement() -> None:
    (answer,) = online_world().ask(lambda id_: encode_signal(id_, TOKEN, on=True))
    assert (answer.type, answer.code, answer.token) == (coap.ACK, coap.CHANGED, TOKEN)


def test_a_ping_is_acknowledged() -> None:
    (answer,) = online_world().ask(coap.encode_ping)
    assert (answer.type, answer.code) == (coap.ACK, coap.EMPTY)


def test_a_server_hello_is_acknowledged() -> None:
    (answer,) = online_world().ask(
        lambda id_: coap.encode(coap.Message(0, coap.POST, id_, b"", ((coap.URI_PATH, b"h"),)))
    )
    assert answer.type == coap.ACK


def test_an_event_reaches_the_application_that_listens() -> None:
    world = online_world()
    (answer,) = world.ask(lambda id_: encode_event(id_, "fleet/all", b"hello", confirmable=True))
    assert (answer.type, answer.code) == (coap.ACK, coap.EMPTY)
    world.ask(lambda id_: encode_event(id_, "other", b"no", confirmable=True))
    assert world.ask(lambda id_: encode_event(id_, "fleet/", b"2", confirmable=False)) == []
    assert world.of(EventReceived) == [
        EventReceived("fleet/all", b"hello"),
        EventReceived("fleet/", b"2"),
    ]


def test_a_binary_event_is_withheld_from_the_application() -> None:
    world = online_world()
    (answer,) = world.ask(
        lambda id_: encode_event(
            id_, "fleet/raw", b"\0", confirmable=True, content_format=coap.OCTET_STREAM
        )
    )
    assert answer.type == coap.ACK
    assert world.of(EventReceived) == []


def test_forced_updates_are_echoed() -> None:
    name = "particle/device/updates/forced"
    _, echo = online_world().ask(lambda id_: encode_event(id_, name, b"true", confirmable=True))
    assert echo.code == coap.POST
    assert echo.options[1] == (coap.URI_PATH, name.encode())
    assert echo.payload == b"true"
