"""The whole product of networks, protocols, faults and phases: each update ends in use, or with the
device's true error, in its time; what is in use is what was sent.

`make test` has a sample; `make soak` has all of it.
"""

import hashlib
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from cyan.core.db.engine import Database
from cyan.core.ports import DeviceTimeoutError, UpdateInterruptedError
from cyan.sim.oserrors import FLASH_IO
from cyan.sim.updatefaults import Phase, Trouble
from tests.clock import HandClock
from tests.gateway.ota import installed
from tests.gateway.ota_matrix import (
    DEADLINE_S,
    STAGES,
    FarBoard,
    NearBoard,
    deliver,
    faults_of,
    file_for,
    wait_for,
)
from tests.gateway.world import World, make_world

CURRENT, LEGACY, STREAM = "argon", "electron", "photon"
KILL, MOVE = "kill", "move"
TROUBLES = {trouble.value: trouble for trouble in Trouble}
FULL = Trouble.REFUSED.value
NONSENSE = Trouble.NONSENSE.value
STUCK = Trouble.STUCK.value

CELLS = [
    (loss, platform, fault, phase)
    for loss, platform, fault, phase in product(
        (0.0, 0.1, 0.3), (CURRENT, LEGACY), (KILL, MOVE, *TROUBLES), Phase
    )
    if fault in TROUBLES or phase in STAGES
] + [(0.0, STREAM, fault, phase) for fault, phase in product(TROUBLES, Phase)]
EVERY_SEVENTH = {
    (0.0 if platform == STREAM else 0.1, platform, fault, phase)
    for _, platform, fault, phase in CELLS[::7]
}
SAMPLE = EVERY_SEVENTH | {
    (0.0, CURRENT, KILL, Phase.CHUNKS),
    (0.3, CURRENT, KILL, Phase.CHUNKS),
    (0.3, LEGACY, KILL, Phase.CHUNKS),
    (0.3, CURRENT, Trouble.POWER_CUT.value, Phase.CHUNKS),
}


def marked(cell: tuple[float, str, str, Phase]) -> ParameterSet:
    loss, platform, fault, phase = cell
    name = f"{platform}, {loss:.0%} lost, {fault}, {phase.value}"
    return pytest.param(*cell, marks=() if cell in SAMPLE else pytest.mark.soak, id=name)


@pytest.fixture(autouse=True)
def _commits_without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """On virtual time nothing is gained by commits that wait for each other."""
    monkeypatch.setattr("cyan.core.db.engine.GROUP_INTERVAL_S", 0.0)
    monkeypatch.setattr("cyan.events.log.COMMIT_INTERVAL_S", 0.0)


@pytest.fixture
async def world(db: Database, clock: HandClock, tmp_path: Path) -> AsyncIterator[World]:
    """Slow enough that something can happen in the middle of a transfer."""
    made = make_world(db, clock, tmp_path, update_kib_per_s=10)
    await made.start()
    yield made
    await made.end()


@pytest.mark.parametrize(("loss", "platform", "fault", "phase"), [*map(marked, CELLS)])
async def test_an_update_ends_in_use_or_with_its_true_error(
    world: World, loss: float, platform: str, fault: str, phase: Phase
) -> None:
    make = NearBoard if platform == STREAM else FarBoard
    board = make(world, platform, faults_of(loss, TROUBLES.get(fault), phase), f"{loss}")
    assert await wait_for(board)
    data = file_for(board)
    stage = STAGES.get(phase) if fault in (KILL, MOVE) else None
    outcome = await deliver(board, data, stage, fault)
    assert outcome.took_s < DEADLINE_S
    in_use = installed(board.facts)
    assert set(in_use) <= {hashlib.sha256(data).digest()}
    if outcome.refusals:
        # Only a device that refuses, or says what makes no sense, is told to have refused.
        assert fault in (FULL, NONSENSE)
        assert in_use == []
        if fault == FULL and platform == CURRENT and phase in (Phase.START, Phase.FINISH):
            assert outcome.refusals == [FLASH_IO]
    elif fault == STUCK and phase is not Phase.CHUNKS and not in_use:
        # Until somebody restarts it, it takes no update: each attempt says so in its time.
        assert isinstance(outcome.error, DeviceTimeoutError | UpdateInterruptedError)
    else:
        assert in_use, (outcome, board.begun)
    if platform == CURRENT and fault == KILL and phase is Phase.CHUNKS:
        assert board.begun[-1].offset_bytes > 0
