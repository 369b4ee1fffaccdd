"""What ends a connection, and how the device comes back (device-protocol.md §1.4.6)."""

from collections.abc import Callable

import pytest

from cyan.sim.behaviour import built_in
from cyan.sim.facts import EndReason, EventSettled, Outcome, State
from cyan.wire import coap
from cyan.wire.messages import encode_event, encode_key_change
from tests.sim.world import Cloud, World, answer_everything, online_world

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
