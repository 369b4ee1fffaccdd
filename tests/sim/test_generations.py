"""Generations of firmware over UDP: what each says, answers, and how it resumes."""

import struct

import msgspec
import pytest

from cyan.sim.behaviour import built_in
from cyan.sim.boards import UnknownBoardError, find_board, parse_share
from cyan.sim.describing import TooLongError
from cyan.sim.device import Device
from cyan.sim.facts import Answered, EndReason, EventSent, HandshakeDone, State
from cyan.sim.generations import GENERATIONS
from cyan.sim.identity import Identity
from cyan.sim.platforms import PLATFORMS, Transport
from cyan.wire import coap
from cyan.wire.blockwise import find_block
from cyan.wire.describe import ApplicationDescribe, Part, SystemDescribe, decode_describe
from cyan.wire.messages import (
    APPLICATION,
    METRICS,
    SYSTEM,
    Hello,
    decode_request,
    encode_event,
    encode_function_call,
    encode_variable_request,
)
from tests.sim.world import SERVER_KEY, Cloud, World, answer_everything, online_world

TOKEN = b"\x2a"
OUTER_TYPES = {"2.3": 254, "3.0": 254, "3.3": 25, "4.2": 253, "5.4": 253, "6.2": 253}
ON_ARGON = sorted(OUTER_TYPES)


def names(world: World) -> list[bytes]:
    """The first path segments and event names in the order in which they were said."""
    return [
        b"/".join(value for number, value in message.options if number == coap.URI_PATH)
        for message in world.cloud.messages()
    ]


def ask_describe(world: World, flags: bytes | None, token: bytes = TOKEN) -> list[coap.Message]:
    query = () if flags is None else ((coap.URI_QUERY, flags),)
    options = ((coap.URI_PATH, b"d"), *query)
    return world.ask(lambda id_: coap.encode(coap.Message(coap.CON, coap.GET, id_, token, options)))


def parts_of(answer: coap.Message, flags: int) -> tuple[Part, ...]:
    return decode_describe(flags, coap.TEXT, answer.payload)


def resume(world: World) -> list[coap.Message]:
    """Makes the device resume; what it says then."""
    before = len(world.cloud.heard)
    world.ask(lambda id_: encode_event(id_, "spark/device/reset", b"network", confirmable=True))
    world.run(2.0)
    return world.cloud.messages()[before + 1 :]


@pytest.mark.parametrize(
    ("platform", "generation", "expected"),
    [
        # device-protocol.md §3.2: without sizes before 3.0, flags by version.
        ("electron", "0.7", "000affff0000000a000c"),
        ("electron", "1.5", "000affff0006000a000c"),
        ("electron", "2.3", "000affff0036000a000c"),
        ("argon", "2.3", "000cffff0076000c000c"),
        ("argon", "3.0", "000cffff00f6000c000c"),
        ("p2", "5.4", "0020ffff00f60020000c"),
    ],
)
def test_hello_is_that_of_the_generation(platform: str, generation: str, expected: str) -> None:
    world = online_world(platform=platform, generation=generation)
    message = world.cloud.heard[0].message
    device_id = world.device.identity.device_id
    assert message.payload.hex().startswith(expected + device_id)
    hello = decode_request(message)
    assert isinstance(hello, Hello)
    if GENERATIONS[generation].hello_tells_sizes:
        assert hello.system_version == GENERATIONS[generation].system_version
        assert hello.max_message_size == 1152
    else:
        assert len(message.payload) == 22
        assert hello.system_version is None


@pytest.mark.parametrize("generation", ON_ARGON)
def test_every_generation_comes_online_and_stays_so(generation: str) -> None:
    world = online_world(built_in(event_interval_s=5.0), generation=generation)
    world.run(120.0)
    assert world.ends == []
    assert world.device.state is State.ONLINE


def test_firmware_of_1_5_says_its_events_then_subscribes_and_asks_the_time_last() -> None:
    assert names(online_world(generation="1.5")) == [
        b"h",
        b"E/spark/hardware/max_binary",
        b"E/particle/device/updates/enabled",
        b"E/particle/device/updates/forced",
        b"e/spark",
        b"e/particle",
        b"e/fleet/",
        b"t",
    ]


def test_firmware_of_0_7_knows_one_system_prefix_and_no_update_events() -> None:
    world = online_world(platform="electron", generation="0.7")
    assert names(world) == [b"h", b"e/spark", b"e/fleet/", b"t"]


@pytest.mark.parametrize("generation", ["3.0", "3.3", "5.4"])
def test_from_3_on_no_limits_of_updates_are_told(generation: str) -> None:
    said = names(online_world(generation=generation))
    assert said[0:2] == [b"h", b"d"]
    assert not any(b"hardware" in name for name in said)
    assert said.index(b"t") > said.index(b"E/particle/device/updates/forced")


