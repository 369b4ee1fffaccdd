"""What can be known of a value without running anything: constants, and text made of variables."""

import operator
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from cyan.firmware.wiring.lexer import Kind, Token
from cyan.firmware.wiring.spans import Code, Span

MAX_DEPTH: Final = 40
"""Of expressions in expressions; ours."""
MAX_TOKENS: Final = 2000
"""Of one expression; ours."""
MAX_PIECES: Final = 64
"""Of a text with variables in it; what the image takes."""
MAX_TEXT: Final = 16 * 1024
"""Of a text that comes out, characters; what is published may have 1024 bytes."""
_MOST: Final = 1 << 64


class UnreadableError(Exception):
    """The value depends on what happens while the program runs."""


class Live(NamedTuple):
    """A variable whose value changes while the program runs."""

    name: str


Mixed = tuple["str | Live", ...]
"""Text with live variables in it."""
Constant = bool | int | float | str
Value = Constant | Live | Mixed
Lookup = Callable[[str], Value | None]
"""What a name stands for; None when that is not known."""

_NAMES: Final[dict[str, Constant]] = {
    "true": True, "false": False, "TRUE": True, "FALSE": False, "HIGH": 1, "LOW": 0,
    "NULL": 0, "nullptr": 0,
}  # fmt: skip
_INTEGER: Final = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)([uUlLzZ]*)\Z")
_FLOAT: Final = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)[fFlL]?\Z")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|h)\Z")
_UNIT_MS: Final = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}

_PLACE: Final = re.compile(
    r"%([-+ #0]{0,5}\d{0,3}(?:\.\d{0,2})?)(?:hh?|ll?|[Lzjt])?([diuxXofFeEgGcs%])"
)
"""One place of a format; the width is bounded by its digits."""

_LEVELS: Final = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="),
    ("<<", ">>"), ("+", "-"), ("*", "/", "%"),
)  # fmt: skip
"""Operators, the weakest first."""
_TEXTS: Final = frozenset({"String", "F", "string"})
_CAST_WORDS: Final = (
    "int float double long bool char unsigned uint32_t int32_t uint16_t int16_t uint8_t int8_t byte"
    " time_t size_t const short uint64_t int64_t static_cast"
)
_CASTS: Final = frozenset(_CAST_WORDS.split())
_UNITS: Final = {"milliseconds": 1, "seconds": 1000, "minutes": 60_000, "hours": 3_600_000}


def evaluate(span: Span, lookup: Lookup, depth: int = 0) -> Value:
    """What the expression is; durations are whole milliseconds.

    Raises:
        UnreadableError: That is not known.
    """
    if not span or depth > MAX_DEPTH or span.end - span.start > MAX_TOKENS:
        raise UnreadableError
    question = span.find("?")
    if question is not None:
        return _choose(span, question, lookup, depth)
    return _binary(span, lookup, 0, depth)


def evaluate_tokens(tokens: list[Token], lookup: Lookup) -> Value:
    """The same for tokens that are no part of a file: of a directive.

    Raises:
        UnreadableError: That is not known, or brackets do not match.
    """
    partner: dict[int, int] = {}
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.is_mark("("):
            opened.append(index)
        elif token.is_mark(")"):
            if not opened:
                raise UnreadableError
            start = opened.pop()
            partner[start], partner[index] = index, start
    if opened or any(token.is_mark("[", "]", "{", "}") for token in tokens):
        raise UnreadableError
    return evaluate(Span(Code(tokens, partner), 0, len(tokens)), lookup)


def as_pieces(value: Value) -> Mixed:
    """A value as text."""
    if isinstance(value, tuple) and not isinstance(value, Live):
        return value
    return (value,) if isinstance(value, (Live, str)) else (show(value),)


def show(value: Constant) -> str:
    """A constant as `String()` writes it: floating point with two decimals."""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _choose(span: Span, question: int, lookup: Lookup, depth: int) -> Value:
    rest = span.part(question + 1, span.end)
    colon = rest.find(":")
    condition = evaluate(span.part(span.start, question), lookup, depth + 1)
    if colon is None or isinstance(condition, tuple):
        raise UnreadableError
    chosen = rest.part(rest.start, colon) if condition else rest.part(colon + 1, rest.end)
    return evaluate(chosen, lookup, depth + 1)


