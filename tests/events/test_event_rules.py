"""Which names, data and ttl are allowed (platform-semantics.md §6.1)."""

import pytest

from cyan.core.errors import InvalidError
from cyan.events.model import (
    MAX_API_DATA_BYTES,
    MAX_TTL_S,
    EventDataError,
    EventNameError,
    EventTtlError,
    ReservedNameError,
    check_publishable,
    is_reserved,
)


@pytest.mark.parametrize("name", ["spark", "sparkle", "SPARK/x", "Particle", "particle/device/x"])
def test_names_that_begin_with_spark_or_particle_in_any_case_are_reserved(name: str) -> None:
    assert is_reserved(name)
    with pytest.raises(ReservedNameError):
        check_publishable(name, b"", 60)


@pytest.mark.parametrize("name", ["", "spar", "part", "my-spark", "a/particle", "ſpark"])
def test_other_names_are_not_reserved(name: str) -> None:
    assert not is_reserved(name)


@pytest.mark.parametrize(
    "name", ["", "a" * 65, "é" * 33, "line\nbreak", "bell\x07", "\u2028", "\ud800", "a\u202eb"]
)
def test_a_name_is_1_to_64_printable_bytes(name: str) -> None:
    with pytest.raises(EventNameError):
        check_publishable(name, b"", 60)


@pytest.mark.parametrize("name", ["a", "a" * 64, "é" * 32, "home/attic light_1-2", "温度"])
def test_good_names_are_accepted(name: str) -> None:
    check_publishable(name, None, 0)


def test_data_has_at_most_100_kb() -> None:
    check_publishable("a", b"x" * MAX_API_DATA_BYTES, 60)
    with pytest.raises(EventDataError, match=str(MAX_API_DATA_BYTES)):
        check_publishable("a", b"x" * (MAX_API_DATA_BYTES + 1), 60)


@pytest.mark.parametrize("ttl_s", [-1, MAX_TTL_S + 1])
def test_a_ttl_outside_of_24_bits_is_refused(ttl_s: int) -> None:
    check_publishable("a", b"", MAX_TTL_S)
    with pytest.raises(EventTtlError, match=str(MAX_TTL_S)):
        check_publishable("a", b"", ttl_s)


def test_every_refusal_is_the_callers_fault() -> None:
    for error in (EventNameError, ReservedNameError, EventDataError, EventTtlError):
        assert issubclass(error, InvalidError)
