"""Cursors: ours come back as they were, all else is refused, and they tell nothing."""

import pytest

from cyan.events.cursors import Cursors, MalformedCursorError
from cyan.events.store import cursor_key
from tests.events.world import World

KEY = bytes(range(16))


@pytest.mark.parametrize("position", [0, 1, 255, 2**40, 2**63 - 1])
def test_a_cursor_comes_back_as_the_position(position: int) -> None:
    text = Cursors(KEY).encode(position)
    assert Cursors(KEY).decode(text) == position
    assert text.replace("-", "").replace("_", "").isalnum()


def test_neighbouring_positions_look_unrelated() -> None:
    cursors = Cursors(KEY)
    one, two = cursors.encode(1), cursors.encode(2)
    assert sum(a == b for a, b in zip(one, two, strict=True)) < len(one) // 2


@pytest.mark.parametrize("text", ["", "17", "x" * 22, "A" * 21, "A" * 23, "é" * 22, "=" * 22])
def test_what_is_not_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(MalformedCursorError):
        Cursors(KEY).decode(text)


def test_a_cursor_of_another_server_is_refused() -> None:
    with pytest.raises(MalformedCursorError):
        Cursors(KEY).decode(Cursors(bytes(16)).encode(17))


def test_the_key_lasts_as_long_as_the_database(world: World) -> None:
    assert cursor_key(world.db) == cursor_key(world.db)
    assert world.cursors.decode(Cursors(cursor_key(world.db)).encode(5)) == 5
