"""What bad networks and mishaps do to a device that connects by TCP."""

from itertools import pairwise

import pytest

from cyan.sim.behaviour import Behaviour, built_in
from cyan.sim.boards import find_board
from cyan.sim.chance import Chance
from cyan.sim.facts import EndReason, EventSent, EventSettled, HandshakeDone, Outcome, State
from cyan.sim.faults import Quality, combine_faults, parse_fault
from cyan.sim.field import FieldDevice
from cyan.sim.identity import Identity
from cyan.sim.network import MAX_UNDER_WAY, StreamWay
from cyan.sim.plan import maker
from cyan.sim.platforms import Transport
from cyan.sim.servers import Server
from cyan.wire.messages.updates_legacy import decode_update_result
from tests.sim.stream_world import StreamWorld, server_key
from tests.sim.updating import begin_legacy, end_legacy, send_legacy, user_part
from tests.sim.world import SEED

BUSY = built_in(event_interval_s=1.0)
PIECES = 1000


class FarStreamWorld(StreamWorld):
    """The world of a TCP device, with faults around the device."""

    def __init__(self, *faults: str, behaviour: Behaviour = BUSY) -> None:
        super().__init__(behaviour, platform="gcc")
        identity = Identity(SEED, 0, Transport.TCP)
        server = Server(("", 0), server_key().public_key())
        self.far = FieldDevice(
            maker(identity, find_board("gcc"), behaviour, server),
            combine_faults(map(parse_fault, faults)),
            self,
            seed=SEED,
            name=identity.device_id,
        )
        # It takes the device's place.
        self.device = self.far  # type: ignore[assignment]
        self.far.start(0.0)

    @property
    def is_online(self) -> bool:
        return self.far.state is State.ONLINE

    @property
    def outcomes(self) -> list[Outcome]:
        return [fact.outcome for fact in self.of(EventSettled) if isinstance(fact, EventSettled)]


def carry(quality: Quality) -> tuple[StreamWay, list[tuple[float, int]]]:
    """When pieces that leave 10 ms apart arrive, and their numbers."""
    way = StreamWay(quality, Chance("one", "up"))
    for number in range(PIECES):
        way.put(number.to_bytes(4, "big"), number * 0.01)
    arrived = []
    while (at := way.deadline()) < float("inf"):
        assert way.take(at - 1e-6) is None
        data = way.take(at)
        assert data is not None
        arrived.append((at, int.from_bytes(data, "big")))
    return way, arrived


def test_a_stream_comes_whole_and_in_order_however_bad_the_network() -> None:
    way, arrived = carry(Quality(0.2, 0.2, 0.2, 5.0, (0.0, 0.5)))
    assert [number for _, number in arrived] == list(range(PIECES))
    assert all(later >= earlier for (earlier, _), (later, _) in pairwise(arrived))
    # Losses of losses count too: p + p² + …
    assert way.lost / PIECES == pytest.approx(0.25, abs=0.05)


def test_what_is_lost_comes_a_second_late_and_all_behind_it_too() -> None:
    _, arrived = carry(Quality(loss=0.01))
    late = [at - number * 0.01 for at, number in arrived]
    first = next(number for number, one in enumerate(late) if one > 0.0)
    # RFC 6298 §2.4: TCP waits for a second at least.
    assert late[first] == pytest.approx(1.0)
    assert arrived[first + 1][0] == arrived[first + 5][0] == arrived[first][0]
    assert late[:first] == [0.0] * first


def test_a_stream_without_faults_is_perfect_and_one_that_loses_all_is_silent() -> None:
    assert carry(Quality(duplicate=1.0, reorder=1.0))[0].is_perfect
    way, arrived = carry(Quality(loss=1.0))
    assert (way.lost, arrived) == (PIECES, [])


def test_what_is_under_way_has_a_bound() -> None:
    way = StreamWay(Quality(delay_s=(5.0, 5.0)), Chance("one"))
    for _ in range(MAX_UNDER_WAY + 3):
        way.put(b"x", 0.0)
    assert way.lost == 3
    way.clear()
    assert way.lost == MAX_UNDER_WAY + 3


def test_a_lossy_network_costs_time_and_nothing_else() -> None:
    world = FarStreamWorld("loss rate=0.1", "delay for_s=[0.01,0.1]")
    world.run(300.0)
    assert world.ends == []
    assert set(world.outcomes) == {Outcome.ACKNOWLEDGED}
    assert len(world.outcomes) > 250


