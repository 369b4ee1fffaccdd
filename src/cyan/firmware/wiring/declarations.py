"""The functions and variables of a file: what stands outside of functions, and in classes."""

import itertools
from typing import Final

import msgspec

from cyan.firmware.wiring.diagnostics import Report
from cyan.firmware.wiring.lexer import Kind, Token
from cyan.firmware.wiring.spans import Span
from cyan.firmware.wiring.statements import Statement, parse_body
from cyan.wire.simulated import Type

MAX_DEPTH: Final = 30
"""Of classes and namespaces in each other; ours."""

_INTEGER_WORDS: Final = (
    "int long short unsigned signed byte char int8_t int16_t int32_t int64_t uint8_t uint16_t"
    " uint32_t uint64_t size_t time_t time32_t system_tick_t pin_t"
)
_TYPES: Final[dict[str, Type]] = {
    "bool": "bool",
    "boolean": "bool",
    "float": "double",
    "double": "double",
    "String": "string",
    "string": "string",
    **dict.fromkeys(_INTEGER_WORDS.split(), "int"),
}
_QUALIFIER_WORDS: Final = (
    "static const constexpr volatile extern retained inline mutable auto thread_local register"
    " STARTUP std virtual explicit friend"
)
_QUALIFIERS: Final = frozenset(_QUALIFIER_WORDS.split())
_BUILT_IN: Final = frozenset({"void", "int", "bool", "float", "double", "char", "long", "unsigned"})
_NO_FUNCTIONS: Final = frozenset({"__attribute__", "alignas", "decltype", "noexcept", "throw"})
_SCOPES: Final = frozenset({"class", "struct", "union"})


class Variable(msgspec.Struct, frozen=True):
    """A declared variable; the type is None where it is none that the cloud knows.

    `initial` is what follows the `=` or stands in brackets after the name. `kind` is the last name
    of its type, as `Timer`.
    """

    name: Token
    type: Type | None
    kind: str
    initial: Span | None
    is_constant: bool


class Function(msgspec.Struct, frozen=True):
    """A function with its body; a method has the name of its class as `owner`. Two of one
    `signature` cannot be."""

    name: Token
    owner: str
    signature: str
    parameters: tuple[str, ...]
    type: Type | None
    body: tuple[Statement, ...]