def _binary(span: Span, lookup: Lookup, level: int, depth: int) -> Value:
    """Splits at the last operator of the weakest level that there is."""
    if not span or depth > MAX_DEPTH:
        raise UnreadableError
    tokens = span.code.tokens
    places = list(span.places())
    for marks in _LEVELS[level:]:
        for number in range(len(places) - 1, 0, -1):
            index = places[number]
            before = tokens[places[number - 1]]
            # A sign after an operator belongs to what follows.
            if not tokens[index].is_mark(*marks) or _wants_operand(before):
                continue
            left = _binary(span.part(span.start, index), lookup, 0, depth + 1)
            right = _binary(span.part(index + 1, span.end), lookup, 0, depth + 1)
            return _apply(tokens[index].text, left, right)
    return _unary(span, lookup, depth)


def _wants_operand(token: Token) -> bool:
    return token.kind is Kind.MARK and token.text not in (")", "]", "}", "(", "[", "{", "++", "--")


def _apply(mark: str, left: Value, right: Value) -> Value:
    if isinstance(left, (tuple, str)) or isinstance(right, (tuple, str)):
        if mark == "+":
            return joined(left, right)
        if mark in ("==", "!=") and isinstance(left, str) and isinstance(right, str):
            return (left == right) is (mark == "==")
        raise UnreadableError
    if mark == "&&":
        return bool(left) and bool(right)
    if mark == "||":
        return bool(left) or bool(right)
    try:
        result = _ARITHMETIC[mark](left, right)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise UnreadableError from error
    if abs(result) > _MOST:
        raise UnreadableError
    return result


def _divide(left: float, right: float) -> int | float:
    if isinstance(left, int) and isinstance(right, int):
        return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return left / right


def _shift_left(left: float, right: float) -> int:
    if not isinstance(left, int) or not isinstance(right, int) or not 0 <= right < 64:
        raise UnreadableError
    return left << right