def test_the_newest_asks_the_time_before_its_events() -> None:
    said = names(online_world())
    assert said.index(b"t") < said.index(b"E/particle/device/updates/enabled")


@pytest.mark.parametrize(
    ("generation", "has_qualifier"), [("2.3", True), ("5.4", True), ("6.2", False)]
)
def test_subscriptions_are_to_own_events_before_6_2(generation: str, has_qualifier: bool) -> None:
    world = online_world(generation=generation)
    subscriptions = [m for m in world.cloud.messages() if m.options[:1] == ((coap.URI_PATH, b"e"),)]
    assert len(subscriptions) == 3
    for message in subscriptions:
        assert ((coap.URI_QUERY, b"u") in message.options) is has_qualifier


@pytest.mark.parametrize("generation", ["2.3", "3.0"])
def test_describes_before_3_3_are_json_without_a_token(generation: str) -> None:
    world = online_world(generation=generation)
    posts = [m for m in world.cloud.messages() if m.options[:1] == ((coap.URI_PATH, b"d"),)]
    assert [post.token for post in posts] == [b"", b""]
    (system,) = parts_of(posts[0], SYSTEM)
    assert isinstance(system, SystemDescribe)
    assert system.platform_id == 12
    assert system.system_version == GENERATIONS[generation].system_version
    (application,) = parts_of(posts[1], APPLICATION)
    assert isinstance(application, ApplicationDescribe)


@pytest.mark.parametrize(("generation", "first"), [("5.4", b"{"), ("6.2", b"\x0a")])
def test_the_system_describe_is_protobuf_from_5_5_on(generation: str, first: bytes) -> None:
    world = online_world(generation=generation)
    post = next(m for m in world.cloud.messages() if m.options[:1] == ((coap.URI_PATH, b"d"),))
    assert post.payload.startswith(first)
    assert (coap.find_option(post, coap.CONTENT_FORMAT) is None) is (generation == "5.4")
    assert len(post.token) == 1


def test_a_cellular_board_tells_its_modem() -> None:
    for generation in ("5.4", "6.2"):
        world = online_world(platform="boron", generation=generation)
        post = next(m for m in world.cloud.messages() if m.options[:1] == ((coap.URI_PATH, b"d"),))
        (system,) = parts_of(post, SYSTEM)
        assert isinstance(system, SystemDescribe)
        assert system.imei is not None
        assert len(system.imei) == 15
        assert system.iccid is not None
        assert len(system.iccid) == 20


def test_a_describe_in_one_message_is_not_cut() -> None:
    functions = tuple(f"function_number_{number:03}" for number in range(30))
    world = online_world(built_in(event_interval_s=None, functions=functions), generation="3.0")
    posts = [m for m in world.cloud.messages() if m.options[:1] == ((coap.URI_PATH, b"d"),)]
    assert len(posts) == 2
    assert all(find_block(post, coap.BLOCK1) is None for post in posts)


def test_a_describe_without_room_in_one_message_is_refused() -> None:
    functions = tuple(f"function_number_{number:03}" for number in range(60))
    with pytest.raises(TooLongError, match=r"3\.0"):
        World(built_in(event_interval_s=None, functions=functions), generation="3.0")


@pytest.mark.parametrize("flags", [None, b"\x03", b"\x07", b"\xff"])
def test_firmware_of_1_5_answers_a_describe_at_once_with_both_parts(flags: bytes | None) -> None:
    world = online_world(generation="1.5")
    (answer,) = ask_describe(world, flags)
    assert (answer.type, answer.code, answer.token) == (coap.ACK, coap.CONTENT, TOKEN)
    system, application = parts_of(answer, SYSTEM | APPLICATION)
    assert isinstance(system, SystemDescribe)
    assert isinstance(application, ApplicationDescribe)
    assert application.functions == ("led", "echo")
    assert world.of(Answered) == [Answered("describe")]


def test_firmware_of_1_5_answers_single_parts_and_metrics() -> None:
    world = online_world(generation="1.5")
    assert isinstance(parts_of(ask_describe(world, b"\x01")[0], SYSTEM)[0], SystemDescribe)
    assert isinstance(
        parts_of(ask_describe(world, b"\x02")[0], APPLICATION)[0], ApplicationDescribe
    )
    assert ask_describe(world, b"\x04")[0].payload.startswith(b"\0")


def test_firmware_of_0_7_has_no_metrics() -> None:
    world = online_world(platform="electron", generation="0.7")
    assert len(parts_of(ask_describe(world, bytes((METRICS,)))[0], METRICS)) == 2