class Declarations:
    """What the files of a project declare."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        """Free functions by name, methods as `Class::method`."""
        self.variables: dict[str, Variable] = {}
        self.members: dict[str, Variable] = {}
        self.macros: list[tuple[Token, Span]] = []
        """Macros that stand alone outside of functions, as PRODUCT_VERSION(3), with what stands in
        their brackets."""
        self.names: set[str] = set()
        """All that is declared anywhere."""

    def find_function(self, name: str) -> Function | None:
        """By its name alone: a free one, else a method."""
        found = self.functions.get(name)
        if found is not None:
            return found
        return next((one for one in self.functions.values() if one.name.text == name), None)


def read_declarations(span: Span, into: Declarations, report: Report, *, is_strict: bool) -> None:
    """Adds what a file declares. Raises FaultyFileError for what makes no sense."""
    _Reader(into, report, is_strict).scope(span, "", 0)


def read_locals(span: Span) -> list[Variable]:
    """What a statement declares; none when it is no declaration."""
    kind_end = _type_end(span)
    return _variables(span, kind_end) if kind_end is not None else []


def read_lambda(span: Span, report: Report) -> Function | None:
    """A function without a name, as `[](String text) { return 1; }`; None for anything else."""
    brace = span.find("{")
    if not span or not span.first.is_mark("[") or brace is None:
        return None
    opening = span.find("(")
    parameters = span.inside(opening).split(",") if opening is not None else []
    body = parse_body(span.inside(brace), report, is_strict=False)
    names = tuple(_parameter_name(one) for one in parameters if one)
    return Function(span.first, "", "", names, None, body)


class _Reader:
    def __init__(self, into: Declarations, report: Report, is_strict: bool) -> None:
        self._into = into
        self._report = report
        self._is_strict = is_strict

    def scope(self, span: Span, owner: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            brace = span.code.tokens[span.start - 1]
            raise self._report.fail(brace, f"more than {MAX_DEPTH} scopes in each other")
        index = span.start
        while index < span.end:
            index = self._one(span, index, owner, depth)

    def _one(self, span: Span, start: int, owner: str, depth: int) -> int:
        """Reads one declaration; where the next one begins."""
        tokens = span.code.tokens
        macro = self._macro_end(span, start)
        if macro is not None:
            self._into.macros.append((tokens[start], span.inside(start + 1)))
            return macro
        for index in span.part(start, span.end).places():
            token = tokens[index]
            if token.is_mark(";"):
                self._declare(span.part(start, index), owner)
                return index + 1
            if token.is_mark(":") and tokens[index - 1].is_name("public", "private", "protected"):
                return index + 1
            if token.is_mark("{"):
                ended = self._braced(span, span.part(start, index), index, owner, depth)
                if ended is not None:
                    return ended
        rest = span.part(start, span.end)
        # What begins otherwise may be a macro that brings its semicolon.
        if self._is_strict and rest.first.text in _BUILT_IN:
            self._report.error(tokens[span.end - 1], f"expected ';' after '{rest.text}'")
        self._declare(rest, owner)
        return span.end

    def _macro_end(self, span: Span, start: int) -> int | None:
        """Where it goes on after NAME(…), with or without a semicolon."""
        name, opening = span.code.tokens[start], span.at(start + 1)
        if name.kind is not Kind.NAME or not name.text.isupper():
            return None
        if opening is None or not opening.is_mark("("):
            return None
        end = span.inside(start + 1).end + 1
        following = span.at(end)
        if following is not None and following.is_mark("{", "=", ":", "::", "("):
            return None
        return end + 1 if following is not None and following.is_mark(";") else end

    def _braced(self, span: Span, head: Span, brace: int, owner: str, depth: int) -> int | None:
        """What a brace opens. None when the declaration goes on after it."""
        inside = span.inside(brace)
        words = [token.text for token in head.tokens if token.kind is Kind.NAME]
        if head.find("=") is not None:
            self._check_missing(head)
            return None
        if not head or "namespace" in words or head.first.is_name("extern"):
            self.scope(inside, owner, depth + 1)
            return inside.end + 1
        parameters = self._parameters(head)
        if parameters is not None:
            if _is_initializer(head, parameters, brace):
                return None
            self._function(head, parameters, inside, owner, is_outside=depth == 0)
            return inside.end + 1
        if "enum" in words:
            self._into.names.update(t.text for t in inside.tokens if t.kind is Kind.NAME)
        elif _SCOPES.intersection(words):
            name = words[-1] if head.find(":") is None else self._class_name(head)
            self._into.names.add(name)
            self.scope(inside, name, depth + 1)
        return None

    def _class_name(self, head: Span) -> str:
        colon = head.find(":")
        before = head.part(head.start, colon if colon is not None else head.end).tokens
        names = [
            token.text for token in before if token.kind is Kind.NAME and token.text != "final"
        ]
        return names[-1] if names else ""

    def _parameters(self, head: Span) -> int | None:
        """Where the parameters of a function open; None when it is none."""
        tokens = head.code.tokens
        for index in head.places():
            if not tokens[index].is_mark("("):
                continue
            before = head.at(index - 1)
            is_named = before is not None and before.kind is Kind.NAME
            if is_named and before is not None and before.text in _NO_FUNCTIONS:
                continue
            if is_named or any(token.is_name("operator") for token in head.tokens):
                return index
        return None

    def _function(
        self, head: Span, opening: int, inside: Span, owner: str, *, is_outside: bool
    ) -> None:
        tokens = head.code.tokens
        name = tokens[opening - 1]
        start = opening - 1
        while start - 2 >= head.start and tokens[start - 1].is_mark("::"):
            owner, start = tokens[start - 2].text, start - 2
        self._check_type(head.part(head.start, start))
        self._into.names.add(name.text)
        body = parse_body(inside, self._report, is_strict=self._is_strict)
        key = f"{owner}::{name.text}" if owner else name.text
        known = self._into.functions.get(key)
        parameters = tuple(_parameter_name(one) for one in head.inside(opening).split(",") if one)
        signature = " ".join(token.text for token in head.inside(opening).tokens)
        is_plain = is_outside and not owner and name.kind is Kind.NAME
        is_plain = is_plain and not head.first.is_name("template")
        is_same = known is not None and known.signature == signature
        if (
            self._is_strict
            and is_plain
            and is_same
            and known is not None
            and (known.name.place.file == name.place.file or name.text in ("setup", "loop"))
        ):
            was = known.name.place
            self._report.error(
                name, f"redefinition of '{name.text}', defined at {was.file}:{was.line}"
            )
        type_ = _type_of([t.text for t in tokens[head.start : start]])
        self._into.functions[key] = Function(name, owner, signature, parameters, type_, body)

    def _check_type(self, kind: Span) -> None:
        """`int x void setup() {`: two declarations without a semicolon between them."""
        tokens = kind.tokens
        if any(token.is_name("operator") for token in tokens):
            return
        for before, token in itertools.pairwise(tokens):
            is_odd = before.kind in (Kind.NUMBER, Kind.STRING) or (
                before.kind is Kind.NAME
                and before.text not in _BUILT_IN | _QUALIFIERS
                and before.text not in ("signed", "short")
                and not before.text.isupper()
            )
            if is_odd and token.text in _BUILT_IN and self._is_strict:
                raise self._report.fail(before, f"expected ';' before '{token.text}'")

    def _declare(self, span: Span, owner: str) -> None:
        if not span or span.first.is_name("using", "typedef", "friend", "template"):
            self._into.names.update(t.text for t in span.tokens if t.kind is Kind.NAME)
            return
        self._check_missing(span)
        kind_end = _type_end(span)
        if kind_end is None:
            names = [token.text for token in span.tokens if token.kind is Kind.NAME]
            self._into.names.update(names)
            return
        is_extern = span.first.is_name("extern")
        for variable in _variables(span, kind_end):
            name = variable.name.text
            self._into.names.add(name)
            where = self._into.members if owner else self._into.variables
            if name not in where or not is_extern:
                where[name] = variable

    def _check_missing(self, span: Span) -> None:
        """`int x = 5 int y;`"""
        equals = span.find("=")
        if equals is None or not self._is_strict:
            self._check_type(span if equals is None else span.part(span.start, equals))
            return
        tokens = span.tokens
        for before, token in itertools.pairwise(tokens):
            is_value = before.kind in (Kind.NUMBER, Kind.CHARACTER) or before.is_mark(")", "]")
            if is_value and token.text in _BUILT_IN and token.place.line > before.place.line:
                raise self._report.fail(before, f"expected ',' or ';' before '{token.text}'")


def _is_initializer(head: Span, parameters: int, brace: int) -> bool:
    """Whether the brace is that of a member in the list of a constructor: `A() : b{1}, c(2) {`."""
    code = head.code
    after_parameters = head.part(code.partner[parameters] + 1, head.end)
    if after_parameters.find(":") is None or code.tokens[brace - 1].kind is not Kind.NAME:
        return False
    following = code.partner[brace] + 1
    return following < len(code.tokens) and code.tokens[following].is_mark(",", "{")


def _type_end(span: Span) -> int | None:
    """Where the name of the first declared variable stands; None when nothing is declared."""
    tokens = span.code.tokens
    names = 0
    index = span.start
    while index < span.end:
        token = tokens[index]
        if token.kind is Kind.NAME:
            following = span.at(index + 1)
            is_last = following is None or following.is_mark("=", ";", ",", "[", "(", "{", ":")
            if is_last:
                return index if names and token.text not in _QUALIFIERS else None
            names += 1
        elif token.is_mark("<"):
            closing = _template_end(span, index)
            if closing is None:
                return None
            index = closing
        elif not token.is_mark("*", "&", "::"):
            return None
        index += 1
    return None


def _template_end(span: Span, opening: int) -> int | None:
    depth = 0
    for index in span.part(opening, span.end).places():
        token = span.code.tokens[index]
        depth += token.is_mark("<") - token.is_mark(">") - 2 * token.is_mark(">>")
        if depth <= 0:
            return index
    return None


def _variables(span: Span, first_name: int) -> list[Variable]:
    tokens = span.code.tokens
    words = [token.text for token in tokens[span.start : first_name]]
    if words and words[0] in (
        "return",
        "delete",
        "new",
        "throw",
        "goto",
        "else",
        "case",
        "typename",
    ):
        return []
    type_ = _type_of(words)
    names = [word for word in words if word not in _QUALIFIERS and word[:1].isalpha()]
    is_constant = bool({"const", "constexpr"} & set(words))
    found = []
    for number, piece in enumerate(span.part(first_name, span.end).split(",")):
        stars = [token for token in piece.tokens[:2] if token.is_mark("*", "&")]
        start = piece.start + len(stars)
        name = piece.at(start)
        if name is None or name.kind is not Kind.NAME:
            continue
        following = piece.at(start + 1)
        is_array = following is not None and following.is_mark("[")
        is_pointer = bool(stars) or (number == 0 and "*" in words)
        own = type_
        if is_array or is_pointer:
            own = "string" if "char" in words else None
        # A pointer to constant characters may point to others later.
        is_fixed = is_constant and not (is_pointer and words[-1:] == ["*"])
        kind = names[-1] if names else ""
        found.append(Variable(name, own, kind, _initial(piece, start + 1), is_fixed))
    return found


def _initial(piece: Span, start: int) -> Span | None:
    for index in piece.part(start, piece.end).places():
        token = piece.code.tokens[index]
        if token.is_mark("="):
            value = piece.part(index + 1, piece.end)
            braces = value.at(value.start)
            is_braced = braces is not None and braces.is_mark("{")
            return value.inside(value.start) if is_braced else value
        if token.is_mark("(", "{"):
            return piece.inside(index)
    return None


def _type_of(words: list[str]) -> Type | None:
    named = [word for word in words if word[:1].isalpha() and word not in _QUALIFIERS]
    if "char" in named and "*" in words:
        return "string"
    if not named or "*" in words or "<" in words or named[-1] not in _TYPES:
        return None
    return "double" if "double" in named else _TYPES[named[-1]]


def _parameter_name(parameter: Span) -> str:
    equals = parameter.find("=")
    tokens = parameter.part(parameter.start, equals or parameter.end).tokens
    names = [token.text for token in tokens if token.kind is Kind.NAME]
    return names[-1] if len(names) > 1 else ""
