"""What happens to a device in the field, and what becomes of its session, ids and events."""

import pytest

from cyan.sim.behaviour import Behaviour, Counter, Event, Variable, built_in
from cyan.sim.facts import EndReason, EventSent, EventSettled, FaultHappened, Outcome, State
from cyan.sim.template import parse_template
from cyan.wire import coap
from cyan.wire.messages import INT, encode_function_call, encode_variable_request
from tests.sim.field_world import FieldWorld

BUSY = built_in(event_interval_s=1.0)
MOVED, ORDINARY = 253, 25
TOKEN = b"\x2a"


def outcomes(world: FieldWorld) -> list[Outcome]:
    return [fact.outcome for fact in world.of(EventSettled) if isinstance(fact, EventSettled)]


def sent_data(world: FieldWorld) -> list[bytes]:
    return [fact.data for fact in world.of(EventSent) if isinstance(fact, EventSent)]


def test_without_faults_nothing_happens() -> None:
    world = FieldWorld(behaviour=BUSY)
    world.run(100.0)
    assert world.ends == []
    assert world.faults == []
    assert len(world.handshakes) == 1
    assert set(outcomes(world)) == {Outcome.ACKNOWLEDGED}


def test_a_move_changes_the_port_and_nothing_else() -> None:
    world = FieldWorld("move at_s=[10,20]", behaviour=BUSY)
    world.run(30.0)
    assert world.faults == [FaultHappened("move", 10.0, 0.0), FaultHappened("move", 20.0, 0.0)]
    assert world.port == 3
    assert world.ends == []
    assert {heard.port for heard in world.cloud.heard} == {1, 2, 3}
    assert {heard.outer_type for heard in world.cloud.heard} == {ORDINARY}


def test_a_sleeping_device_says_nothing_and_goes_on_with_its_session() -> None:
    world = FieldWorld("sleep at_s=[10] for_s=20", behaviour=BUSY)
    world.run(40.0)
    assert world.ends == [(10.0, EndReason.SLEEP)]
    assert not [at for at, _ in world.sent if 10.0 <= at < 30.0]
    assert world.handshakes == [(0.0, False), (30.0, True)]
    assert next(one for one in world.cloud.heard if one.at == 30.0).outer_type == MOVED
    assert world.device.state is State.ONLINE


def test_what_a_person_set_is_kept_over_sleep_and_forgotten_by_a_reboot() -> None:
    for fault, kept in (("sleep at_s=[10] for_s=5", True), ("reboot at_s=[10]", False)):
        world = FieldWorld(fault)
        world.run(5.0)
        world.ask(lambda id_: encode_function_call(id_, TOKEN, "echo", "set"))
        world.run(15.0)
        world.ask(lambda id_: encode_variable_request(id_, TOKEN, "greeting"))
        assert (world.cloud.heard[-1].message.payload == b"set") is kept


def test_a_reboot_keeps_the_session_and_counts_on() -> None:
    world = FieldWorld("reboot at_s=[10] for_s=3", behaviour=BUSY)
    world.run(30.0)
    assert world.ends == [(10.0, EndReason.REBOOT)]
    assert world.handshakes == [(0.0, False), (13.0, True)]
    ids = [heard.message.message_id for heard in world.cloud.heard]
    assert ids == list(range(1, len(ids) + 1))
    data = sent_data(world)
    assert [int(one.rpartition(b"-")[2]) for one in data] == list(range(1, len(data) + 1))


def test_a_device_tells_why_it_was_reset() -> None:
    world = FieldWorld("reboot at_s=[10]", "power-cut at_s=[20]")
    world.run(30.0)
    told = [heard.message.payload for heard in world.cloud.heard if b"/last_reset" in heard.data]
    assert told[-1] == b"power_down"


@pytest.mark.parametrize(
    ("session", "reason", "resumed"),
    [("kept", EndReason.POWER_CUT, True), ("lost", EndReason.MEMORY_LOST, False)],
)
def test_a_power_cut_may_cost_the_session(session: str, reason: EndReason, resumed: bool) -> None:
    world = FieldWorld(f"power-cut at_s=[10] for_s=2 session={session}", behaviour=BUSY)
    world.run(30.0)
    assert world.ends == [(10.0, reason)]
    assert world.handshakes == [(0.0, False), (12.0, resumed)]
    data = sent_data(world)
    assert len(set(data)) == len(data), "the counter of events counts on"


def test_what_was_unacknowledged_is_given_up_with_the_connection() -> None:
    world = FieldWorld("delay for_s=3 way=down", "reboot at_s=[20]", behaviour=BUSY)
    world.run(20.5)
    assert outcomes(world).count(Outcome.GIVEN_UP) == 3


def test_a_network_that_loses_everything_lets_nothing_through() -> None:
    world = FieldWorld("loss rate=1 way=up")
    world.run(100.0)
    assert world.sent == []
    up, down = world.device.ways
    assert up.lost > 4
    assert down.lost == 0


