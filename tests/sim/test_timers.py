"""One heap of deadlines for a whole fleet."""

from hypothesis import given
from hypothesis import strategies as st

from cyan.sim.reliability import NEVER
from cyan.sim.timers import Deadlines


def test_members_come_up_in_the_order_of_their_deadlines() -> None:
    deadlines = Deadlines(3)
    deadlines.plan(0, 3.0)
    deadlines.plan(1, 1.0)
    deadlines.plan(2, 2.0)
    assert deadlines.next() == 1.0
    assert [deadlines.pop(2.5) for _ in range(3)] == [1, 2, None]
    assert deadlines.next() == 3.0


def test_a_member_whose_deadline_moved_ahead_comes_up_once() -> None:
    deadlines = Deadlines(1)
    deadlines.plan(0, 5.0)
    deadlines.plan(0, 2.0)
    assert deadlines.pop(10.0) == 0
    assert deadlines.pop(10.0) is None
    assert deadlines.next() == NEVER


def test_never_is_no_deadline() -> None:
    deadlines = Deadlines(1)
    deadlines.plan(0, NEVER)
    assert deadlines.next() == NEVER


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100)), max_size=40))
def test_no_member_is_asked_too_late(plans: list[tuple[int, float]]) -> None:
    deadlines = Deadlines(5)
    earliest: dict[int, float] = {}
    for member, deadline in plans:
        deadlines.plan(member, deadline)
        earliest[member] = min(deadline, earliest.get(member, NEVER))
    assert deadlines.next() == min(earliest.values(), default=NEVER)
    came: dict[int, float] = {}
    while (at := deadlines.next()) != NEVER:
        if (due := deadlines.pop(at)) is not None:
            came[due] = at
    assert came == earliest
