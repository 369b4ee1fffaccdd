"""What a device sends when it connects, against captured sessions of real firmware."""

from cyan.sim.behaviour import built_in
from cyan.sim.facts import EndReason, State
from cyan.wire import coap
from cyan.wire.blockwise import find_block
from cyan.wire.describe import ApplicationDescribe, SystemDescribe, decode_describe
from cyan.wire.messages import APPLICATION, SYSTEM
from tests.sim.world import Cloud, World, online_world
from tests.wire.vectors import client_hellos, coap_lines

_RANDOM = slice(27, 59)
"""Where a ClientHello datagram has its 32 random bytes."""


def shape(message: coap.Message) -> tuple[int, int, int, int, tuple[tuple[int, bytes], ...]]:
    """What must be equal in two sessions: not tokens, names and payloads."""
    options = tuple(
        (number, value) if number != coap.URI_PATH or len(value) < 9 or b"/" in value else (0, b"")
        for number, value in message.options
    )
    return message.type, message.code, message.message_id, len(message.token), options


def test_the_first_hello_is_the_captured_one_but_for_its_random_bytes() -> None:
    world = World()
    world.run(0.001)
    captured = client_hellos()[0]
    sent = world.sent[0][1]
    assert sent[: _RANDOM.start] == captured[: _RANDOM.start]
    assert sent[_RANDOM.stop :] == captured[_RANDOM.stop :]


def test_messages_come_in_the_captured_order() -> None:
    # The captured application subscribes to "test/" and "group/evt".
    world = online_world(built_in(event_interval_s=None, subscriptions=("test/", "group/evt")))
    captured = [line for line in coap_lines("udp-full-session.log") if line.from_device][:10]
    said = world.cloud.messages()
    assert len(said) == len(captured)
    for message, line in zip(said, captured, strict=True):
        expected = coap.Message(
            line.type, line.code, line.message_id, line.token, line.options, line.payload
        )
        assert shape(message) == shape(expected)


def test_hello_is_the_documented_one() -> None:
    world = online_world(platform="boron")
    device_id = world.device.identity.device_id
    # device-protocol.md, Appendix A: Hello of a Boron with Device OS 6.2.
    expected = f"40020001b168ff000dffff00f6000d000c{device_id}18380480001770000200"
    assert world.cloud.heard[0].data.hex() == expected


def test_nothing_is_said_before_hello_is_acknowledged() -> None:
    world = World(cloud=Cloud(answer=lambda message: None))
    world.run(3.0)
    assert len(world.cloud.heard) == 1
    assert world.ask(coap.encode_ping) == []
    world.deliver(world.cloud.seal(coap.encode_empty_ack(1)))
    assert len(world.cloud.heard) > 5


def test_the_describes_can_be_read() -> None:
    posts = [
        message
        for message in online_world().cloud.messages()
        if message.options and message.options[0] == (coap.URI_PATH, b"d")
    ]
    (system,) = decode_describe(SYSTEM, coap.OCTET_STREAM, posts[0].payload)
    (application,) = decode_describe(APPLICATION, coap.TEXT, posts[1].payload)
    assert isinstance(system, SystemDescribe)
    assert system.system_version == 6200
    assert system.app_hash is not None
    assert isinstance(application, ApplicationDescribe)
    assert application.functions == ("led", "echo")
    assert application.variables == {"answer": 2, "temperature": 9, "ready": 1, "greeting": 4}


def test_a_long_describe_comes_in_blocks_after_everything_else() -> None:
    functions = tuple(f"function_number_{number:03}" for number in range(100))
    world = online_world(built_in(event_interval_s=None, functions=functions))
    last = world.cloud.messages()[-2:]
    blocks = [find_block(message, coap.BLOCK1) for message in world.cloud.messages()]
    found = [block for block in blocks if block is not None]
    assert [(block.number, block.more) for block in found] == [(0, True), (1, True), (2, False)]
    assert [find_block(message, coap.BLOCK1) for message in last] == found[1:]
    tokens = {m.token for m in world.cloud.messages() if find_block(m, coap.BLOCK1) is not None}
    assert len(tokens) == 3
    assert world.device.state is State.ONLINE


def test_a_silent_server_is_tried_for_45_seconds_and_again_after_one() -> None:
    world = World(cloud=Cloud(is_alive=False))
    world.run(100.0)
    times = [at for at, _ in world.cloud.hellos]
    # device-protocol.md §1.4.2: 3, 6, 12, 24 s; session-behaviour.md: given up after 45 s.
    assert times[:6] == [0.0, 3.0, 9.0, 21.0, 46.0, 49.0]
    assert world.ends == [
        (45.0, EndReason.HANDSHAKE_FAILED),
        (91.0, EndReason.HANDSHAKE_FAILED),
    ]


def test_failed_attempts_are_spaced_wider_after_five() -> None:
    world = World(cloud=Cloud(is_alive=False))
    world.run(46.0 * 5 + 47.0 * 5 + 1.0)
    starts = [0.0]
    for at, _ in world.ends:
        starts.append(next(time for time, _ in world.cloud.hellos if time > at) - at)
    # device-protocol.md §1.4.7.
    assert starts[1:] == [1.0] * 5 + [2.0] * 5


def test_a_lost_hello_is_sent_again_with_the_same_id() -> None:
    world = World(cloud=Cloud(answer=lambda message: None))
    world.run(50.0)
    assert [heard.data for heard in world.cloud.heard] == [world.cloud.heard[0].data] * 4


def test_an_unacknowledged_hello_costs_the_session() -> None:
    world = World(cloud=Cloud(answer=lambda message: None))
    world.run(95.0)
    ((at, reason),) = world.ends
    assert reason is EndReason.MESSAGE_TIMEOUT
    assert 60.0 <= at <= 90.0
    assert world.cloud.handshakes == 2


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (World(built_in(event_interval_s=2.0)) for _ in range(2))
    first.run(60.0)
    second.run(60.0)
    assert first.sent == second.sent
    assert first.facts == second.facts


def test_another_seed_gives_other_bytes() -> None:
    first, second = World(seed="one"), World(seed="two")
    first.run(1.0)
    second.run(1.0)
    assert first.device.identity.device_id != second.device.identity.device_id
    assert first.sent != second.sent
