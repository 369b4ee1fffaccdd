"""What ends a connection, and how the device comes back (device-protocol.md §1.4.6)."""

from collections.abc import Callable

import pytest

from cyan.sim.behaviour import built_in
from cyan.sim.facts import ClockSet, EndReason, EventSettled, Outcome, State
from cyan.wire import coap
from cyan.wire.messages import encode_event, encode_key_change, encode_variable_request
from tests.sim.world import UNIX_TIME_S, Cloud, World, answer_everything, online_world
from tests.wire.vectors import coap_lines

MOVED = 253
FUNCTION_WITHOUT_TOKEN = coap.Message(
    coap.CON, coap.POST, 7, b"", ((coap.URI_PATH, b"f"), (coap.URI_PATH, b"led"), (15, b"on"))
)
DESCRIBE_WITH_TWO_FLAGS = coap.Message(
    coap.CON, coap.GET, 7, b"\x01", ((coap.URI_PATH, b"d"), (coap.URI_QUERY, b"\x03"))
)


@pytest.mark.parametrize(
    ("reason", "make"),
    [
        (EndReason.ALERT, lambda cloud: cloud.close_notify()),
        (EndReason.RESET, lambda cloud: cloud.seal(coap.encode_reset(9999))),
        (EndReason.KEY_CHANGE, lambda cloud: cloud.request(encode_key_change)),
    ],
)
def test_the_server_can_make_it_shake_hands_at_once(
    reason: EndReason, make: Callable[[Cloud], bytes]
) -> None:
    world = online_world()
    world.deliver(make(world.cloud))
    world.run(0.1)
    assert [ended for _, ended in world.ends] == [reason]
    assert world.handshakes == [False, False]
    assert world.device.state is State.ONLINE
    assert world.port == 2


@pytest.mark.parametrize("message", [FUNCTION_WITHOUT_TOKEN, DESCRIBE_WITH_TWO_FLAGS])
def test_a_protocol_error_keeps_the_session(message: coap.Message) -> None:
    world = online_world()
    world.deliver(world.cloud.seal(coap.encode(message)))
    before = len(world.cloud.heard)
    world.run(0.1)
    assert [reason for _, reason in world.ends] == [EndReason.PROTOCOL_ERROR]
    assert world.handshakes == [False, True]
    assert world.cloud.heard[before].outer_type == MOVED


def test_a_reset_event_restarts_the_connection_and_keeps_the_session() -> None:
    world = online_world()
    (acknowledgement,) = world.ask(
        lambda id_: encode_event(id_, "spark/device/reset", b"reboot", confirmable=True)
    )
    assert acknowledgement.type == coap.ACK
    world.run(2.0)
    assert [reason for _, reason in world.ends] == [EndReason.RESTART]
    assert world.handshakes == [False, True]


@pytest.mark.parametrize(
    "message",
    [
        coap.Message(coap.CON, coap.POST, 7, b"\x01", ((coap.URI_PATH, b"Z"),)),
        coap.Message(coap.CON, coap.CONTENT, 7, b"\x01", (), b"\0\0\0\0"),
        coap.Message(coap.CON, coap.PUT, 7, b"", ((coap.URI_PATH, b"k"), (15, b"\x05"))),
    ],
    ids=["unknown path", "separate time answer", "key change with another value"],
)
def test_an_unknown_message_kills_the_session_after_45_seconds(message: coap.Message) -> None:
    world = online_world()
    world.deliver(world.cloud.seal(coap.encode(message)))
    start = world.now
    world.run(44.0)
    assert world.ends == []
    world.run(2.0)
    assert world.ends == [(start + 45.0, EndReason.UNKNOWN_MESSAGE)]
    assert world.handshakes == [False, False]


def test_an_unknown_message_that_wants_no_acknowledgement_is_ignored() -> None:
    world = online_world()
    message = coap.Message(coap.NON, coap.POST, 7, b"\x01", ((coap.URI_PATH, b"Z"),))
    world.deliver(world.cloud.seal(coap.encode(message)))
    world.run(60.0)
    assert world.ends == []