def test_many_reboots_and_power_cuts_never_use_a_nonce_or_an_event_twice() -> None:
    world = FieldWorld(
        "reboot every_s=9 for_s=[0,1]",
        "power-cut every_s=20 session=kept for_s=0",
        "power-cut every_s=60 for_s=0",
        "sleep every_s=15 for_s=[0,30]",
        "move every_s=5",
        "duplicate rate=0.3",
        "reorder rate=0.3 for_s=3",
        behaviour=built_in(event_interval_s=0.3),
    )
    world.run(2000.0)
    assert len(world.faults) > 400
    assert len(world.handshakes) > 200
    data = sent_data(world)
    assert len(data) > 1000
    assert len(set(data)) == len(data)


def test_what_comes_while_a_device_is_down_does_not_find_it() -> None:
    world = FieldWorld("sleep at_s=[10,15] for_s=10", "move at_s=[12,21]")
    world.run(40.0)
    assert [(fact.kind, fact.at_s) for fact in world.faults] == [("sleep", 10.0), ("move", 21.0)]


@pytest.mark.parametrize("kind", ["wrong-device-key", "wrong-server-key"])
def test_a_wrong_key_costs_the_session_until_it_is_right_again(kind: str) -> None:
    world = FieldWorld(f"{kind} at_s=[10] for_s=20", behaviour=BUSY)
    right = world.device.device.identity.public_key_pem
    world.run(20.0)
    wrong = world.device.device.identity.public_key_pem
    assert (wrong == right) is (kind == "wrong-server-key")
    if kind == "wrong-server-key":
        assert world.device.state is not State.ONLINE
        assert world.ends[1][1] is EndReason.HANDSHAKE_FAILED
    assert world.ends[0] == (10.0, EndReason.OTHER_KEYS)
    world.run(20.0)
    assert world.device.device.identity.public_key_pem == right
    assert world.handshakes[-1] == (30.0, False)
    assert world.device.state is State.ONLINE
    data = sent_data(world)
    assert len(set(data)) == len(data)


def test_a_wrong_key_without_an_end_stays_wrong_over_a_reboot() -> None:
    world = FieldWorld("wrong-server-key at_s=[0]", "reboot at_s=[50]")
    world.run(200.0)
    assert world.handshakes == []
    assert EndReason.HANDSHAKE_FAILED in {reason for at, reason in world.ends if at > 60.0}


@pytest.mark.parametrize(("fast", "pings_at"), [(0.0, 25.0), (0.25, 20.0), (-0.5, 50.0)])
def test_a_clock_that_is_not_right_moves_every_timer(fast: float, pings_at: float) -> None:
    world = FieldWorld(f"clock fast={fast}", start=1000.0)
    world.run(pings_at + 1.0)
    # device-protocol.md §2.7: a ping after 25 s of silence.
    at, last = world.cloud.heard[-1].at, world.cloud.heard[-1].message
    assert (last.type, last.code) == (coap.CON, coap.EMPTY)
    assert at == pytest.approx(1000.0 + pings_at)


def test_a_fast_clock_makes_events_come_sooner() -> None:
    slow, fast = (FieldWorld(f"clock fast={by}", behaviour=BUSY) for by in (-0.2, 0.6))
    slow.run(1000.0)
    fast.run(1000.0)
    assert len(sent_data(slow)) == pytest.approx(800, abs=2)
    assert len(sent_data(fast)) == pytest.approx(1600, abs=2)


def test_each_device_has_its_own_clock_within_the_range() -> None:
    counts = set()
    for number in range(5):
        world = FieldWorld("clock fast=[-0.1,0.1]", behaviour=BUSY, seed=f"seed {number}")
        world.run(1000.0)
        counts.add(len(sent_data(world)))
    assert len(counts) == 5
    assert all(900 <= count <= 1101 for count in counts)


def test_variables_in_an_event_are_those_of_its_time_however_late_it_is_made() -> None:
    behaviour = Behaviour(
        variables=(Variable("v", INT, Counter(0, 1, 1.0)),),
        events=(Event("e", parse_template("{v}", ("v",)), 10.0),),
    )
    on_time, late = FieldWorld(behaviour=behaviour), FieldWorld(behaviour=behaviour)
    on_time.run(60.0)
    late.run(1.0)
    for _ in range(10):
        # The owner looks only now and then.
        late.now += 5.9
        while late.device.deadline() <= late.now:
            late.device.on_deadline(late.now)
            late.settle()
    assert sent_data(late) == sent_data(on_time)


def test_nothing_happens_after_the_end() -> None:
    world = FieldWorld("reboot every_s=1", "delay for_s=1", behaviour=BUSY)
    world.run(10.0)
    world.device.stop(world.now)
    assert world.device.deadline() == float("inf")
    before = len(world.facts), len(world.sent)
    world.run(100.0)
    assert (len(world.facts), len(world.sent)) == before


def test_the_same_seed_gives_the_same_bytes_and_facts() -> None:
    faults = (
        "loss rate=0.1",
        "duplicate rate=0.1",
        "reorder rate=0.1",
        "delay for_s=[0.01,0.2]",
        "clock fast=[-0.1,0.1]",
        "reboot every_s=60",
        "sleep every_s=60 for_s=[1,50]",
        "move every_s=20",
    )
    first, second, other = (
        FieldWorld(*faults, behaviour=BUSY, seed=seed) for seed in ("one", "one", "two")
    )
    for world in (first, second, other):
        world.run(600.0)
    assert first.sent == second.sent
    assert first.facts == second.facts
    assert first.faults
    assert first.faults != other.faults
