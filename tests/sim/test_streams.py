"""Devices that connect by TCP (device-protocol.md §1.3)."""

import struct

import pytest

from cyan.sim.behaviour import Ack, Behaviour, Event, built_in
from cyan.sim.facts import (
    Answered,
    ClockSet,
    EndReason,
    EventReceived,
    EventSent,
    EventSettled,
    Outcome,
    State,
    StateChanged,
)
from cyan.sim.statistics import Statistics
from cyan.sim.template import parse_template
from cyan.wire import coap
from cyan.wire.blockwise import SZX_1024, find_block
from cyan.wire.messages import (
    APPLICATION,
    METRICS,
    SYSTEM,
    CloudHello,
    decode_server_request,
    encode_cloud_hello,
    encode_describe_request,
    encode_event,
    encode_function_call,
    encode_key_change,
    encode_signal,
    encode_variable_request,
)
from tests.sim.stream_world import (
    StreamCloud,
    StreamWorld,
    answer_everything,
    online_stream_world,
    server_key,
)
from tests.sim.world import UNIX_TIME_S
from tests.wire.vectors import coap_lines

TOKEN = b"\x2a"


def newest() -> StreamWorld:
    return online_stream_world(platform="gcc")


def test_messages_are_the_captured_ones() -> None:
    # The captured application subscribes to "test/" and "group/evt".
    behaviour = built_in(event_interval_s=None, subscriptions=("test/", "group/evt"))
    world = online_stream_world(behaviour, platform="gcc")
    captured = [line for line in coap_lines("tcp-full-session.log") if line.from_device][:10]
    first_id = captured[0].message_id
    said = world.cloud.messages()
    assert len(said) == len(captured)
    for message, line in zip(said, captured, strict=True):
        assert (message.type, message.code, message.options) == (line.type, line.code, line.options)
        assert len(message.token) == len(line.token)
        assert message.message_id - world.cloud.first_message_id == line.message_id - first_id
    assert said[0].payload == captured[0].payload


def test_the_handshake_tells_the_device_and_its_key() -> None:
    world = newest()
    (claim,) = world.cloud.claims
    assert claim.device_id.hex() == world.device.identity.device_id
    assert world.handshakes == 1
    assert world.opened == 1


def test_the_stream_may_come_byte_by_byte() -> None:
    world = StreamWorld(platform="gcc", piece_bytes=1)
    world.run(0.5)
    assert world.device.state is State.ONLINE


def test_each_message_is_one_write() -> None:
    world = newest()
    assert len(world.sent) == 1 + len(world.cloud.heard)


def test_the_time_is_taken() -> None:
    assert newest().of(ClockSet) == [ClockSet(UNIX_TIME_S)]


def test_without_a_cloud_hello_it_gives_up_after_4_seconds() -> None:
    def answer(message: coap.Message) -> bytes | None:
        is_hello = message.options == ((coap.URI_PATH, b"h"),)
        return None if is_hello else answer_everything(message)

    world = StreamWorld(platform="gcc", cloud=StreamCloud(answer=answer))
    world.run(4.5)
    assert world.ends == [(4.0, EndReason.MESSAGE_TIMEOUT)]
    assert len(world.cloud.heard) == 1
    world.run(1.0)
    assert world.opened == 2


def test_a_confirmable_cloud_hello_is_acknowledged() -> None:
    def answer(message: coap.Message) -> bytes | None:
        if message.options == ((coap.URI_PATH, b"h"),):
            return encode_cloud_hello(7, confirmable=True)
        return answer_everything(message)

    world = StreamWorld(platform="gcc", cloud=StreamCloud(answer=answer))
    world.run(0.5)
    assert world.device.state is State.ONLINE
    assert world.cloud.messages()[1] == coap.Message(coap.ACK, coap.EMPTY, 7)


def test_a_silent_server_is_left_after_20_seconds_and_tried_again() -> None:
    world = StreamWorld(cloud=StreamCloud(is_alive=False))
    world.run(130.0)
    assert world.ends[:2] == [
        (20.0, EndReason.HANDSHAKE_FAILED),
        (41.0, EndReason.HANDSHAKE_FAILED),
    ]
    # 1 s after each of the first five failures, then 2 s (device-protocol.md §1.4.7).
    assert world.opened == 7
    assert world.closed == 6


def test_refused_connections_are_tried_again_with_a_back_off() -> None:
    world = StreamWorld()
    world.is_refused = True
    world.run(5.5)
    assert [at for at, _ in world.ends] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    world.run(4.0)
    assert [at for at, _ in world.ends][6:] == [7.0, 9.0]


def test_a_server_that_does_not_prove_its_key_is_left() -> None:
    world = StreamWorld()
    world.run(0.0)
    other = StreamWorld(index=1, cloud=StreamCloud())
    other.cloud.on_bytes = lambda data, now: bytes(384)  # type: ignore[method-assign]
    other.run(0.5)
    assert [reason for _, reason in other.ends] == [EndReason.HANDSHAKE_FAILED]
    assert world.ends == []