_ARITHMETIC: Final[dict[str, Callable[..., int | float]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divide, "%": operator.mod,
    "<<": _shift_left, ">>": operator.rshift, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
    "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


def joined(left: Value, right: Value) -> Value:
    """Text of both. Raises UnreadableError when there is too much of it."""
    pieces = (*as_pieces(left), *as_pieces(right))
    size = sum(len(piece) for piece in pieces if isinstance(piece, str))
    if size > MAX_TEXT or len(pieces) > MAX_PIECES:
        raise UnreadableError
    return "".join(map(str, pieces)) if all(isinstance(one, str) for one in pieces) else pieces


def _unary(span: Span, lookup: Lookup, depth: int) -> Value:
    first = span.first
    rest = span.part(span.start + 1, span.end)
    if first.is_mark("-", "+", "!", "~"):
        value = _binary(rest, lookup, len(_LEVELS), depth + 1) if rest else None
        if value is None or isinstance(value, (str, tuple)):
            raise UnreadableError
        if first.text == "!":
            return not value
        if first.text == "~" and isinstance(value, int):
            return ~value
        return -value if first.text == "-" else +value
    if first.is_mark("("):
        inside = span.inside(span.start)
        if inside.end + 1 == span.end:
            return evaluate(inside, lookup, depth + 1)
        if all(token.text in _CASTS or token.is_mark("*") for token in inside.tokens):
            return _cast(inside, _binary(span.part(inside.end + 1, span.end), lookup, 9, depth + 1))
    return _operand(span, lookup, depth)


def _cast(kind: Span, value: Value) -> Value:
    if isinstance(value, (tuple, str)):
        return value
    names = {token.text for token in kind.tokens}
    if names & {"float", "double"}:
        return float(value)
    return value != 0 if "bool" in names else int(value)


def _operand(span: Span, lookup: Lookup, depth: int) -> Value:
    tokens = span.tokens
    first = tokens[0]
    if all(token.kind is Kind.STRING for token in tokens):
        return "".join(token.text for token in tokens)
    if len(tokens) == 1:
        return _single(first, lookup)
    if first.kind is Kind.STRING:
        return _literal_before_macro(span, lookup)
    # std::string and its kin: the last name counts.
    index = span.start
    while index + 2 < span.end and span.code.tokens[index + 1].is_mark("::"):
        index += 2
    name = span.code.tokens[index]
    opening = index + 1
    bracket = span.at(opening)
    if bracket is None:
        return _single(name, lookup)
    if name.kind is Kind.NAME and bracket.is_mark("(", "{"):
        inside = span.inside(opening)
        if inside.end + 1 == span.end:
            return _call(name.text, inside, lookup, depth)
    if bracket.is_mark(".") and tokens[-1].is_mark(")"):
        method = span.at(opening + 1)
        if method is not None and method.text in ("c_str", "toString"):
            return _single(name, lookup)
    raise UnreadableError


def _literal_before_macro(span: Span, lookup: Lookup) -> Value:
    """`"a" NAME "b"`, where NAME is a constant."""
    value: Value = ""
    for token in span.tokens:
        value = joined(value, token.text if token.kind is Kind.STRING else _single(token, lookup))
    return value


def _call(name: str, inside: Span, lookup: Lookup, depth: int) -> Value:
    arguments = inside.split(",")
    if name == "format":
        return formatted(arguments, lookup, depth + 1)
    if name in _TEXTS and not arguments:
        return ""
    if len(arguments) not in (1, 2):
        raise UnreadableError
    value = evaluate(arguments[0], lookup, depth + 1)
    if name in _TEXTS:
        text = as_pieces(value)
        return text[0] if len(text) == 1 and isinstance(text[0], str) else text
    if name in _CASTS and not isinstance(value, (tuple, str)):
        return float(value) if name in ("float", "double") else int(value)
    if name in _UNITS and isinstance(value, int):
        return value * _UNITS[name]
    raise UnreadableError


def formatted(arguments: list[Span], lookup: Lookup, depth: int = 0) -> Value:
    """What `String::format` makes of a format and values. Live variables are written in full.

    Raises:
        UnreadableError: The format or a value is not known.
    """
    if not arguments:
        raise UnreadableError
    form = evaluate(arguments[0], lookup, depth + 1)
    if not isinstance(form, str):
        raise UnreadableError
    made: Value = ""
    rest, at = iter(arguments[1:]), 0
    for match in _PLACE.finditer(form):
        made, at = joined(made, form[at : match.start()]), match.end()
        if match[2] == "%":
            made = joined(made, "%")
            continue
        argument = next(rest, None)
        if argument is None:
            raise UnreadableError
        value = evaluate(argument, lookup, depth + 1)
        made = joined(made, value if isinstance(value, tuple) else _print(match, value))
    return joined(made, form[at:])


def _print(match: re.Match[str], value: Constant) -> str:
    try:
        return f"%{match[1]}{match[2]}" % value
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableError from error


def _single(token: Token, lookup: Lookup) -> Value:
    if token.kind is Kind.STRING:
        return token.text
    if token.kind is Kind.CHARACTER and len(token.text) == 1:
        return ord(token.text)
    if token.kind is Kind.NUMBER:
        return _number(token.text.replace("'", ""))
    if token.kind is Kind.NAME:
        known = _NAMES.get(token.text)
        value = lookup(token.text) if known is None else known
        if value is not None:
            return value
    raise UnreadableError


def _number(text: str) -> int | float:
    if len(text) > 64:
        raise UnreadableError
    if match := _INTEGER.match(text):
        digits = match[1]
        is_octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
        try:
            value = int(digits, 8) if is_octal else int(digits, 0)
        except ValueError as error:
            raise UnreadableError from error
        if value > _MOST:
            raise UnreadableError
        return value
    if match := _DURATION.match(text):
        return round(float(match[1]) * _UNIT_MS[match[2]])
    if match := _FLOAT.match(text):
        value_f = float(match[1])
        if value_f > _MOST:
            raise UnreadableError
        return value_f
    raise UnreadableError
