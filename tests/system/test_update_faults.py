"""Updates that go wrong on the board, over real sockets: each ends as it truly went."""

from pathlib import Path

import pytest

from tests.system.processes import serving, simulating, wait_until
from tests.system.test_updates import FLEET, GCC, PHOTON, Update, fleet, simulated

REFUSALS = (
    "could not write its flash memory. (-219)",
    "when asked: it takes no update now (5.03).",
)
"""The legacy protocol has no number for the beginning."""
INVALID = ("found the module invalid. (-1320)",)
NOT_VERIFIED = ("has restarted without the update: the device reports ",)
OVER_TCP = ("--mix", GCC, "--mix", PHOTON)
"""A session over UDP goes on where nothing has changed: such a board is waited for ten minutes."""

FAULTY = {
    "it does not begin": ("update-refused phase=start code=-219", FLEET, REFUSALS),
    "it finds fault at the end": ("update-refused phase=finish code=-1320", FLEET, INVALID),
    "it runs what it ran before": ("update-nonsense phase=restart", OVER_TCP, NOT_VERIFIED),
}


@pytest.mark.parametrize("name", FAULTY)
def test_what_a_board_refuses_is_told_with_its_reason(tmp_path: Path, name: str) -> None:
    fault, kinds, said = FAULTY[name]
    with (
        serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server,
        simulating(
            *simulated(server, tmp_path / "sim", *kinds), "--fault", f"{fault} times=always"
        ) as simulator,
        fleet(server) as boards,
    ):
        boards.claim(simulator)
        boards.try_all(7)
        wait_until(lambda: all(_has_ended(each) for each in boards.newest()), "all have ended", 90)
        for update in boards.newest():
            assert update["state"] == "failed"
            assert any(each in str(update["detail"]) for each in said), update


@pytest.mark.parametrize("phase", ["start", "chunks", "finish"])
def test_a_board_that_loses_its_power_once_has_the_update_in_the_end(
    tmp_path: Path, phase: str
) -> None:
    with (
        serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server,
        simulating(
            *simulated(server, tmp_path / "sim", *FLEET),
            "--fault", f"update-power-cut phase={phase} times=1",
        ) as simulator,
        fleet(server) as boards,
    ):  # fmt: skip
        boards.claim(simulator)
        boards.try_all(7)
        wait_until(lambda: all(_has_ended(each) for each in boards.newest()), "all have ended", 90)
        if phase == "start":
            # Nobody is answered "started" then, and nothing is sent behind their back.
            assert {each["state"] for each in boards.newest()} == {"failed"}
            boards.wait_until_online()
            boards.flash_all(8)
            boards.wait_until_ended()
            boards.check_all_run_it()
        else:
            assert {each["state"] for each in boards.newest()} == {"done"}


def _has_ended(update: Update) -> bool:
    return update["state"] in ("done", "failed")


def test_power_that_fails_while_an_update_is_applied_shows_in_what_the_board_reports(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server,
        simulating(
            *simulated(server, tmp_path / "sim", *FLEET),
            "--fault", "update-power-cut phase=restart times=1",
        ) as simulator,
        fleet(server) as boards,
    ):  # fmt: skip
        boards.claim(simulator)
        boards.try_all(7)
        wait_until(lambda: all(_has_ended(each) for each in boards.newest()), "all have ended", 90)
        for update in boards.newest():
            assert (update["state"], update["reason"]) == ("failed", "not_verified"), update
            assert NOT_VERIFIED[0] in str(update["detail"])