def test_a_move_is_silence_until_the_device_gives_the_connection_up() -> None:
    world = FarStreamWorld("move at_s=[10]")
    world.run(60.0)
    ((ended_at, reason),) = world.ends
    assert reason is EndReason.PING_TIMEOUT
    # Silence from the move on: 25 s, and 10 s for the ping (device-protocol.md §1.3.3).
    assert ended_at == pytest.approx(44.5, abs=1.0)
    assert world.of(HandshakeDone) == [HandshakeDone(resumed=False)] * 2
    assert world.is_online
    assert not [at for at, _ in world.cloud.heard if 10.0 < at < ended_at]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("sleep at_s=[10] for_s=20", EndReason.SLEEP),
        ("reboot at_s=[10] for_s=20", EndReason.REBOOT),
        ("power-cut at_s=[10] for_s=20 session=kept", EndReason.POWER_CUT),
    ],
)
def test_a_device_that_was_down_connects_anew(fault: str, reason: EndReason) -> None:
    world = FarStreamWorld(fault)
    world.run(9.9)
    world.run(10.0)
    assert not world.is_open
    world.run(20.0)
    assert world.ends == [(10.0, reason)]
    assert world.is_online
    assert len(world.cloud.sessions) == 2
    data = [fact.data for fact in world.of(EventSent) if isinstance(fact, EventSent)]
    assert len(set(data)) == len(data)


def test_a_wrong_server_key_lets_nobody_in_until_it_is_right_again() -> None:
    world = FarStreamWorld("wrong-server-key at_s=[10] for_s=60")
    world.run(69.0)
    assert not world.is_online
    world.run(30.0)
    assert world.is_online


def test_a_wrong_device_key_is_what_the_server_gets_to_see() -> None:
    world = FarStreamWorld("wrong-device-key at_s=[10] for_s=10")
    world.run(40.0)
    right, wrong, again = (claim.public_key for claim in world.cloud.claims)
    assert right == again
    assert wrong != right
    assert len({claim.device_id for claim in world.cloud.claims}) == 1


@pytest.mark.parametrize("faults", [(), ("delay for_s=[1,1]",)])
def test_the_end_of_a_connection_reaches_the_device_and_it_connects_anew(
    faults: tuple[str, ...],
) -> None:
    world = FarStreamWorld(*faults)
    world.run(10.0)
    states = [world.far.state]
    world.far.on_closed(world.now)
    states.append(world.far.state)
    world.run(20.0)
    states.append(world.far.state)
    assert states == [State.ONLINE, State.OFFLINE, State.ONLINE]
    assert len(world.cloud.sessions) == 2


FILE = user_part(bytes(range(256)) * 20, platform_id=3)


def at_the_end_of_an_update(*faults: str) -> FarStreamWorld:
    """A device that has every chunk of a file, and was told so."""
    world = FarStreamWorld(*faults, behaviour=built_in(event_interval_s=None))
    world.run(2.0)
    assert world.is_online
    begin_legacy(world, FILE)
    send_legacy(world, FILE)
    assert end_legacy(world) == [], "It reads its memory, and says nothing."
    return world


def test_a_slow_device_tells_the_end_of_an_update_before_it_closes_its_stream() -> None:
    world = at_the_end_of_an_update("update-slow phase=finish for_s=3")
    world.run(2.9)
    assert world.closed == 0
    before = len(world.cloud.heard)
    world.run(0.2)
    answer = world.cloud.messages()[before]
    assert decode_update_result(answer.payload) == 0
    assert world.closed == 1
    world.run(5.0)
    assert (world.is_online, world.handshakes) == (True, 2)


def test_a_slow_device_whose_power_fails_says_nothing_more() -> None:
    world = at_the_end_of_an_update(
        "update-slow phase=finish for_s=30", "power-cut at_s=[10] for_s=5"
    )
    before = len(world.cloud.heard)
    world.run(12.0)
    assert (world.closed, len(world.cloud.heard)) == (1, before)
    world.run(10.0)
    assert world.is_online


def test_a_server_that_closes_on_a_slow_device_finds_it_connecting_anew() -> None:
    world = at_the_end_of_an_update("update-slow phase=finish for_s=3")
    world.hang_up()
    world.run(10.0)
    assert (world.is_online, world.handshakes) == (True, 2)