def test_firmware_of_2_3_acknowledges_and_then_answers_both_parts() -> None:
    world = online_world(generation="2.3")
    acknowledgement, answer = ask_describe(world, None)
    assert (acknowledgement.type, acknowledgement.code) == (coap.ACK, coap.EMPTY)
    assert (answer.type, answer.code, answer.token) == (coap.CON, coap.CONTENT, TOKEN)
    assert len(parts_of(answer, SYSTEM | APPLICATION)) == 2
    assert world.ends == []


def test_from_3_3_on_two_flags_end_the_connection() -> None:
    world = online_world(generation="3.3")
    (acknowledgement,) = ask_describe(world, b"\x03")
    assert acknowledgement.code == coap.EMPTY
    assert [reason for _, reason in world.ends] == [EndReason.PROTOCOL_ERROR]


def test_firmware_of_0_7_answers_a_variable_inside_the_acknowledgement() -> None:
    world = online_world(platform="electron", generation="0.7")
    (answer,) = world.ask(lambda id_: encode_variable_request(id_, TOKEN, "answer"))
    assert (answer.type, answer.code, answer.token) == (coap.ACK, coap.CONTENT, TOKEN)
    assert answer.payload == struct.pack(">i", 42)


def test_an_unknown_variable_costs_firmware_of_0_7_its_session() -> None:
    world = online_world(platform="electron", generation="0.7")
    assert world.ask(lambda id_: encode_variable_request(id_, TOKEN, "nosuch")) == []
    world.run(46.0)
    assert [reason for _, reason in world.ends] == [EndReason.UNKNOWN_MESSAGE]


def test_firmware_of_0_7_does_not_mind_a_missing_token() -> None:
    world = online_world(platform="electron", generation="0.7")
    options = ((coap.URI_PATH, b"f"), (coap.URI_PATH, b"led"), (coap.URI_QUERY, b"on"))
    (acknowledgement,) = world.ask(
        lambda id_: coap.encode(coap.Message(coap.CON, coap.POST, id_, b"", options))
    )
    assert acknowledgement.code == coap.EMPTY
    assert world.ends == []


@pytest.mark.parametrize(
    ("platform", "generation", "limit"),
    [("electron", "0.7", 63), ("argon", "2.3", 622), ("argon", "3.0", 1024)],
)
def test_a_longer_argument_is_refused_and_the_function_called_with_the_rest(
    platform: str, generation: str, limit: int
) -> None:
    world = online_world(platform=platform, generation=generation)
    acknowledgement, answer = world.ask(
        lambda id_: encode_function_call(id_, TOKEN, "echo", "x" * limit)
    )
    assert acknowledgement.code == coap.EMPTY
    assert answer.payload == struct.pack(">i", limit)
    if limit < 1024:
        refusal, answer = world.ask(
            lambda id_: encode_function_call(id_, TOKEN, "echo", "x" * (limit + 1))
        )
        assert (refusal.code, refusal.token) == (coap.BAD_REQUEST, b"")
        assert answer.payload == struct.pack(">i", limit)


@pytest.mark.parametrize(
    ("platform", "generation", "limit"),
    [("electron", "0.7", 255), ("argon", "1.5", 622), ("argon", "6.2", 1024)],
)
def test_events_are_cut_to_what_firmware_sends(platform: str, generation: str, limit: int) -> None:
    behaviour = built_in(event_interval_s=5.0, event_bytes=1024)
    world = online_world(behaviour, platform=platform, generation=generation)
    world.run(6.0)
    sent = [fact for fact in world.of(EventSent) if isinstance(fact, EventSent)]
    assert {len(fact.data) for fact in sent} == {limit}
    published = [m for m in world.cloud.messages() if m.payload == sent[0].data]
    assert len(published) == 1


@pytest.mark.parametrize("generation", ON_ARGON)
def test_a_resumed_session_looks_like_its_generation(generation: str) -> None:
    world = online_world(generation=generation)
    before = len(world.cloud.heard) + 1
    resume(world)
    world.run(30.0)
    resumed = world.cloud.heard[before:]
    assert world.handshakes == [False, True]
    assert resumed[0].outer_type == OUTER_TYPES[generation]
    assert resumed[0].message.code == coap.EMPTY
    assert {heard.port for heard in resumed} == {2}
    # The first answer ends it.
    expected = 23 if OUTER_TYPES[generation] == 254 else 25
    assert resumed[-1].outer_type == expected
    if OUTER_TYPES[generation] == 254:
        assert {id_.hex() for id_ in world.cloud.moved_ids} == {world.device.identity.device_id}