def test_garbage_and_forgeries_change_nothing() -> None:
    world = online_world()
    genuine = world.cloud.close_notify()
    forged = genuine[:-1] + bytes((genuine[-1] ^ 1,))
    plaintext_alert = bytes.fromhex("15fefd000000000000000000020228")
    for datagram in (b"", b"\0", b"\xff" * 40, forged, plaintext_alert):
        world.deliver(datagram)
    world.deliver(world.cloud.seal(b"\xc0garbage"))
    world.run(60.0)
    assert world.ends == []


def test_a_repeated_record_is_not_taken_twice() -> None:
    world = online_world()
    datagram = world.cloud.request(coap.encode_ping)
    world.deliver(datagram)
    before = len(world.cloud.heard)
    world.deliver(datagram)
    assert len(world.cloud.heard) == before


def test_a_reset_of_the_resumption_waits_a_second() -> None:
    world = online_world()
    world.cloud.is_alive = False
    world.run(55.0)
    world.cloud.is_alive = True
    world.cloud.answer = lambda message: coap.encode_reset(message.message_id)
    world.run(1.0)
    world.cloud.answer = answer_everything
    at, reason = world.ends[-1]
    assert reason is EndReason.RESET
    world.run(2.0)
    # session-behaviour.md: 1 s.
    assert world.cloud.hellos[-1][0] - at == pytest.approx(1.0)
    assert world.handshakes == [False, True, False]


def test_a_refused_event_fails_and_costs_nothing() -> None:
    world = online_world(built_in(event_interval_s=5.0))
    world.cloud.answer = lambda message: coap.encode_ack(
        message.message_id, coap.SERVICE_UNAVAILABLE
    )
    world.run(12.0)
    settled = world.of(EventSettled)
    assert settled
    assert all(
        isinstance(fact, EventSettled) and fact.outcome is Outcome.REFUSED for fact in settled
    )
    assert world.ends == []


def test_refused_subscriptions_are_said_again_on_the_next_resumption() -> None:
    def refuse_subscriptions(message: coap.Message) -> bytes | None:
        if message.options and message.options[0] == (coap.URI_PATH, b"e"):
            return coap.encode_ack(message.message_id, coap.FORBIDDEN)
        return answer_everything(message)

    world = World(built_in(event_interval_s=None), cloud=Cloud(answer=refuse_subscriptions))
    world.run(1.0)
    before = len(world.cloud.heard)
    world.deliver(world.cloud.seal(coap.encode(FUNCTION_WITHOUT_TOKEN)))
    world.run(1.0)
    again = [message for message in world.cloud.messages()[before:] if message.code == coap.GET]
    assert len(again) == 3


def test_goodbye_tells_that_the_user_did_it() -> None:
    world = online_world()
    world.device.say_goodbye(world.now)
    world.run(0.0)
    # device-protocol.md §3.9.
    assert world.cloud.heard[-1].data[4:] == bytes.fromhex("b178ff0102")
    assert world.device.outstanding == 0
    world.device.stop(world.now)
    world.run(300.0)
    assert world.device.state is State.OFFLINE
    assert world.cloud.heard[-1].data[4:] == bytes.fromhex("b178ff0102")


def test_a_device_goes_on_with_what_was_written_down() -> None:
    before = online_world(built_in(event_interval_s=5.0))
    before.run(20.0)
    stored = before.device.store(ahead=1000)
    after = World(built_in(event_interval_s=5.0), cloud=before.cloud, stored=stored, now=before.now)
    last = before.cloud.heard[-1].message.message_id
    after.run(20.0)
    assert after.handshakes == [True]
    assert after.cloud.handshakes == 1
    assert after.cloud.heard[-1].message.message_id > last + 1000
    names = [h.data for h in after.cloud.heard if b"heartbeat" in h.data]
    assert len(set(names)) == len(names)


