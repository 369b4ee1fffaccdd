"""Strict reading of what people write for the simulator: TOML tables with bounds.

Whatever is not as it has to be is refused with the file, the key and what would be right.
"""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Final, TypeGuard

MAX_FILE_BYTES: Final = 1 << 20
"""More than the bounds of everything in a file come to."""
SHOWN_CHARACTERS: Final = 40
"""Of a value that is refused."""

Range = tuple[float, float]


class TableError(ValueError):
    """What is written makes no sense; says where, and what would."""


class Table:
    """One table of `source`, `path` being the keys that lead to it.

    Each key is taken by one of the methods below; what has no default has to be there. `finish`
    refuses the keys that nobody took.
    """

    def __init__(self, source: str, values: dict[str, object], path: str = "") -> None:
        self._source = source
        self._values = values
        self._path = path
        self._taken: list[str] = []

    @property
    def place(self) -> str:
        """Where it stands, as refusals tell it."""
        return f"{self._source}: {self._path}" if self._path else self._source

    def has(self, key: str) -> bool:
        """Whether the key is there; it still has to be taken."""
        return key in self._values

    def refusal(self, key: str, right: str) -> TableError:
        """The error for the value of a key; `right` says what would be right."""
        value = _shown(self._values[key]) if key in self._values else "nothing"
        return TableError(f"{self._place(key)} is {right}, not {value}")

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A number from `low` to `high`."""
        number = _number(self._take(key, default), low, high)
        if number is None:
            raise self.refusal(key, f"a number from {low:g} to {high:g}")
        return number

    def numbers(self, key: str, low: float, high: float, most: int) -> tuple[float, ...]:
        """A list of 1 to `most` numbers from `low` to `high`."""
        value = self._take(key, None)
        numbers = [_number(one, low, high) for one in value] if isinstance(value, list) else []
        found = tuple(number for number in numbers if number is not None)
        if not 1 <= len(found) == len(numbers) <= most:
            raise self.refusal(key, f"a list of 1 to {most} numbers from {low:g} to {high:g}")
        return found

    def range(self, key: str, low: float, high: float, default: Range | None = None) -> Range:
        """A number for both ends, or a list of both."""
        if default is not None and key not in self._values:
            self._taken.append(key)
            return default
        value = self._take(key, None)
        ends = value if isinstance(value, list) else [value, value]
        found = [number for end in ends if (number := _number(end, low, high)) is not None]
        match found:
            case first, second if len(ends) == len(found) and first <= second:
                return first, second
        raise self.refusal(key, f"a number from {low:g} to {high:g}, or [lowest, highest]")

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`."""
        value = self._take(key, default)
        if not _is_integer(value, low, high):
            raise self.refusal(key, f"a whole number from {low} to {high}")
        return value

    def integer_or(self, key: str, word: str, low: int, high: int, default: int) -> int | None:
        """A whole number from `low` to `high`, None where the word stands instead."""
        value = self._take(key, default)
        if value == word:
            return None
        if not _is_integer(value, low, high):
            raise self.refusal(key, f"a whole number from {low} to {high}, or {word!r}")
        return value

    def boolean(self, key: str) -> bool:
        """`true` or `false`."""
        value = self._take(key, None)
        if not isinstance(value, bool):
            raise self.refusal(key, "true or false")
        return value

    def text(self, key: str, most_bytes: int) -> str:
        """Text of at most `most_bytes` bytes of UTF-8."""
        value = self._take(key, None)
        if not isinstance(value, str) or len(value.encode()) > most_bytes:
            raise self.refusal(key, f"text of at most {most_bytes} bytes")
        return value

    def name(self, key: str, most_bytes: int) -> str:
        """Text of 1 to `most_bytes` bytes without control characters."""
        value = self._take(key, None)
        if not isinstance(value, str) or not is_name(value, most_bytes):
            raise self.refusal(key, f"a name of 1 to {most_bytes} bytes")
        return value

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        """One of these words."""
        value = self._take(key, default)
        if not isinstance(value, str) or value not in choices:
            raise self.refusal(key, f"one of {', '.join(choices)}")
        return value

    def table(self, key: str) -> "Table":
        """A table; an empty one when it is not there."""
        value = self._take(key, {})
        if not isinstance(value, dict):
            raise self.refusal(key, "a table")
        return Table(self._source, value, self._joined(key))

    def tables(self, key: str, most: int) -> list["Table"]:
        """A list of at most `most` tables; an empty one when it is not there."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.refusal(key, f"a list of tables, each after its [[{self._joined(key)}]]")
        if len(value) > most:
            raise TableError(f"{self._place(key)} has at most {most} entries, not {len(value)}")
        return [
            Table(self._source, one, f"{self._joined(key)}[{number}]")
            for number, one in enumerate(value)
        ]

    def names(self, most: int, most_bytes: int) -> list[str]:
        """All keys of this table, at most `most`, which are names of 1 to `most_bytes` bytes."""
        if len(self._values) > most:
            raise TableError(f"{self.place} has at most {most} entries, not {len(self._values)}")
        for key in self._values:
            if not is_name(key, most_bytes):
                raise TableError(f"{self.place} has names of 1 to {most_bytes} bytes")
        return list(self._values)

    def finish(self) -> None:
        """Refuses the first key that nobody took."""
        for key in self._values:
            if key not in self._taken:
                there_is = f"there is {', '.join(dict.fromkeys(self._taken))}"
                raise TableError(f"{self._place(key)} means nothing; {there_is}")

    def _take(self, key: str, default: object) -> object:
        self._taken.append(key)
        return self._values.get(key, default)

    def _joined(self, key: str) -> str:
        return ".".join(part for part in (self._path, key) if part)

    def _place(self, key: str) -> str:
        return f"{self._source}: {self._joined(key)}"


def read_file(path: Path) -> Table:
    """The table that a TOML file is.

    Raises:
        TableError: It cannot be read, is too long or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TableError(f"{path}: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise TableError(f"{path}: longer than {MAX_FILE_BYTES} bytes")
    return read_text(content, str(path))


def read_text(content: bytes, source: str) -> Table:
    """The same for TOML that is at hand; `source` is how it is called in refusals."""
    try:
        return Table(source, tomllib.loads(content.decode()))
    except (ValueError, RecursionError) as error:
        raise TableError(f"{source}: no TOML: {error}") from None


def is_name(text: str, most_bytes: int) -> bool:
    """Whether it has 1 to `most_bytes` bytes of UTF-8 and no control characters."""
    return 1 <= len(text.encode()) <= most_bytes and text.isprintable()


def _is_integer(value: object, low: int, high: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(value: object, low: float, high: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}…"
