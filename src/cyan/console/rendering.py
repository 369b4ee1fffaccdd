"""Templates to text: one Jinja environment, strict about names and safe about markup."""

from collections.abc import Callable, Mapping
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cyan.core.clock import Clock, from_ms, iso_ms

_STEPS: Final = ((60, "s"), (60, "min"), (24, "h"), (365, "d"))
"""How many of a unit make the next one."""


class Renderer:
    """Renders the templates of `templates/`. Whatever they are given is escaped."""

    def __init__(self, clock: Clock, globals_: Mapping[str, object]) -> None:
        self._environment = Environment(
            loader=PackageLoader("cyan.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,  # or each use asks the disk whether the file has changed
        )
        self._clock = clock
        self._environment.globals.update(globals_)
        self._environment.filters.update(stamp=self.stamp, size=size, number=number, plural=plural)

    def add_filter(self, name: str, function: Callable[..., object]) -> None:
        self._environment.filters[name] = function

    def render(self, template: str, /, **values: object) -> str:
        """The text. Raises jinja2 errors, which are ours."""
        return self._environment.get_template(template).render(values)

    def stamp(self, at_ms: int | None, never: str = "never") -> Markup:
        """How long ago something was, its exact time behind it; the page's script keeps it true."""
        if at_ms is None:
            return Markup('<span class="quiet">{}</span>').format(never)
        text = ago(self._clock.now_ms() - at_ms)
        exact = from_ms(at_ms).strftime("%d %b %Y, %H:%M:%S UTC")
        return Markup('<time datetime="{}" title="{}">{}</time>').format(iso_ms(at_ms), exact, text)


def ago(past_ms: int) -> str:
    """`just now`, `5 min ago`, `in 3 d`."""
    value = abs(past_ms) // 1000
    if value < 10:
        return "just now"
    for step, unit in _STEPS:
        if value < step:
            return f"{value} {unit} ago" if past_ms > 0 else f"in {value} {unit}"
        value //= step
    return f"{value} y ago" if past_ms > 0 else f"in {value} y"


def size(size_bytes: int) -> str:
    """`512 B`, `1.4 MiB`."""
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def number(value: float) -> str:
    """Digits in groups of three, with thin spaces between them."""
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return text.replace(",", "\N{NARROW NO-BREAK SPACE}")


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 device`, `2 devices`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
