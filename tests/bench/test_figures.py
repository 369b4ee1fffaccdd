"""Medians, ratios against the floor, and the file of results."""

from pathlib import Path

import pytest

from bench import figures
from bench.child import Meter
from bench.figures import Amount, Comparison, Findings, rate_of, report, write_results


def _meter(wall_s: float, server_s: float, own_s: float) -> Meter:
    meter = Meter(0)
    meter.wall_s, meter.server_s, meter.own_s = wall_s, server_s, own_s
    return meter


def test_a_rate_is_the_median_of_its_runs() -> None:
    rate = rate_of([_meter(1, 0.5, 0.1), _meter(2, 1.0, 1.8), _meter(4, 2.0, 0.4)], 1000)
    assert (rate.per_s, rate.lowest_per_s, rate.highest_per_s) == (500, 250, 1000)
    assert rate.server_us == pytest.approx(1000)
    assert rate.generator_share == pytest.approx(0.9)


@pytest.mark.parametrize(("goal", "verdict"), [(0.25, "met"), (0.26, "**not met**")])
def test_a_goal_is_a_part_of_the_floor(goal: float, verdict: str) -> None:
    rate, floor = rate_of([_meter(4, 1, 1)], 100), rate_of([_meter(1, 1, 1)], 100)
    assert verdict in Comparison("events", "all of them", rate, floor, goal).row()


@pytest.mark.parametrize(
    ("value", "is_least", "verdict"),
    [
        (5.0, False, "met"),
        (5.1, False, "**not met**"),
        (5.0, True, "met"),
        (4.9, True, "**not met**"),
    ],
)
def test_an_amount_keeps_to_its_goal(value: float, is_least: bool, verdict: str) -> None:
    row = Amount("sessions", "memory of each", value, "kB", 5.0, is_least).row()
    assert row[1:4] == (f"**{value:.3g}** kB", "at least 5" if is_least else "at most 5", verdict)


def test_an_amount_without_a_goal_is_neither_met_nor_missed() -> None:
    assert Amount("sessions", "at rest", 12345.6, "µs").row()[1:4] == ("**12,346** µs", "", "")


def test_results_replace_the_former_ones_and_keep_what_people_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "RESULTS", tmp_path / "RESULTS.md")
    write_results(report(Findings(), "# Results\n\nold"))
    with (tmp_path / "RESULTS.md").open("a") as file:
        file.write("\n## Where the time goes\n\nHere.\n")
    write_results(report(Findings(), "# Results\n\nnew"))
    text = (tmp_path / "RESULTS.md").read_text()
    assert "old" not in text
    assert text.startswith("# Results\n\nnew\n")
    assert text.endswith("\n## Where the time goes\n\nHere.\n")
