"""Bad networks: what arrives, how often, when and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.sim.chance import Chance
from cyan.sim.faults import PERFECT, Quality
from cyan.sim.network import MAX_UNDER_WAY, DatagramWay, Way

COUNT = 4000
TOLERANCE = 0.03
"""About four standard deviations of a share of 4000."""


def way(quality: Quality, seed: str = "one") -> Way:
    return DatagramWay(quality, Chance(seed, "up"))


def carry(through: Way, count: int = COUNT, gap_s: float = 0.01) -> list[tuple[float, int]]:
    """Sends `count` numbered datagrams; returns when each came out, and its number."""
    arrived = []
    for number in range(count):
        arrived += arrivals(through, number * gap_s)
        through.put(number.to_bytes(4, "big"), number * gap_s)
    return arrived + arrivals(through, 1e6)


def arrivals(through: Way, until: float) -> list[tuple[float, int]]:
    arrived = []
    while (at := through.deadline()) <= until:
        assert through.take(at - 1e-6) is None
        datagram = through.take(at)
        assert datagram is not None
        arrived.append((at, int.from_bytes(datagram, "big")))
    return arrived


def test_a_network_without_faults_changes_nothing() -> None:
    through = way(Quality())
    assert carry(through, 100) == [(number * 0.01, number) for number in range(100)]
    assert (through.lost, through.doubled, through.held_back) == (0, 0, 0)
    assert way(PERFECT).is_perfect


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.7, 1.0])
def test_a_share_is_lost(rate: float) -> None:
    through = way(Quality(loss=rate))
    arrived = carry(through)
    assert len(arrived) == COUNT - through.lost
    assert through.lost / COUNT == pytest.approx(rate, abs=TOLERANCE)


def test_a_share_comes_twice_at_times_of_their_own() -> None:
    through = way(Quality(duplicate=0.25, delay_s=(0.0, 1.0)))
    arrived = carry(through)
    assert len(arrived) == COUNT + through.doubled
    assert through.doubled / COUNT == pytest.approx(0.25, abs=TOLERANCE)
    times: dict[int, list[float]] = {}
    for at, number in arrived:
        times.setdefault(number, []).append(at)
    assert all(len(set(at)) == len(at) for at in times.values())


def test_a_share_is_overtaken_by_later_ones() -> None:
    through = way(Quality(reorder=0.3, reorder_s=0.5))
    arrived = carry(through)
    assert sorted(number for _, number in arrived) == list(range(COUNT))
    late = [at - number * 0.01 for at, number in arrived]
    assert max(late) <= 0.5
    assert sum(one > 1e-9 for one in late) / COUNT == pytest.approx(0.3, abs=TOLERANCE)
    numbers = [number for _, number in arrived]
    assert numbers != sorted(numbers)


def test_each_takes_a_time_within_the_delay() -> None:
    arrived = carry(way(Quality(delay_s=(0.1, 0.4))))
    took = [at - number * 0.01 for at, number in arrived]
    assert min(took) >= 0.1 - 1e-9
    assert max(took) <= 0.4 + 1e-9
    assert max(took) - min(took) > 0.25


@given(st.lists(st.binary(max_size=20), min_size=5, max_size=30), st.floats(0.0, 10.0))
def test_the_fate_of_a_datagram_depends_on_its_number_alone(
    datagrams: list[bytes], gap_s: float
) -> None:
    quality = Quality(loss=0.3, duplicate=0.3, reorder=0.5, reorder_s=1.0, delay_s=(0.0, 0.3))
    fates = []
    for content, gap in ((datagrams, gap_s), ([b"x"] * len(datagrams), 1.0)):
        through = way(quality)
        fate = []
        for number, datagram in enumerate(content):
            counts = (through.lost, through.doubled, through.held_back)
            through.put(datagram, number * gap)
            after = (through.lost, through.doubled, through.held_back)
            fate.append(tuple(b - a for a, b in zip(counts, after, strict=True)))
        fates.append(fate)
    assert fates[0] == fates[1]


def test_another_seed_is_another_network() -> None:
    quality = Quality(loss=0.5)
    assert carry(way(quality), 100) == carry(way(quality), 100)
    assert carry(way(quality), 100) != carry(way(quality, "two"), 100)


def test_what_is_under_way_has_a_bound_and_can_be_lost() -> None:
    through = way(Quality(delay_s=(5.0, 5.0)))
    for _ in range(MAX_UNDER_WAY + 10):
        through.put(b"x", 0.0)
    assert through.lost == 10
    through.clear()
    assert through.lost == MAX_UNDER_WAY + 10
    assert through.deadline() == float("inf")
    assert through.take(10.0) is None
