"""When mishaps happen."""

import itertools

import pytest

from cyan.sim.faults import Kind, Mishap
from cyan.sim.mishaps import Mishaps, Occurrence


def happen(mishaps: tuple[Mishap, ...], until_s: float, seed: str = "one") -> list[Occurrence]:
    calendar = Mishaps(mishaps, seed, "device")
    happened = []
    while calendar.deadline_s() <= until_s:
        happened.append(calendar.take())
    return happened


def test_fixed_times_are_kept_and_mishaps_come_in_their_order() -> None:
    move = Mishap(Kind.MOVE, at_s=(1.0, 30.0))
    sleep = Mishap(Kind.SLEEP, at_s=(10.0,), for_s=(2.0, 4.0))
    happened = happen((move, sleep), 1000.0)
    assert [(one.mishap, one.at_s) for one in happened] == [
        (move, 1.0),
        (sleep, 10.0),
        (move, 30.0),
    ]
    assert 2.0 <= happened[1].for_s < 4.0
    assert happened[0].for_s == 0.0


def test_others_come_at_random_about_so_often() -> None:
    happened = happen((Mishap(Kind.MOVE, every_s=10.0),), 20_000.0)
    assert len(happened) == pytest.approx(2000, rel=0.1)
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(happened)]
    # Without memory: about 1 - 1/e of the gaps are shorter than the mean.
    assert sum(gap < 10.0 for gap in gaps) / len(gaps) == pytest.approx(0.632, abs=0.05)


def test_a_share_of_the_devices_is_hit() -> None:
    mishap = Mishap(Kind.MOVE, at_s=(1.0,), share=0.3)
    hit = sum(bool(happen((mishap,), 9.0, f"seed {number}")) for number in range(2000))
    assert hit / 2000 == pytest.approx(0.3, abs=0.05)


def test_the_same_seed_gives_the_same_times_and_one_mishap_does_not_move_another() -> None:
    move = Mishap(Kind.MOVE, every_s=7.0)
    sleep = Mishap(Kind.SLEEP, every_s=50.0, for_s=(1.0, 9.0))
    alone = happen((move,), 1000.0)
    both = happen((move, sleep), 1000.0)
    assert happen((move, sleep), 1000.0) == both
    assert [one for one in both if one.mishap is move] == alone
    assert happen((move,), 1000.0, "two") != alone


def test_without_mishaps_nothing_happens() -> None:
    assert Mishaps((), "one").deadline_s() == float("inf")
