"""What a function of the cloud returns for which argument."""

import contextlib
from typing import Final

import msgspec

from cyan.firmware.wiring.declarations import Function, read_locals
from cyan.firmware.wiring.diagnostics import Report
from cyan.firmware.wiring.expressions import Constant
from cyan.firmware.wiring.lexer import Kind
from cyan.firmware.wiring.names import Names
from cyan.firmware.wiring.spans import Span
from cyan.firmware.wiring.statements import If, Other, Plain, Return, Statement
from cyan.wire.simulated import MAX_RESULTS, Type

_TRUE: Final = frozenset({"true", "on", "yes", "1"})
_FALSE: Final = frozenset({"false", "off", "no", "0"})
_EQUALS: Final = frozenset({"equals", "equalsIgnoreCase"})
_COMPARES: Final = frozenset({"strcmp", "strcasecmp", "strncmp"})
_READS: Final = frozenset({"toInt", "toFloat", "atoi", "atof", "String", "c_str", "strtol"})


class Answers(msgspec.Struct, frozen=True):
    """`results` by argument, else `otherwise`; None there is the argument's length. `into` names
    the variable of the source that follows the argument."""

    results: dict[str, int]
    otherwise: int | None
    into: str | None


class _Ended(Exception):  # noqa: N818
    """The function has returned."""


def read_answers(function: Function, names: Names, report: Report) -> Answers:
    """What the function answers; what cannot be read is a warning."""
    parameter = function.parameters[0] if function.parameters else ""
    reader = _Reader(function, parameter, names, report)
    reader.read()
    return Answers(reader.results, reader.otherwise, reader.into())


def read_into(function: Function, names: Names) -> str | None:
    """Which variable a handler of events sets to the data, its second parameter."""
    parameter = function.parameters[1] if len(function.parameters) > 1 else ""
    reader = _Reader(function, parameter, names, Report())
    reader.read()
    return reader.into()


