"""Small charts as SVG, made here: no script, no style, one color of the text around them."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

WIDTH: Final = 240
HEIGHT: Final = 48
_EDGE: Final = 3


def sparkline(
    values: Sequence[float | None],
    label: str,
    *,
    low: float | None = None,
    high: float | None = None,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Markup:
    """A line of values in order, oldest first; None is a gap. `label` is what a screen reader says.

    `low` and `high` fix the scale; without them the values do. No values: an empty frame.
    """
    known = [value for value in values if value is not None]
    bottom = min(known, default=0.0) if low is None else low
    top = max(known, default=1.0) if high is None else high
    if top <= bottom:
        top, bottom = top + 0.5, bottom - 0.5
    step = (width - 2 * _EDGE) / max(len(values) - 1, 1)

    def point(at: int, value: float) -> tuple[float, float]:
        share = min(max((value - bottom) / (top - bottom), 0.0), 1.0)
        return round(_EDGE + at * step, 1), round(height - _EDGE - share * (height - 2 * _EDGE), 1)

    runs: list[list[tuple[float, float]]] = [[]]
    for at, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(point(at, value))
    shapes = Markup("").join(_run(run, height) for run in runs if run)
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {w} {h}" role="img" aria-label="{label}"'
        ' preserveAspectRatio="none">{shapes}</svg>'
    ).format(w=width, h=height, label=label, shapes=shapes)


def _run(run: list[tuple[float, float]], height: int) -> Markup:
    if len(run) == 1:
        return Markup('<circle class="sparkline-dot" cx="{}" cy="{}" r="2"/>').format(*run[0])
    line = " ".join(f"{x},{y}" for x, y in run)
    return Markup(
        '<polygon class="sparkline-area" points="{first},{floor} {line} {last},{floor}"/>'
        '<polyline class="sparkline-line" points="{line}"/>'
    ).format(first=run[0][0], last=run[-1][0], floor=height, line=line)
