"""Directives: conditions and simple macros (ISO C++17 §19). Nothing is included: all files of a
project are read anyway, and those of Device OS are not needed."""

import re
from typing import Final

from cyan.firmware.wiring.diagnostics import Report
from cyan.firmware.wiring.expressions import UnreadableError, Value, evaluate_tokens
from cyan.firmware.wiring.lexer import Kind, Place, Token

MAX_EXPANDED_TOKENS: Final = 200_000
"""That macros may make in one file; without a bound macros of macros fill the memory."""
MAX_MACROS: Final = 20_000
MAX_NESTED: Final = 100
"""Macros in macros."""

_SYSTEM_VERSION: Final = re.compile(r"SYSTEM_VERSION_v(\d)(\d)(\d)\Z")


class Macros:
    """The macros of a project: the same for all of its files, since headers are read first."""

    def __init__(self, known: dict[str, int]) -> None:
        place = Place("<built-in>", 1, 1)
        self.simple: dict[str, list[Token]] = {
            name: [Token(Kind.NUMBER, str(number), place)] for name, number in known.items()
        }
        self.other: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.simple or name in self.other


def preprocess(lines: list[list[Token]], macros: Macros, report: Report) -> list[Token]:
    """The tokens that are compiled.

    Raises:
        FaultyFileError: Directives do not fit together, or a token is none of C++.
    """
    return _File(macros, report).read(lines)


class _Condition:
    """An open #if: whether its present branch is taken, and whether one was."""

    def __init__(self, token: Token, is_live: bool, is_true: bool) -> None:
        self.token = token
        self.is_outside_live = is_live
        self.is_live = is_live and is_true
        self.was_live = is_true
        self.has_else = False
        self.is_doubtful = False
        """A name in it may be a macro of Device OS, whose headers are not read."""


class _File:
    def __init__(self, macros: Macros, report: Report) -> None:
        self._macros = macros
        self._report = report
        self._open: list[_Condition] = []
        self._expanded = 0
        self._has_unknown = False

    def read(self, lines: list[list[Token]]) -> list[Token]:
        out: list[Token] = []
        for line in lines:
            if line and line[0].is_mark("#"):
                self._direct(line)
            elif self._is_live:
                for token in line:
                    self._check(token)
                    self._expand(token, out, frozenset())
        if self._open:
            raise self._report.fail(self._open[-1].token, "unterminated #if")
        return out

    @property
    def _is_live(self) -> bool:
        return not self._open or self._open[-1].is_live

    def _check(self, token: Token) -> None:
        if token.kind is Kind.STRAY:
            text = f"stray '{token.text}' in program"
            if token.text in "\"'":
                text = f"missing terminating {token.text} character"
            raise self._report.fail(token, text)

    def _expand(self, token: Token, out: list[Token], hidden: frozenset[str]) -> None:
        body = self._macros.simple.get(token.text) if token.kind is Kind.NAME else None
        if body is None or token.text in hidden or len(hidden) >= MAX_NESTED:
            out.append(token)
            return
        self._expanded += len(body)
        if self._expanded > MAX_EXPANDED_TOKENS:
            raise self._report.fail(token, f"macros make more than {MAX_EXPANDED_TOKENS} tokens")
        for one in body:
            # Messages point to the use.
            self._expand(one._replace(place=token.place), out, hidden | {token.text})

    def _direct(self, line: list[Token]) -> None:
        if len(line) < 2:
            return
        word, rest = line[1], line[2:]
        match word.text:
            case "if" | "ifdef" | "ifndef":
                self._has_unknown = False
                is_true = self._is_live and self._holds(word, rest)
                self._open.append(_Condition(word, self._is_live, is_true))
                self._open[-1].is_doubtful = self._has_unknown
            case "elif" | "else" | "endif":
                self._turn(word, rest)
            case _ if not self._is_live:
                return
            case "define":
                self._define(rest)
            case "undef" if rest:
                self._macros.simple.pop(rest[0].text, None)
                self._macros.other.discard(rest[0].text)
            case "error":
                text = " ".join(token.text for token in rest)[:200]
                if not any(condition.is_doubtful for condition in self._open):
                    raise self._report.fail(word, f"#error {text}")
                self._report.warn(word, f"#error {text} (its condition is not known for certain)")

    def _turn(self, word: Token, rest: list[Token]) -> None:
        if not self._open:
            raise self._report.fail(word, f"#{word.text} without #if")
        if word.text == "endif":
            self._open.pop()
            return
        now = self._open[-1]
        if now.has_else:
            raise self._report.fail(word, f"#{word.text} after #else")
        now.has_else = word.text == "else"
        may_be = now.is_outside_live and not now.was_live
        self._has_unknown = False
        now.is_live = may_be and (now.has_else or self._holds(word, rest))
        now.is_doubtful = now.is_doubtful or self._has_unknown
        now.was_live = now.was_live or now.is_live

    def _holds(self, word: Token, rest: list[Token]) -> bool:
        if word.text in ("ifdef", "ifndef"):
            is_known = bool(rest) and rest[0].text in self._macros
            return is_known is (word.text == "ifdef")
        tokens: list[Token] = []
        for token in self._without_defined(rest):
            self._expand(token, tokens, frozenset())
        try:
            value = evaluate_tokens(tokens, self._zero)
        except UnreadableError:
            self._report.warn(word, "the condition cannot be read: it is taken for false")
            return False
        return not isinstance(value, tuple) and bool(value)

    def _zero(self, name: str) -> Value:
        """Names that are no macros are 0 in conditions; versions of Device OS are what they say."""
        if match := _SYSTEM_VERSION.match(name):
            return version_number(*map(int, match.groups()))
        self._has_unknown = True
        return 0

    def _without_defined(self, tokens: list[Token]) -> list[Token]:
        """`defined X` and `defined(X)` as 1 or 0."""
        out: list[Token] = []
        index = 0
        while index < len(tokens):
            token = tokens[index]
            if not token.is_name("defined"):
                out.append(token)
                index += 1
                continue
            has_bracket = index + 1 < len(tokens) and tokens[index + 1].is_mark("(")
            name = index + (2 if has_bracket else 1)
            is_known = name < len(tokens) and tokens[name].text in self._macros
            out.append(Token(Kind.NUMBER, str(int(is_known)), token.place))
            index = name + (2 if has_bracket else 1)
        return out

    def _define(self, rest: list[Token]) -> None:
        if not rest or rest[0].kind is not Kind.NAME:
            return
        name, body = rest[0], rest[1:]
        if len(self._macros.simple) + len(self._macros.other) >= MAX_MACROS:
            raise self._report.fail(name, f"more than {MAX_MACROS} macros")
        follows = body[0].place if body and body[0].is_mark("(") else None
        touches = follows is not None and follows == name.place._replace(
            column=name.place.column + len(name.text)
        )
        if touches or any(token.kind is Kind.STRAY for token in body):
            # One with parameters stays a call, of which nothing is known.
            self._macros.other.add(name.text)
            self._macros.simple.pop(name.text, None)
        else:
            self._macros.simple[name.text] = body


def version_number(major: int, minor: int, patch: int) -> int:
    """`SYSTEM_VERSION` of a release of Device OS (its `system_version.h`)."""
    return major << 24 | minor << 16 | patch << 8 | 0xFF
