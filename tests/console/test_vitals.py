"""What a device measured, as people write it."""

import pytest

from cyan.console.vitals import in_words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0xC0A8_0001, "192.168.0.1"),
        (0xC0A8_0001 - (1 << 32), "192.168.0.1"),
        (0, "0.0.0.0"),
        ("10.0.0.7", "10.0.0.7"),
    ],
)
def test_an_address_is_written_with_points(value: object, words: str) -> None:
    assert in_words("device.network.ip.address", value) == words
    assert in_words("device.network.ip.gateway", value) == words


def test_other_numbers_stay_what_they_are_and_switches_are_yes_or_no() -> None:
    assert in_words("device.system.memory.used", 0xC0A8_0001) == "3232235521"
    assert in_words("device.network.ip.flags", 3) == "3"
    assert in_words("device.system.protected", False) == "no"
    assert in_words("device.system.protected", True) == "yes"
