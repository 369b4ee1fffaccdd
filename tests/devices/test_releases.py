"""The number of a system module reads as a release."""

import pytest

from cyan.devices.releases import release_of, system_version_of


@pytest.mark.parametrize(
    ("number", "release"),
    [
        (6200, "6.2.0"),
        (6304, "6.3.4"),
        (5800, "5.8.0"),
        (5004, "5.1.0"),
        (4200, "4.2.0"),
        (4006, "4.0.2"),
        (3103, "3.1.0"),
        (2302, "2.3.1"),
        (1406, "1.4.4"),
        (207, "0.7.0"),
        (105, "0.6.1"),
        (15, "0.5.1"),
    ],
)
def test_a_release_reads_as_it_is_called(number: int, release: str) -> None:
    """From the list of versions of Device OS; 6304 does not exist yet, and follows the rule."""
    assert release_of(number) == release


@pytest.mark.parametrize(
    ("number", "release"), [(0, "0.4.0"), (14, "0.5.0"), (320, "0.8.0"), (1210, "1.2.0")]
)
def test_an_old_candidate_reads_as_the_first_of_its_line(number: int, release: str) -> None:
    assert release_of(number) == release


def test_any_number_reads_as_something() -> None:
    for number in (999, 65_535):
        assert release_of(number).count(".") == 2


@pytest.mark.parametrize(
    ("release", "number"),
    [("0.7.0", 207), ("1.5.2", 1512), ("3.0.0", 3005), ("5.4.1", 5410), ("6.2.0", 6200)],
)
def test_the_number_of_a_release_is_that_of_its_system(release: str, number: int) -> None:
    assert system_version_of(release) == number


@pytest.mark.parametrize("release", ["2.3.9", "6.2", "6.3.0-rc.1", "6.2.99999", "x.y.z", ""])
def test_where_the_number_cannot_be_told_there_is_none(release: str) -> None:
    assert system_version_of(release) is None
