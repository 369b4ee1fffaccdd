"""Every decoder and machine of `cyan.wire` with changed real bytes; `make soak` has a million."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from random import Random

import pytest

import cyan.wire
from tests.wire.fuzz import TARGETS, Target, is_accepted, mutate

ROUNDS = 2000
SLOW_ROUNDS = 100
PREFIXES = ("decode", "read_", "open_", "split_", "parse_", "take_")
METHODS = ("feed", "open", "add")


def what_takes_bytes() -> Iterator[str]:
    """Public functions and methods of `cyan.wire` whose names say that they read."""
    for info in pkgutil.walk_packages(cyan.wire.__path__, "cyan.wire."):
        module = importlib.import_module(info.name)
        short = info.name.removeprefix("cyan.wire.")
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != info.name:
                continue
            if inspect.isfunction(value) and name.startswith(PREFIXES):
                yield f"{short}.{name}"
            elif inspect.isclass(value):
                yield from (
                    f"{short}.{name}.{method}" for method in METHODS if method in vars(value)
                )


def test_no_decoder_is_left_out() -> None:
    found = set(what_takes_bytes())
    assert len(found) > 40
    assert found - {name.split(" ")[0] for name in TARGETS} == set()


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_genuine_bytes_are_accepted(target: Target) -> None:
    assert any(is_accepted(target, seed) for seed in target.seeds)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_changed_bytes_are_a_value_or_malformed(target: Target) -> None:
    random = Random(ROUNDS)
    for _ in range(SLOW_ROUNDS if target.is_slow else ROUNDS):
        is_accepted(target, mutate(random, target.seeds))