class _Reader:
    def __init__(self, function: Function, parameter: str, names: Names, report: Report) -> None:
        self._function = function
        self._own = {parameter} - {""}
        """The parameter, and what is made of it alone."""
        self._names = names
        self._report = report
        self._set: dict[str, dict[str, Constant]] = {}
        self._follows: list[str] = []
        self.results: dict[str, int] = {}
        self.otherwise: int | None = 0

    def read(self) -> None:
        """Follows the statements to the end."""
        with contextlib.suppress(_Ended):
            self._block(self._function.body)

    def into(self) -> str | None:
        """The variable that follows the argument, None when there is none."""
        if self._follows:
            return self._follows[0]
        for name, values in self._set.items():
            variable = self._names.find_variable(name)
            if (
                variable is not None
                and variable.type is not None
                and all(
                    _read(variable.type, argument) == value for argument, value in values.items()
                )
            ):
                return name
        return None

    def _block(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            if isinstance(statement, Return):
                self.otherwise = self._returned(statement)
                raise _Ended
            if isinstance(statement, If):
                self._if(statement)
            elif isinstance(statement, Plain):
                self._plain(statement.span)
            elif isinstance(statement, Other):
                self._block(statement.body)
            elif _returns(statement.body):
                self._report.warn(
                    statement.word,
                    f"what '{self._name}' returns in this '{statement.word.text}' cannot be read",
                )

    @property
    def _name(self) -> str:
        return self._function.name.text

    def _if(self, statement: If) -> None:
        arguments = self._tested(statement.condition)
        if arguments is None:
            if _returns(statement.then) and statement.condition:
                self._report.warn(
                    statement.condition.first,
                    f"'{statement.condition.text}' cannot be read: '{self._name}' returns what it"
                    " does when that is false",
                )
            self._block(statement.otherwise)
            return
        for argument in arguments:
            result = self._result_of(statement.then, argument)
            if result is not None and len(self.results) < MAX_RESULTS:
                self.results.setdefault(argument, result)
        self._block(statement.otherwise)

    def _result_of(self, statements: tuple[Statement, ...], argument: str) -> int | None:
        """What is returned for an argument in its branch; None when it goes on behind it."""
        for statement in statements:
            if isinstance(statement, Return):
                result = self._returned(statement)
                return len(argument.encode()) if result is None else result
            if isinstance(statement, Plain):
                assigned = self._assigned(statement.span)
                if assigned is not None:
                    name, value = assigned
                    constant = self._names.constant(value)
                    if constant is not None:
                        self._set.setdefault(name, {}).setdefault(argument, constant)
        return None

    def _returned(self, statement: Return) -> int | None:
        value = statement.value
        if not value:
            return 0
        tokens = value.tokens
        words = {token.text for token in tokens}
        if self._own & words and words & {"length", "strlen"} and len(tokens) <= 5:
            return None
        constant = self._names.constant(value)
        if constant is None or isinstance(constant, str):
            self._report.warn(
                value.first, f"'{self._name}' returns '{value.text}', which cannot be read: it is 0"
            )
            return 0
        if any(
            (known := self._names.find_variable(token.text)) is not None and not known.is_constant
            for token in tokens
        ):
            self._report.warn(
                value.first, f"'{self._name}' returns '{value.text}' as it is at the start"
            )
        wrapped = int(constant) & 0xFFFFFFFF
        return wrapped - (1 << 32) if wrapped >> 31 else wrapped

    def _plain(self, span: Span) -> None:
        for variable in read_locals(span):
            if variable.initial and self._is_argument(variable.initial):
                self._own.add(variable.name.text)
        assigned = self._assigned(span)
        if assigned is None:
            return
        name, value = assigned
        known = self._tested(value)
        if known is not None:
            self._set.setdefault(name, {}).update(dict.fromkeys(known, True))
            return
        if value and self._is_argument(value):
            self._follows.append(name)

    def _assigned(self, span: Span) -> tuple[str, Span] | None:
        """The variable outside of the function that a statement sets, and to what."""
        equals = span.find("=")
        if equals is None or equals == span.start:
            return None
        left = span.part(span.start, equals).tokens
        if len(left) > 3 or left[-1].kind is not Kind.NAME:
            return None
        is_member = len(left) == 3 and left[1].is_mark(".", "->")
        name = left[-1].text
        if (len(left) > 1 and not is_member) or self._names.find_variable(name) is None:
            return None
        return name, span.part(equals + 1, span.end)

    def _tested(self, condition: Span) -> list[str] | None:
        """The arguments for which a condition holds; None when it does not test for any."""
        while condition and condition.first.is_mark("("):
            inside = condition.inside(condition.start)
            if inside.end + 1 != condition.end:
                break
            condition = inside
        pieces = condition.split("||")
        found = [self._one_test(piece) for piece in pieces]
        arguments = [argument for argument in found if argument is not None]
        return arguments if arguments and len(arguments) == len(found) else None

    def _one_test(self, span: Span) -> str | None:
        while span and span.first.is_mark("("):
            inside = span.inside(span.start)
            if inside.end + 1 != span.end:
                break
            span = inside
        tokens = span.tokens
        names = {token.text for token in tokens if token.kind is Kind.NAME}
        if not self._own & names:
            return None
        equals = span.find("==")
        is_compare = bool(names & _COMPARES)
        if equals is not None and not is_compare:
            sides = (span.part(span.start, equals), span.part(equals + 1, span.end))
            for side, other in (sides, sides[::-1]):
                if self._is_argument(side):
                    return _text(self._names.constant(other))
            return None
        is_negated = span.first.is_mark("!") or (equals is not None and tokens[-1].text == "0")
        opening = next((i for i in span.places() if span.code.tokens[i].is_mark("(")), None)
        tests = is_negated if is_compare else bool(names & _EQUALS) and not is_negated
        if opening is None or not tests:
            return None
        for argument in span.inside(opening).split(","):
            if argument and argument.first.text not in self._own:
                return _text(self._names.constant(argument))
        return None

    def _is_argument(self, span: Span) -> bool:
        """Whether it is the argument, or a plain reading of it."""
        words = {token.text for token in span.tokens if token.kind is Kind.NAME}
        others = [token for token in span.tokens if token.kind is not Kind.NAME]
        return (
            bool(words & self._own)
            and words <= _READS | self._own
            and (all(token.is_mark("(", ")", ".", "->", "&") for token in others))
        )


def _text(value: Constant | None) -> str | None:
    if value is None or isinstance(value, (bool, float)):
        return None
    return str(value)


def _read(type_: Type, argument: str) -> Constant | None:
    """The argument as a simulated device reads it into a variable of this type."""
    if type_ == "string":
        return argument
    if type_ == "bool":
        word = argument.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else None
    try:
        return int(argument) if type_ == "int" else float(argument)
    except ValueError:
        return None


def _returns(statements: tuple[Statement, ...]) -> bool:
    """Whether one of them returns."""
    for statement in statements:
        if isinstance(statement, Return):
            return True
        if isinstance(statement, If):
            if _returns(statement.then) or _returns(statement.otherwise):
                return True
        elif not isinstance(statement, Plain) and _returns(statement.body):
            return True
    return False
