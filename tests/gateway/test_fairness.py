"""The fair queue: bounded, in turn, and nobody's place is taken by a flood."""

from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.gateway.fairness import FairQueue

Item = tuple[int, int]
"""(source, number): each pushed once."""

SOURCES = st.integers(0, 6)
STEPS = st.lists(st.one_of(SOURCES, st.none()), max_size=120)
"""Whose item is pushed; None is a pop."""


def name(source: int) -> bytes:
    return source.to_bytes(4, "big")


class Model:
    """The same queue in few words: what is expected of each step."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.waiting: dict[int, deque[Item]] = {}

    def size(self) -> int:
        return sum(len(items) for items in self.waiting.values())

    def push(self, item: Item) -> set[Item]:
        """Those one of which may give way."""
        own = len(self.waiting.get(item[0], ()))
        if self.size() < self.limit:
            return set()
        most = max(len(items) for items in self.waiting.values())
        if own + 1 >= most:
            return {item}
        return {items[-1] for items in self.waiting.values() if len(items) == most}


@given(STEPS, st.integers(1, 12))
def test_it_does_as_said_whatever_comes(steps: list[int | None], limit: int) -> None:
    queue, model = FairQueue[Item](limit), Model(limit)
    for number, source in enumerate(steps):
        if source is None:
            if model.size():
                item = queue.pop()
                assert model.waiting[item[0]].popleft() == item, "in order for each source"
                if not model.waiting[item[0]]:
                    del model.waiting[item[0]]
        else:
            item = (source, number)
            may_give_way = model.push(item)
            given_way = queue.push(name(source), item)
            if given_way is None:
                assert not may_give_way
            else:
                assert given_way in may_give_way
            if given_way != item:
                model.waiting.setdefault(source, deque()).append(item)
                if given_way is not None:
                    model.waiting[given_way[0]].pop()
        assert len(queue) == model.size() <= limit
        assert len(queue._lanes) == len(model.waiting), "nothing is kept of who has left"
    rest = [queue.pop() for _ in range(len(queue))]
    assert sorted(rest) == sorted(item for items in model.waiting.values() for item in items)
    with pytest.raises(IndexError):
        queue.pop()


@given(st.lists(SOURCES, min_size=1, max_size=60))
def test_nobody_waits_for_more_than_one_turn_of_all_others(pushed: list[int]) -> None:
    queue = FairQueue[Item](100)
    for number, source in enumerate(pushed):
        queue.push(name(source), (source, number))
    waiting = Counter(pushed)
    passed_over: Counter[int] = Counter()
    while len(queue):
        source, _ = queue.pop()
        assert passed_over[source] <= len(set(pushed)) - 1
        waiting[source] -= 1
        passed_over[source] = 0
        passed_over.update(other for other, count in waiting.items() if count and other != source)


@given(st.lists(SOURCES, max_size=30), st.integers(1, 200))
def test_a_flood_from_one_source_displaces_nothing_of_the_others(
    others: list[int], flood: int
) -> None:
    queue = FairQueue[Item](40)
    for number, source in enumerate(others):
        assert queue.push(name(source), (source, number)) is None
    lost = [queue.push(name(99), (99, number)) for number in range(flood)]
    kept = 40 - len(others)
    most_of_another = max(Counter(others).values(), default=0)
    for item in lost:
        # Only of who had more than the flood until then.
        assert item is None or item[0] == 99 or most_of_another > kept
    assert lost[:kept] == [None] * min(kept, flood)


def test_a_newcomer_takes_the_place_of_the_floods_last() -> None:
    queue = FairQueue[Item](10)
    for number in range(20):
        queue.push(name(1), (1, number))
    assert queue.push(name(2), (2, 0)) == (1, 9)
    assert queue.push(name(3), (3, 0)) == (1, 8)
    assert [queue.pop() for _ in range(4)] == [(1, 0), (2, 0), (3, 0), (1, 1)]


def test_a_flood_from_very_many_sources_displaces_nobody_and_leaves_nothing_behind() -> None:
    queue = FairQueue[Item](4096)
    for source in range(4096):
        assert queue.push(name(source), (source, 0)) is None
    for source in range(4096, 204_096):
        assert queue.push(name(source), (source, 0)) == (source, 0)
    assert len(queue._lanes) == 4096
    assert [queue.pop()[0] for _ in range(4096)] == list(range(4096))
    assert (queue._lanes, queue._by_length, len(queue._turn), queue._longest) == ({}, {}, 0, 0)