def test_an_idle_device_pings_and_gives_up_without_an_answer() -> None:
    world = newest()
    heard = len(world.cloud.heard)
    world.run(51.0)
    assert [message.code for message in world.cloud.messages()[heard:]] == [coap.EMPTY] * 2
    assert world.ends == []
    world.cloud.is_alive = False
    world.run(34.0)
    # device-protocol.md §1.3.3: a ping 25 s after the last message, 10 s for an answer; the last
    # came 50 s after the start.
    assert world.ends == [(85.0, EndReason.PING_TIMEOUT)]
    assert world.device.state is State.OFFLINE
    assert not world.is_open


def test_old_firmware_pings_after_15_seconds() -> None:
    world = online_stream_world(generation="2.3")
    heard = len(world.cloud.heard)
    world.run(16.0)
    assert len(world.cloud.heard) == heard + 1


def test_it_comes_back_a_second_after_the_server_hung_up() -> None:
    world = newest()
    tokens = [message.token for message in world.cloud.messages() if message.token]
    world.hang_up()
    assert world.ends == [(world.now, EndReason.CLOSED)]
    ended_at = world.now
    world.run(1.5)
    assert world.device.state is State.ONLINE
    assert world.handshakes == 2
    again = [at for at, fact in world.facts if isinstance(fact, StateChanged) and at > ended_at]
    assert again[0] == ended_at + 1.0
    # Message ids begin anew with the session, tokens go on (device-protocol.md §2.1).
    hellos = [m for m in world.cloud.messages() if m.options == ((coap.URI_PATH, b"h"),)]
    assert hellos[1].message_id == world.cloud.first_message_id
    later = [m.token for m in world.cloud.messages() if m.token][len(tokens) :]
    assert later[0] == bytes((tokens[-1][0] + 1,))


def test_a_lost_connection_counts_as_a_lost_session() -> None:
    world = newest()
    world.cloud.is_alive = False
    world.run(36.0)
    statistics = Statistics()
    for _, fact in world.facts:
        statistics.count(fact)
    assert (statistics.reconnects, statistics.lost_sessions) == (1, 1)
    assert world.device.session is None
    assert world.device.store().session is None


def test_a_stream_out_of_step_ends_the_connection() -> None:
    world = newest()
    world.deliver(b"\x00\x07garbage")
    assert [reason for _, reason in world.ends] == [EndReason.PROTOCOL_ERROR]


def test_what_is_no_message_changes_nothing() -> None:
    world = newest()
    world.deliver(world.cloud.seal(b"\xc0garbage"))
    assert world.ends == []


@pytest.mark.parametrize("generation", ["1.5", "2.3"])
def test_a_function_is_answered_without_a_wish_for_an_acknowledgement(generation: str) -> None:
    world = online_stream_world(generation=generation)
    acknowledgement, answer = world.ask(lambda id_: encode_function_call(id_, TOKEN, "led", "on"))
    assert acknowledgement == coap.Message(coap.ACK, coap.EMPTY, world.cloud.last_request_id)
    assert (answer.type, answer.code, answer.token) == (coap.NON, coap.CHANGED, TOKEN)
    assert answer.payload == struct.pack(">i", 1)
    assert world.device.outstanding == 0


def test_a_variable_is_answered_in_two_messages_and_an_unknown_one_not_found() -> None:
    world = newest()
    acknowledgement, answer = world.ask(lambda id_: encode_variable_request(id_, TOKEN, "answer"))
    assert acknowledgement == coap.Message(coap.ACK, coap.EMPTY, world.cloud.last_request_id)
    assert (answer.type, answer.code, answer.payload) == (
        coap.NON,
        coap.CONTENT,
        struct.pack(">i", 42),
    )
    _, refusal = world.ask(lambda id_: encode_variable_request(id_, TOKEN, "nosuch"))
    assert (refusal.type, refusal.code) == (coap.NON, coap.NOT_FOUND)


def test_a_describe_is_answered_confirmably() -> None:
    world = newest()
    for flags in (SYSTEM, METRICS):
        _, answer = world.ask(
            lambda id_, flags=flags: encode_describe_request(id_, TOKEN, flags)  # type: ignore[misc]
        )
        assert (answer.type, answer.code, answer.token) == (coap.CON, coap.CONTENT, TOKEN)


def test_long_describes_go_in_blocks_both_ways() -> None:
    functions = tuple(f"function_number_{number:03}" for number in range(100))
    world = online_stream_world(
        built_in(event_interval_s=None, functions=functions), platform="gcc"
    )
    posted = [m for m in world.cloud.messages() if find_block(m, coap.BLOCK1) is not None]
    assert [message.type for message in posted] == [coap.CON] * 3
    fetched = b""
    for number in range(3):
        _, answer = world.ask(
            lambda id_, number=number: encode_describe_request(  # type: ignore[misc]
                id_, TOKEN, APPLICATION, block_number=number, szx=SZX_1024
            )
        )
        assert answer.type == coap.CON
        fetched += answer.payload
    assert fetched == b"".join(message.payload for message in posted)


