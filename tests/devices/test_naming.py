"""Made names."""

from cyan.devices.model import check_name
from cyan.devices.naming import _ADJECTIVES, _ANIMALS, make_name


def test_every_made_name_is_a_good_name() -> None:
    assert len(set(_ADJECTIVES)) * len(set(_ANIMALS)) > 4000
    for adjective in _ADJECTIVES:
        for animal in _ANIMALS:
            name = f"{adjective}_{animal}"
            assert check_name(name) == name


def test_a_name_is_made_even_when_all_plain_ones_are_taken() -> None:
    taken = {f"{adjective}_{animal}" for adjective in _ADJECTIVES for animal in _ANIMALS}
    name = make_name(taken)
    assert name not in taken
    assert check_name(name) == name