@pytest.mark.parametrize("generation", ["2.3", "3.0"])
def test_records_without_a_connection_id_are_ordinary(generation: str) -> None:
    world = online_world(built_in(event_interval_s=5.0), generation=generation)
    world.run(20.0)
    assert {heard.outer_type for heard in world.cloud.heard} == {23}


def test_a_session_without_a_connection_id_survives_a_restart_of_the_process() -> None:
    before = online_world(generation="3.0")
    stored = msgspec.json.decode(
        msgspec.json.encode(before.device.store(ahead=10)), type=type(before.device.store())
    )
    after = World(generation="3.0", cloud=before.cloud, stored=stored, now=before.now)
    after.run(1.0)
    assert after.handshakes == [True]
    assert after.cloud.heard[-1].outer_type in (23, 254)


def test_other_firmware_does_not_go_on_with_a_session() -> None:
    stored = online_world(generation="5.4").device.store()
    after = World(generation="6.2", stored=stored)
    after.run(1.0)
    assert after.handshakes == [False]


def test_firmware_of_1_5_says_everything_again_until_its_describe_was_asked_for() -> None:
    world = online_world(generation="1.5")
    assert resume(world)[0].options == ((coap.URI_PATH, b"h"),)
    ask_describe(world, None)
    said = resume(world)
    assert said[0].code == coap.EMPTY
    assert len(said) == 3
    assert world.handshakes == [False, True, True]


def test_a_describe_that_was_refused_is_said_again_before_3_3_only() -> None:
    def refuse_application(message: coap.Message) -> bytes | None:
        if (coap.URI_QUERY, b"\x02") in message.options:
            return coap.encode_ack(message.message_id, coap.BAD_REQUEST, message.token)
        return answer_everything(message)

    for generation, again in (("3.0", True), ("3.3", False)):
        world = World(cloud=Cloud(answer=refuse_application), generation=generation)
        world.run(1.0)
        said = resume(world)
        assert any(m.options[:1] == ((coap.URI_PATH, b"d"),) for m in said) is again


def test_a_describe_that_the_server_asked_for_is_not_said_again() -> None:
    def refuse_application(message: coap.Message) -> bytes | None:
        if message.code == coap.POST and (coap.URI_QUERY, b"\x02") in message.options:
            return coap.encode_ack(message.message_id, coap.BAD_REQUEST)
        return answer_everything(message)

    world = World(cloud=Cloud(answer=refuse_application), generation="3.0")
    world.run(1.0)
    ask_describe(world, b"\x02")
    assert not any(m.options[:1] == ((coap.URI_PATH, b"d"),) for m in resume(world))


def test_a_board_of_1_5_pings_after_30_seconds() -> None:
    world = online_world(generation="1.5")
    heard = len(world.cloud.heard)
    world.run(29.0)
    assert len(world.cloud.heard) == heard
    world.run(2.0)
    assert len(world.cloud.heard) == heard + 1


def test_the_reason_of_the_last_reset_is_told_once() -> None:
    for generation in ("1.5", "6.2"):
        world = World(generation=generation)
        world.device.last_reset = "power_down"
        world.run(1.0)
        assert names(world).count(b"E/spark/device/last_reset") == 1
        assert world.device.last_reset is None


def test_after_a_resumption_only_the_newest_tells_it() -> None:
    for generation, count in (("5.4", 0), ("6.2", 1)):
        world = online_world(generation=generation)
        world.device.last_reset = "user"
        resume(world)
        assert names(world).count(b"E/spark/device/last_reset") == count


def test_a_share_of_a_fleet_is_read() -> None:
    share = parse_share("argon:3.3:20")
    assert (share.board.platform.id, share.board.generation.name, share.count) == (12, "3.3", 20)
    assert parse_share("photon:7").board.generation.name == "2.3"
    assert find_board("gcc").transport is Transport.TCP


@pytest.mark.parametrize(
    "text",
    [
        "toaster:6.2:1",
        "photon:6.2:1",
        "p2:3.3:1",
        "argon:9:1",
        "argon",
        "argon:x",
        "argon:6.2:-1",
        "argon:6.2:1:1",
        "argon:6.2:²",
    ],
)
def test_a_share_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UnknownBoardError):
        parse_share(text)


def test_every_board_runs_every_generation_that_it_says() -> None:
    for platform in PLATFORMS.values():
        assert platform.generations
        for generation in platform.generations:
            assert find_board(platform.name, generation).generation.name == generation


def test_a_udp_device_needs_the_key_for_udp() -> None:
    world = World()
    with pytest.raises(TypeError):
        Device(
            Identity("tests", 0, Transport.TCP),
            PLATFORMS["photon"],
            built_in(),
            SERVER_KEY.public_key(),
            world,
            seed="tests",
        )
    assert world.of(HandshakeDone) == []
