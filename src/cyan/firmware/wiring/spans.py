"""The tokens of a file with their brackets paired, and pieces of it."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from cyan.firmware.wiring.diagnostics import Report
from cyan.firmware.wiring.lexer import Kind, Place, Token

_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_OPENING: Final = frozenset(_CLOSING)
_TIGHT: Final = re.compile(r" (?=[,;)\]])|(?<=[(\[!]) | ?(\.|::|->|[(\[]) ?")


class Code:
    """All tokens of a file after the preprocessor; `partner` pairs the places of brackets."""

    def __init__(self, tokens: list[Token], partner: dict[int, int]) -> None:
        self.tokens = tokens
        self.partner = partner


class Span(NamedTuple):
    """The tokens of `code` from `start` to before `end`."""

    code: Code
    start: int
    end: int

    def __bool__(self) -> bool:
        return self.start < self.end

    @property
    def tokens(self) -> list[Token]:
        return self.code.tokens[self.start : self.end]

    @property
    def first(self) -> Token:
        return self.code.tokens[self.start]

    @property
    def text(self) -> str:
        """As a message shows it."""
        shown = " ".join(token.shown for token in self.tokens[:12])
        return _TIGHT.sub(r"\1", shown)[:80]

    def at(self, index: int) -> Token | None:
        """The token at this place of the file, if it is in the span."""
        return self.code.tokens[index] if self.start <= index < self.end else None

    def inside(self, opening: int) -> "Span":
        """What stands between the bracket at this place of the file and its partner."""
        return Span(self.code, opening + 1, self.code.partner[opening])

    def part(self, start: int, end: int) -> "Span":
        return Span(self.code, start, end)

    def places(self) -> Iterator[int]:
        """The places of tokens that stand in no bracket of the span; of brackets the opening."""
        index = self.start
        while index < self.end:
            yield index
            index = self.code.partner.get(index, index) + 1 if self._opens(index) else index + 1

    def split(self, mark: str) -> "list[Span]":
        """The pieces between marks outside of brackets; none for an empty span."""
        if not self:
            return []
        pieces, start = [], self.start
        for index in self.places():
            if self.code.tokens[index].is_mark(mark):
                pieces.append(self.part(start, index))
                start = index + 1
        return [*pieces, self.part(start, self.end)]

    def find(self, *marks: str) -> int | None:
        """Where one of the marks first stands outside of brackets."""
        tokens = self.code.tokens
        return next((index for index in self.places() if tokens[index].is_mark(*marks)), None)

    def _opens(self, index: int) -> bool:
        return self.code.tokens[index].is_mark(*_OPENING)


def pair_brackets(tokens: list[Token], report: Report, end: Place) -> Code:
    """Pairs the brackets of a file, whose last place is `end`.

    Raises:
        FaultyFileError: One has no partner.
    """
    partner: dict[int, int] = {}
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind is not Kind.MARK:
            continue
        if token.text in _OPENING:
            opened.append(index)
        elif token.text in _CLOSING.values():
            if not opened:
                raise report.fail(token, f"expected declaration before '{token.text}' token")
            start = opened.pop()
            wanted = _CLOSING[tokens[start].text]
            if token.text != wanted:
                raise report.fail(token, f"expected '{wanted}' before '{token.text}' token")
            partner[start], partner[index] = index, start
    if opened:
        start = opened[-1]
        wanted = _CLOSING[tokens[start].text]
        line = tokens[start].place.line
        raise report.fail(
            end,
            f"expected '{wanted}' at end of input; '{tokens[start].text}' of line {line} is open",
        )
    return Code(tokens, partner)