def test_a_session_made_with_other_keys_is_not_used() -> None:
    stored = online_world().device.store()
    other = World(built_in(event_interval_s=None), stored=stored, index=1)
    other.run(1.0)
    assert other.handshakes == [False]


def test_any_content_is_taken_for_the_time() -> None:
    # device-protocol.md §2.1: a 2.05 that answers no describe, whatever it was meant for.
    world = online_world(built_in(event_interval_s=5.0))
    assert world.of(ClockSet) == [ClockSet(UNIX_TIME_S)]
    world.cloud.answer = lambda message: coap.encode_ack(
        message.message_id, coap.CONTENT, b"\x01", b"\x00\x00\x00\x2a"
    )
    world.run(11.0)
    taken = world.of(ClockSet)[1:]
    assert taken
    assert set(taken) == {ClockSet(42)}
    outcomes = {fact.outcome for fact in world.of(EventSettled) if isinstance(fact, EventSettled)}
    assert outcomes == {Outcome.ACKNOWLEDGED}
    world.deliver(world.cloud.seal(coap.encode_ack(9999, coap.CONTENT, b"\x01", b"\0\0\0\x2b")))
    separate = coap.Message(coap.NON, coap.CONTENT, 7, b"\x01", (), b"\0\0\0\x2c")
    world.deliver(world.cloud.seal(coap.encode(separate)))
    # An acknowledgement of nothing is swallowed.
    assert world.of(ClockSet)[1 + len(taken) :] == [ClockSet(44)]


def test_an_answered_describe_is_no_time() -> None:
    def answer(message: coap.Message) -> bytes | None:
        if message.options[:1] == ((coap.URI_PATH, b"d"),):
            return coap.encode_ack(message.message_id, coap.CONTENT, message.token, b"\0\0\0\1")
        return answer_everything(message)

    world = World(cloud=Cloud(answer=answer))
    world.run(1.0)
    assert world.of(ClockSet) == [ClockSet(UNIX_TIME_S)]


def reset(world: World, how: bytes) -> list[coap.Message]:
    """What the device says from such a reset until it is online again."""
    before = len(world.cloud.heard) + 1
    world.ask(lambda id_: encode_event(id_, "spark/device/reset", how, confirmable=True))
    world.run(2.0)
    assert world.device.state is State.ONLINE
    return world.cloud.messages()[before:]


def test_in_safe_mode_a_device_says_so_and_has_no_application() -> None:
    world = online_world()
    said = reset(world, b"safe mode")
    # As in udp-safe-mode.log, but for Hello: the session goes on.
    captured = [line for line in coap_lines("udp-safe-mode.log") if line.from_device]
    assert [(m.options, m.payload) for m in said[3:]] == [
        (line.options, line.payload) for line in captured[4:9]
    ]
    assert [m.payload for m in said[:3]] == [b"", b"", b"safe_mode"]
    assert said[1].options[1] == (coap.URI_PATH, b"spark/device/safemode")
    world.ask(lambda id_: encode_variable_request(id_, b"\x01", "answer"))
    assert world.cloud.heard[-1].message.code == coap.NOT_FOUND


def test_a_reboot_ends_safe_mode() -> None:
    world = online_world()
    reset(world, b"safe mode")
    said = reset(world, b"reboot")
    assert not world.device.is_in_safe_mode
    assert b"user" in [m.payload for m in said]
    assert any(m.payload.startswith(b'{"f":["led"') for m in said)
    world.ask(lambda id_: encode_variable_request(id_, b"\x01", "answer"))
    assert world.cloud.heard[-1].message.code == coap.CONTENT


def test_a_reset_of_the_network_is_no_boot() -> None:
    world = online_world()
    said = reset(world, b"network")
    assert [m.code for m in said] == [coap.EMPTY, coap.POST, coap.POST]
