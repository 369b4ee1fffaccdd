"""Prefix matching: byte by byte, case-sensitive, whole names included."""

import pytest

from cyan.events.prefixes import PrefixIndex


def found(index: PrefixIndex[str, str], name: str) -> set[str]:
    return {key for subscribers in index.match(name) for key in subscribers}


@pytest.mark.parametrize(
    ("prefix", "name", "fits"),
    [
        ("temp", "temperature", True),
        ("temperature", "temperature", True),
        ("temperatures", "temperature", False),
        ("Temp", "temperature", False),
        ("emp", "temperature", False),
        ("", "temperature", True),
        ("", "", True),
        ("home/", "home/attic/light", True),
        ("home/attic", "home/attic/light", True),
        ("/", "home/attic", False),
        ("ž", "žárovka", True),
        ("z", "žárovka", False),
        ("温", "温度", True),
        ("e\u0301", "\u00e9t\u00e9", False),
    ],
)
def test_a_prefix_fits_a_name(prefix: str, name: str, fits: bool) -> None:
    index: PrefixIndex[str, str] = PrefixIndex()
    index.add(prefix, "reader", "reader")
    index.add("something/else", "other", "other")
    assert (found(index, name) == {"reader"}) is fits
    assert name.startswith(prefix) is fits


def test_every_prefix_that_fits_is_found() -> None:
    index: PrefixIndex[str, str] = PrefixIndex()
    for prefix in ("", "t", "temp", "temperature", "humidity"):
        index.add(prefix, prefix + "!", prefix)
    assert found(index, "temperature") == {"!", "t!", "temp!", "temperature!"}


def test_what_was_taken_out_is_not_found_and_the_index_becomes_empty() -> None:
    index: PrefixIndex[str, str] = PrefixIndex()
    index.add("temp", "a", "a")
    index.add("temp", "b", "b")
    index.discard("temp", "a")
    assert found(index, "temperature") == {"b"}
    index.discard("temp", "b")
    index.discard("temp", "b")
    index.discard("never", "there")
    assert found(index, "temperature") == set()
    assert not index
