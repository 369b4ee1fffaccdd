"""Answers that are made of several structs."""

import itertools

import msgspec
import pytest

from cyan.rest.responses import join_objects


class Name(msgspec.Struct):
    name: str


class Perhaps(msgspec.Struct):
    more: str | msgspec.UnsetType = msgspec.UNSET


class Two(msgspec.Struct):
    first: dict[str, str]
    second: list[int]


PARTS = (Name("},{"), Perhaps(), Two({"{": "}"}, []))


@pytest.mark.parametrize("parts", list(itertools.permutations(PARTS)))
def test_one_object_has_the_fields_of_all(parts: tuple[msgspec.Struct, ...]) -> None:
    joined = msgspec.json.decode(join_objects(parts))
    assert joined == {"name": "},{", "first": {"{": "}"}, "second": []}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_of_nothing_there_is_an_empty_object(count: int) -> None:
    assert join_objects([Perhaps()] * count) == b"{}"
