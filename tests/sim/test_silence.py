"""A server that is away: what session-behaviour.md measured on real firmware."""

import itertools

import pytest

from cyan.sim.behaviour import built_in
from cyan.sim.facts import (
    EndReason,
    EventSent,
    EventSettled,
    EventSkipped,
    Outcome,
    State,
    StateChanged,
)
from cyan.wire import coap
from tests.sim.world import answer_everything, online_world

EVENT_EVERY_5_S = built_in(event_interval_s=5.0)
MOVED, ORDINARY = 253, 25


@pytest.mark.parametrize("outage_s", [8.0, 10.0, 20.0, 27.0])
@pytest.mark.parametrize("platform", ["argon", "boron"])
def test_a_short_outage_costs_nothing(outage_s: float, platform: str) -> None:
    world = online_world(EVENT_EVERY_5_S, platform=platform)
    world.run(12.0)
    world.cloud.is_alive = False
    world.run(outage_s)
    world.cloud.is_alive = True
    world.run(60.0)
    assert world.ends == []
    assert world.handshakes == [False]
    assert all(heard.outer_type == ORDINARY for heard in world.cloud.heard)
    settled = world.of(EventSettled)
    assert all(
        isinstance(fact, EventSettled) and fact.outcome is Outcome.ACKNOWLEDGED for fact in settled
    )
    assert len(settled) == len(world.of(EventSent))


def test_five_kills_in_a_row_cost_nothing() -> None:
    world = online_world(EVENT_EVERY_5_S)
    for _ in range(5):
        world.cloud.is_alive = False
        world.run(8.0)
        world.cloud.is_alive = True
        world.run(12.0)
    assert world.handshakes == [False]
    assert world.device.state is State.ONLINE


def test_a_message_is_sent_four_times_at_stretched_intervals() -> None:
    world = online_world()
    world.cloud.answer = lambda message: None
    device = world.device
    sent_before = len(world.sent)
    device.say_goodbye(world.now)
    start = world.now
    world.run(59.0)
    again = [heard.at - start for heard in world.cloud.heard if heard.data[5:6] == b"x"]
    assert len(again) == 4
    first, second, third = again[1:]
    # device-protocol.md §2.2: 4, 8, 16 s, each longer by a random part of at most a half.
    assert 4.0 <= first <= 6.0
    assert 8.0 <= second - first <= 12.0
    assert 16.0 <= third - second <= 24.0
    records = [record for _, record in world.sent[sent_before:]]
    assert len(set(records)) == len(records)


def test_one_event_without_an_answer_costs_the_session() -> None:
    world = online_world(EVENT_EVERY_5_S)

    def ignore_the_first_event(message: coap.Message) -> bytes | None:
        return None if message.payload.endswith(b"-1") else answer_everything(message)

    world.cloud.answer = ignore_the_first_event
    world.run(110.0)
    ((at, reason),) = world.ends
    sent_at = next(at for at, fact in world.facts if isinstance(fact, EventSent))
    assert reason is EndReason.MESSAGE_TIMEOUT
    assert 60.0 <= at - sent_at <= 90.0
    # At once, and ids go on counting.
    assert world.cloud.hellos[-1][0] - at < 0.1
    assert world.handshakes == [False, False]
    hellos = [m for m in world.cloud.messages() if m.options == ((coap.URI_PATH, b"h"),)]
    assert hellos[1].message_id > 20


def test_a_silent_server_is_resumed_three_times_before_a_handshake() -> None:
    world = online_world()
    world.cloud.is_alive = False
    start = world.now
    world.run(230.0)
    starts = [
        round(at - start)
        for at, fact in world.facts
        if isinstance(fact, StateChanged) and fact.state is State.CONNECTING and at > start
    ]
    # device-protocol.md §1.4.6: every 56 s, the handshake 224 s after the loss.
    assert starts == [56, 112, 168, 224]
    assert round(world.cloud.hellos[2][0] - start) == 224
    assert [reason for _, reason in world.ends[:3]] == [EndReason.PING_TIMEOUT] * 3


def test_a_cellular_device_gives_up_with_its_first_message() -> None:
    world = online_world(EVENT_EVERY_5_S, platform="boron")
    world.cloud.is_alive = False
    start = world.now
    world.run(100.0)
    at, reason = world.ends[0]
    assert reason is EndReason.MESSAGE_TIMEOUT
    assert 60.0 <= at - start <= 95.0
    assert world.cloud.hellos[-1][0] >= at


def test_an_answered_resumption_says_no_more_than_it_must() -> None:
    world = online_world()
    world.cloud.is_alive = False
    world.run(50.0)
    world.cloud.is_alive = True
    before = len(world.cloud.heard)
    ids = [heard.message.message_id for heard in world.cloud.heard]
    world.run(10.0)
    resumed = world.cloud.heard[before:]
    # As in udp-resume-keys.log: an empty message and the two events, from another port. A ping
    # that was unanswered before is not heard of again.
    assert [heard.message.code for heard in resumed] == [coap.EMPTY, coap.POST, coap.POST]
    assert resumed[0].outer_type == MOVED
    assert {heard.port for heard in resumed} == {2}
    assert min(heard.message.message_id for heard in resumed) > max(ids)
    assert world.handshakes == [False, True]
    assert world.cloud.handshakes == 1
    assert world.device.state is State.ONLINE


def test_the_outer_type_is_ordinary_again_after_the_first_answer() -> None:
    world = online_world(EVENT_EVERY_5_S)
    world.cloud.is_alive = False
    world.run(57.0)
    world.cloud.is_alive = True
    world.run(20.0)
    outer = [heard.outer_type for heard in world.cloud.heard]
    assert outer.count(MOVED) >= 1
    assert outer[-1] == ORDINARY
    assert world.handshakes == [False, True]


def test_an_idle_device_pings_after_its_keep_alive() -> None:
    wifi, cellular = online_world(platform="argon"), online_world(platform="boron")
    for world in (wifi, cellular):
        world.cloud.heard.clear()
        world.run(101.0)
    assert [heard.message.code for heard in wifi.cloud.heard] == [coap.EMPTY] * 4
    assert cellular.cloud.heard == []
    cellular.run(23 * 60.0)
    assert len(cellular.cloud.heard) == 1
    assert wifi.ends == cellular.ends == []


def test_an_application_waits_when_too_many_events_are_unanswered() -> None:
    world = online_world(built_in(event_interval_s=0.5))
    world.cloud.is_alive = False
    world.run(20.0)
    assert world.of(EventSkipped)
    assert world.device.outstanding <= 17
    world.cloud.is_alive = True
    world.run(40.0)
    assert world.ends == []
    sent, settled = world.of(EventSent), world.of(EventSettled)
    assert len(settled) in (len(sent), len(sent) - 1)


def test_events_are_not_made_up_for_after_an_absence() -> None:
    world = online_world(EVENT_EVERY_5_S)
    world.cloud.is_alive = False
    world.run(230.0)
    world.cloud.is_alive = True
    world.run(60.0)
    came_back = max(at for at, fact in world.facts if getattr(fact, "state", None) is State.ONLINE)
    since = [at for at, fact in world.facts if isinstance(fact, EventSent) and at > came_back]
    assert all(later - earlier > 4.9 for earlier, later in itertools.pairwise(since))
