"""A million inputs to the decoders and machines of `cyan.wire`: a value or MalformedError each
time, and nothing of them stays in memory. Part of `make soak`."""

import gc
from collections import Counter
from random import Random
from typing import Final

import psutil
import pytest

from tests.wire.fuzz import TARGETS, is_accepted, mutate

INPUTS: Final = 1_000_000
SLOW_INPUTS: Final = 2000
"""To each target that does public-key cryptography."""

WARM_UP: Final = INPUTS // 10
MAX_GROWTH_BYTES: Final = 8 * 1024 * 1024
"""After the first tenth: less than nine bytes for an input."""


@pytest.mark.soak
def test_a_million_inputs_do_no_harm_and_leave_nothing_behind() -> None:
    random = Random(INPUTS)
    quick = [name for name, target in TARGETS.items() if not target.is_slow]
    slow = [name for name, target in TARGETS.items() if target.is_slow]
    turns = slow * SLOW_INPUTS
    turns += (quick * (INPUTS // len(quick)))[: INPUTS - len(turns)]
    random.shuffle(turns)
    assert len(turns) == INPUTS
    accepted: Counter[str] = Counter()
    resident_bytes = 0
    for number, name in enumerate(turns):
        if number == WARM_UP:
            resident_bytes = _resident_bytes()
        target = TARGETS[name]
        accepted[name] += is_accepted(target, mutate(random, target.seeds))
    assert accepted.keys() == TARGETS.keys()
    assert 0 < accepted.total() < INPUTS
    assert _resident_bytes() - resident_bytes < MAX_GROWTH_BYTES


def _resident_bytes() -> int:
    gc.collect()
    resident: int = psutil.Process().memory_info().rss
    return resident
