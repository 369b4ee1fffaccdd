"""Figures, and the table that people read."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.child import Meter

RESULTS = Path(__file__).parent / "RESULTS.md"
LATER = "\n## "
"""What follows the first section of RESULTS.md is not ours to write."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Several runs of one thing: medians. `server_us` is CPU of the server for each `unit`."""

    per_s: float
    lowest_per_s: float
    highest_per_s: float
    server_us: float
    generator_share: float
    """CPU of the generator in parts of one core, in the run where it was highest."""


def rate_of(meters: Sequence[Meter], count: int) -> Rate:
    """`count` pieces of work in each run."""
    rates = [count / meter.wall_s for meter in meters]
    return Rate(
        per_s=statistics.median(rates),
        lowest_per_s=min(rates),
        highest_per_s=max(rates),
        server_us=statistics.median(meter.server_s / count * 1e6 for meter in meters),
        generator_share=max(meter.own_s / meter.wall_s for meter in meters),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A rate beside the floor of the same run, and what was aimed at."""

    name: str
    what: str
    rate: Rate
    floor: Rate
    goal: float
    remarks: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        return self.rate.per_s / self.floor.per_s

    def row(self) -> tuple[str, ...]:
        rate = self.rate
        return (
            f"{self.name}: {self.what}",
            f"{rate.per_s:,.0f} ({rate.lowest_per_s:,.0f}-{rate.highest_per_s:,.0f})",
            f"{rate.server_us:.1f}",
            f"{self.floor.per_s:,.0f} ({self.floor.lowest_per_s:,.0f}-"
            f"{self.floor.highest_per_s:,.0f})",
            f"{self.floor.server_us:.1f}",
            f"**{self.ratio:.2f}**",
            f"{self.goal:.1f}",
            "met" if self.ratio >= self.goal else "**not met**",
            f"{rate.generator_share:.0%}",
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """From a device's send to the reader, at a steady rate."""

    name: str
    what: str
    per_s: float
    p50_ms: float
    p99_ms: float
    highest_ms: float
    goal_p99_ms: float

    def row(self) -> tuple[str, ...]:
        return (
            f"{self.name}: {self.what}",
            f"{self.per_s:,.0f}",
            f"{self.p50_ms:.1f}",
            f"**{self.p99_ms:.1f}**",
            f"{self.highest_ms:.1f}",
            f"{self.goal_p99_ms:.0f}",
            "met" if self.p99_ms <= self.goal_p99_ms else "**not met**",
        )


@dataclass(frozen=True, slots=True)
class Amount:
    """A figure that has no floor. `goal` is the most it may be, the least if `is_least`."""

    name: str
    what: str
    value: float
    unit: str
    goal: float | None = None
    is_least: bool = False
    remark: str = ""

    @property
    def is_met(self) -> bool:
        if self.goal is None:
            return True
        return self.value >= self.goal if self.is_least else self.value <= self.goal

    def row(self) -> tuple[str, ...]:
        goal = verdict = ""
        if self.goal is not None:
            goal = f"{'at least' if self.is_least else 'at most'} {_short(self.goal)}"
            verdict = "met" if self.is_met else "**not met**"
        value = f"**{_short(self.value)}** {self.unit}".strip()
        return (f"{self.name}: {self.what}", value, goal, verdict, self.remark)


@dataclass(slots=True)
class Findings:
    """What a scenario found."""

    comparisons: list[Comparison] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    amounts: list[Amount] = field(default_factory=list)

    def extend(self, other: "Findings") -> None:
        self.comparisons += other.comparisons
        self.latencies += other.latencies
        self.amounts += other.amounts


RATE_HEAD = (
    "measured", "per second (lowest-highest)", "server µs", "floor per second", "floor µs",
    "ratio", "goal", "", "generator",
)  # fmt: skip
LATENCY_HEAD = ("latency", "events/s", "p50 ms", "p99 ms", "highest ms", "goal p99", "")
AMOUNT_HEAD = ("measured", "figure", "goal", "", "of which")


def report(findings: Findings, head: str) -> str:
    """The whole as Markdown."""
    parts = [head]
    for titles, rows in (
        (RATE_HEAD, [comparison.row() for comparison in findings.comparisons]),
        (LATENCY_HEAD, [latency.row() for latency in findings.latencies]),
        (AMOUNT_HEAD, [amount.row() for amount in findings.amounts]),
    ):
        if rows:
            parts.append(_table(titles, rows))
    remarks = [
        f"- {comparison.name}: {remark}"
        for comparison in findings.comparisons
        for remark in comparison.remarks
    ]
    if remarks:
        parts.append("\n".join(remarks))
    return "\n\n".join(parts) + "\n"


def write_results(text: str) -> None:
    """Put the report at the beginning of RESULTS.md; its later sections stay."""
    rest = ""
    if RESULTS.exists():
        _, found, later = RESULTS.read_text().partition(LATER)
        rest = found + later
    RESULTS.write_text(text + rest)


def _short(value: float) -> str:
    """Three digits, more where they stand before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
