"""The body of a function as statements. Expressions stay tokens."""

from typing import Final

import msgspec

from cyan.firmware.wiring.diagnostics import Report
from cyan.firmware.wiring.lexer import Kind, Token
from cyan.firmware.wiring.spans import Span

MAX_DEPTH: Final = 60
"""Of statements in statements; ours."""
MAX_CHAIN: Final = 150
"""Of `else if`; ours: each is followed inside of the one before it."""


class Plain(msgspec.Struct, frozen=True):
    """An expression or a declaration."""

    span: Span


class Return(msgspec.Struct, frozen=True):
    """The end of the function; `value` is empty where nothing is returned."""

    value: Span


class If(msgspec.Struct, frozen=True):
    """`then` runs if the condition holds, else `otherwise`."""

    condition: Span
    then: "tuple[Statement, ...]"
    otherwise: "tuple[Statement, ...]" = ()


class Loop(msgspec.Struct, frozen=True):
    """`for`, `while` and `do`; `head` is what stands in the brackets."""

    word: Token
    head: Span
    body: "tuple[Statement, ...]"


class Branches(msgspec.Struct, frozen=True):
    """A `switch`, of which is known only what it may do."""

    word: Token
    head: Span
    body: "tuple[Statement, ...]"


class Other(msgspec.Struct, frozen=True):
    """A block with something before it, as `WITH_LOCK(Serial) {…}`."""

    head: Span
    body: "tuple[Statement, ...]"


Statement = Plain | Return | If | Loop | Branches | Other

_STARTS: Final = frozenset({"return", "if", "for", "while", "do", "switch", "break", "continue"})


def parse_body(span: Span, report: Report, *, is_strict: bool) -> tuple[Statement, ...]:
    """The statements between the braces of a function.

    Where `is_strict`, a missing semicolon is an error. Raises FaultyFileError for what makes no
    sense.
    """
    return _Parser(report, is_strict).block(span, 0)