def test_pings_signals_and_key_changes_are_acknowledged_under_fresh_ids() -> None:
    world = newest()
    last_id = world.cloud.messages()[-1].message_id
    (ping,) = world.ask(coap.encode_ping)
    (signal,) = world.ask(lambda id_: encode_signal(id_, TOKEN, on=True))
    (key_change,) = world.ask(encode_key_change)
    assert ping == coap.Message(coap.ACK, coap.EMPTY, last_id + 1)
    assert signal == coap.Message(coap.ACK, coap.CHANGED, last_id + 2, TOKEN)
    assert key_change == coap.Message(coap.ACK, coap.EMPTY, last_id + 3)
    assert world.of(Answered) == [Answered("signal")]


def test_events_of_the_server_are_not_acknowledged() -> None:
    world = newest()
    request = world.ask(lambda id_: encode_event(id_, "fleet/x", b"1", confirmable=True))
    assert request == []
    assert world.of(EventReceived) == [EventReceived("fleet/x", b"1")]


def test_a_repeated_request_is_done_again() -> None:
    world = newest()
    request = encode_function_call(9, TOKEN, "led", "on")
    world.deliver(world.cloud.seal(request))
    world.deliver(world.cloud.seal(request))
    assert world.of(Answered) == [Answered("function", "led")] * 2


@pytest.mark.parametrize(
    "message",
    [
        coap.encode(coap.Message(coap.CON, coap.POST, 7, b"\x01", ((coap.URI_PATH, b"Z"),))),
        coap.encode_reset(7),
        encode_key_change(7),
    ],
    ids=["unknown path", "reset", "key change"],
)
def test_what_ends_a_dtls_session_means_nothing_here(message: bytes) -> None:
    world = newest()
    world.deliver(world.cloud.seal(message))
    world.run(120.0)
    assert world.ends == []
    assert world.handshakes == 1


def test_a_request_without_a_token_ends_the_connection() -> None:
    options = ((coap.URI_PATH, b"f"), (coap.URI_PATH, b"led"), (coap.URI_QUERY, b"on"))
    world = newest()
    world.deliver(world.cloud.seal(coap.encode(coap.Message(coap.CON, coap.POST, 7, b"", options))))
    assert [reason for _, reason in world.ends] == [EndReason.PROTOCOL_ERROR]
    world.run(2.0)
    assert world.device.state is State.ONLINE


def test_an_event_that_is_not_acknowledged_fails_after_20_seconds_and_costs_nothing() -> None:
    world = online_stream_world(built_in(event_interval_s=5.0), platform="gcc")
    world.cloud.answer = lambda message: (
        None if b"heartbeat" in str(message.options).encode() else answer_everything(message)
    )
    world.run(60.0)
    assert world.ends == []
    sent = [at for at, fact in world.facts if isinstance(fact, EventSent)]
    settled = [(at, fact) for at, fact in world.facts if isinstance(fact, EventSettled)]
    assert [at for at, _ in settled] == [pytest.approx(at + 20.0) for at in sent[: len(settled)]]
    assert {fact.outcome for _, fact in settled} == {Outcome.GIVEN_UP}
    assert world.device.retransmissions == 0


def test_an_acknowledged_event_is_settled() -> None:
    world = online_stream_world(built_in(event_interval_s=5.0), platform="gcc")
    world.run(21.0)
    outcomes = {fact.outcome for fact in world.of(EventSettled) if isinstance(fact, EventSettled)}
    assert outcomes == {Outcome.ACKNOWLEDGED}
    assert len(world.of(EventSettled)) == len(world.of(EventSent)) >= 4


def test_by_default_events_of_the_application_want_no_acknowledgement() -> None:
    event = Event("beat", parse_template("x", ()), 5.0, ack=Ack.DEFAULT)
    world = online_stream_world(Behaviour(events=(event,)), platform="gcc")
    world.run(11.0)
    types = {message.type for message in world.cloud.messages() if message.payload == b"x"}
    assert types == {coap.NON}
    assert world.of(EventSettled) == []


def test_goodbye_wants_no_response() -> None:
    world = newest()
    world.device.say_goodbye(world.now)
    # device-protocol.md §3.9.
    assert world.cloud.heard[-1][1][4:] == bytes.fromhex("b178d0eaff0102")
    world.device.stop(world.now)
    assert not world.is_open


def test_the_cloud_hello_of_the_tests_is_the_one_that_firmware_reads() -> None:
    raw = coap.decode(encode_cloud_hello(5, confirmable=False))
    assert decode_server_request(raw) == CloudHello()
    assert server_key().key_size == 2048
