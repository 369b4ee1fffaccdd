"""How values look on pages: stamps, sizes, numbers, small charts, browsers."""

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from cyan.console.browsers import browser_of
from cyan.console.charts import sparkline
from cyan.console.rendering import Renderer, ago, number, plural, size
from cyan.console.security import picture_of
from tests.clock import HandClock

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"


@pytest.mark.parametrize(
    ("past_s", "text"),
    [
        (0, "just now"),
        (9.9, "just now"),
        (10, "10 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86_400, "1 d ago"),
        (400 * 86_400, "1 y ago"),
        (-86_400 * 90, "in 90 d"),
    ],
)
def test_how_long_ago_something_was(past_s: float, text: str) -> None:
    assert ago(round(past_s * 1000)) == text


def test_a_stamp_has_its_exact_time_behind_it(clock: HandClock) -> None:
    shown = Renderer(clock, {}).stamp(clock.now_ms() - 120_000)
    assert "2 min ago" in shown
    assert 'datetime="2026-01-02T03:02:05.678Z"' in shown
    assert "02 Jan 2026, 03:02:05 UTC" in shown
    assert "never" in Renderer(clock, {}).stamp(None)


def test_sizes_and_numbers_are_short() -> None:
    assert [size(value) for value in (0, 1023, 1024, 1536, 250 * 1024**2, 2**40)] == [
        "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "250 MiB", "1024 GiB",
    ]  # fmt: skip
    assert number(1234567) == "1\u202f234\u202f567"
    assert (plural(1, "device"), plural(2, "device")) == ("1 device", "2 devices")
    assert plural(0, "entry", "entries") == "0 entries"


def test_a_name_that_was_not_given_is_an_error_and_never_nothing(clock: HandClock) -> None:
    renderer = Renderer(clock, {"asset": str, "sign_up": "closed"})
    with pytest.raises(UndefinedError):
        renderer.render("server-figures.html")


def test_a_chart_is_shapes_without_style_or_script() -> None:
    drawn = sparkline([1, None, 3, 2], 'a <"label">')
    assert drawn.count("<polyline") == 1
    assert drawn.count("<circle") == 1  # a value alone between gaps
    assert "style" not in drawn
    assert "a &lt;&#34;label&#34;&gt;" in drawn


@pytest.mark.parametrize("values", [[], [None], [0.0], [5.0, 5.0], [-1.0, 1.0], [1e300, -1e300]])
def test_a_chart_of_few_or_odd_values_is_drawn(values: list[float | None]) -> None:
    drawn = sparkline(values, "odd")
    assert isinstance(drawn, Markup)
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_a_qr_code_is_shapes_without_style() -> None:
    drawn = picture_of("otpauth://totp/Cyan:ada?secret=<script>")
    assert drawn.startswith("<svg")
    assert "style=" not in drawn
    assert "script" not in drawn


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        (CHROME, "Chrome on Linux"),
        (f"{CHROME} Edg/140.0", "Edge on Linux"),
        ("Mozilla/5.0 (iPhone; CPU) Version/17.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5", "curl/8.5"),
        ("", "A browser that does not say its name"),
    ],
)
def test_a_browser_is_named_as_people_know_it(agent: str, shown: str) -> None:
    assert browser_of(agent) == shown