class _Parser:
    def __init__(self, report: Report, is_strict: bool) -> None:
        self._report = report
        self._is_strict = is_strict

    def block(self, span: Span, depth: int) -> tuple[Statement, ...]:
        found: list[Statement] = []
        index = span.start
        while index < span.end:
            made, index = self._statement(span, index, depth)
            found += made
        return tuple(found)

    def _statement(self, span: Span, index: int, depth: int) -> tuple[list[Statement], int]:
        """The statement that begins here, none for an empty one, and where the next one begins."""
        token = span.code.tokens[index]
        if depth > MAX_DEPTH:
            raise self._report.fail(token, f"blocks are nested more than {MAX_DEPTH} times")
        if token.is_mark(";"):
            return [], index + 1
        if token.is_mark("{"):
            inside = span.inside(index)
            return list(self.block(inside, depth + 1)), inside.end + 1
        match token.text if token.kind is Kind.NAME else "":
            case "if":
                return self._if(span, index, depth)
            case "for" | "while" | "switch":
                head, index = self._head(span, index)
                body, index = self._nested(span, index, depth)
                kind = Branches if token.text == "switch" else Loop
                return [kind(token, head, body)], index
            case "do":
                return self._do(span, index, depth)
            case "else":
                raise self._report.fail(token, "'else' without a previous 'if'")
            case "case" | "default":
                colon = span.part(index, span.end).find(":")
                return [], span.end if colon is None else colon + 1
            case "return":
                end = self._end(span, index + 1)
                return [Return(span.part(index + 1, end))], end + 1
        following = span.at(index + 1)
        if token.kind is Kind.NAME and following is not None and following.is_mark(":"):
            return [], index + 2  # a label
        return self._plain(span, index, depth)

    def _if(self, span: Span, index: int, depth: int) -> tuple[list[Statement], int]:
        """With all of its `else if`: sources have chains of hundreds."""
        chain: list[tuple[Span, tuple[Statement, ...]]] = []
        otherwise: tuple[Statement, ...] = ()
        while True:
            if (word := span.at(index + 1)) is not None and word.is_name("constexpr"):
                index += 1
            head, index = self._head(span, index)
            then, index = self._nested(span, index, depth)
            chain.append((head, then))
            following = span.at(index)
            if following is None or not following.is_name("else"):
                break
            index += 1
            following = span.at(index)
            if following is None or not following.is_name("if"):
                otherwise, index = self._nested(span, index, depth)
                break
        if len(chain) > MAX_CHAIN:
            raise self._report.fail(chain[0][0].first, f"more than {MAX_CHAIN} 'else if'")
        for head, then in reversed(chain):
            otherwise = (If(head, then, otherwise),)
        return list(otherwise), index

    def _do(self, span: Span, index: int, depth: int) -> tuple[list[Statement], int]:
        word = span.code.tokens[index]
        body, index = self._nested(span, index + 1, depth)
        while_ = span.at(index)
        if while_ is None or not while_.is_name("while"):
            raise self._report.fail(while_ or word, "expected 'while' after the body of 'do'")
        head, index = self._head(span, index)
        return [Loop(word, head, body)], self._end(span, index) + 1

    def _head(self, span: Span, index: int) -> tuple[Span, int]:
        """What stands in the brackets after a word, and where it goes on."""
        word, opening = span.code.tokens[index], span.at(index + 1)
        if opening is None or not opening.is_mark("("):
            text = f"expected '(' before {_quoted(opening)}"
            raise self._report.fail(opening or word, text)
        inside = span.inside(index + 1)
        return inside, inside.end + 1

    def _nested(self, span: Span, index: int, depth: int) -> tuple[tuple[Statement, ...], int]:
        if index >= span.end:
            last = span.code.tokens[index - 1]
            raise self._report.fail(last, "expected a statement at the end of the block")
        made, index = self._statement(span, index, depth + 1)
        return tuple(made), index

    def _plain(self, span: Span, index: int, depth: int) -> tuple[list[Statement], int]:
        tokens = span.code.tokens
        rest = span.part(index, span.end)
        # A macro before a block: NAME(…) {
        brace = index + 1
        opening = span.at(brace)
        if opening is not None and opening.is_mark("(") and tokens[index].text.isupper():
            brace = span.code.partner[brace] + 1
        if (at := span.at(brace)) is not None and at.is_mark("{") and tokens[index].text.isupper():
            inside = span.inside(brace)
            return [Other(rest.part(index, brace), self.block(inside, depth + 1))], inside.end + 1
        end = self._end(span, index)
        return [Plain(rest.part(index, end))], end + 1

    def _end(self, span: Span, start: int) -> int:
        """Where the semicolon of the statement stands."""
        tokens = span.code.tokens
        before: int | None = None
        for index in span.part(start, span.end).places():
            token = tokens[index]
            if token.is_mark(";"):
                return index
            if before is not None and self._is_next_statement(span, before, token):
                self._miss(token, before, span)
                return index - 1
            before = index
        if before is not None:
            self._miss(None, before, span)
        return span.end - 1 if before is None else span.end

    def _is_next_statement(self, span: Span, before: int, token: Token) -> bool:
        """Whether a new statement begins with this token, without a semicolon before it."""
        if token.kind is not Kind.NAME:
            return False
        last = span.code.tokens[span.code.partner.get(before, before)]
        if token.text in _STARTS:
            return True
        is_next_line = token.place.line > last.place.line
        if last.kind in (Kind.NUMBER, Kind.STRING):
            return is_next_line and last.kind is Kind.NUMBER
        return is_next_line and last.is_mark(")") and self._is_call(span, before)

    def _is_call(self, span: Span, opening: int) -> bool:
        name = span.at(opening - 1)
        return name is not None and name.kind is Kind.NAME and not name.text.isupper()

    def _has_macro(self, span: Span, opening: int) -> bool:
        """Whether the name before a bracket is that of a macro, which may bring its semicolon."""
        name = span.at(opening - 1)
        return name is not None and name.kind is Kind.NAME and name.text.isupper()

    def _miss(self, token: Token | None, before: int, span: Span) -> None:
        last_index = span.code.partner.get(before, before)
        last = span.code.tokens[max(last_index, before)]
        is_macro = last.is_mark(")") and self._has_macro(span, before)
        if not self._is_strict or (token is None and (last.is_mark("}") or is_macro)):
            return
        what = "'}' token" if token is None else _quoted(token)
        self._report.error(last, f"expected ';' before {what}")


def _quoted(token: Token | None) -> str:
    return "the end" if token is None else f"'{token.shown}'"
