"""What setup() and loop() do, followed without running them: what they register, what they publish
and how often, what they count."""

import contextlib
from typing import Final, NamedTuple

import msgspec

from cyan.firmware.wiring.conditions import Condition, Truth, read_condition, wait_of
from cyan.firmware.wiring.declarations import (
    Declarations,
    Function,
    Variable,
    read_lambda,
    read_locals,
)
from cyan.firmware.wiring.diagnostics import Report
from cyan.firmware.wiring.expressions import (
    Live,
    Mixed,
    UnreadableError,
    Value,
    as_pieces,
    evaluate,
    formatted,
    joined,
)
from cyan.firmware.wiring.lexer import Kind, Place, Token
from cyan.firmware.wiring.names import Locals, Names
from cyan.firmware.wiring.spans import Span
from cyan.firmware.wiring.statements import Branches, If, Loop, Other, Plain, Return, Statement

MAX_CALLS_DEEP: Final = 8
MAX_STATEMENTS: Final = 20_000
"""That are followed, those of called functions each time again; ours."""

DEFAULT_INTERVAL_S: Final = 1.0
"""Of a loop without a delay that can be read: Device OS lets one event a second through on average
(platform-semantics.md §6.1)."""

CLOUD: Final = frozenset({"Particle", "Spark"})
CLOUD_CALLS: Final = frozenset({"function", "variable", "subscribe", "publish"})
_PRINTS: Final = {"snprintf": 2, "sprintf": 1}
"""Where the format stands among the arguments."""


class Registration(NamedTuple):
    """A function, variable or subscription: the token that names it, its text, what follows."""

    token: Token
    name: str
    arguments: tuple[Span, ...]


class Publication(NamedTuple):
    """An event: what it is made of, every how many seconds, or once."""

    token: Token
    name: str
    data: Mixed
    interval_s: float | None


class Drift(NamedTuple):
    """A number that grows by `step` every so many seconds."""

    step: float
    every_s: float


class _Context(msgspec.Struct, frozen=True):
    """When a statement runs: every `interval_s` seconds, or once. It is not `certain` under a
    condition that cannot be read; `guessed` where the interval is not from the source."""

    interval_s: float | None
    is_certain: bool = True
    is_guessed: bool = False
    deep: int = 0


class _Returned(Exception):  # noqa: N818
    """The function ends here."""


class Walk:
    """Follows an application; what it found stands in its attributes."""

    def __init__(self, declarations: Declarations, names: Names, report: Report) -> None:
        self._declarations = declarations
        self._names = names
        self._report = report
        self._statements = 0
        self._timers: list[tuple[Span, Locals]] = []
        self.functions: list[Registration] = []
        self.variables: list[Registration] = []
        self.subscriptions: list[Registration] = []
        self.publications: list[Publication] = []
        self.drifts: dict[str, Drift] = {}
        self.reached: set[Place] = set()
        """Where calls of the cloud were met."""

    def run(self) -> None:
        """setup(), loop(), then the timers that were made."""
        setup, loop = map(self._declarations.functions.get, ("setup", "loop"))
        if setup is not None:
            self._function(setup, _Context(None), {})
        if loop is not None:
            waits = wait_of(loop.body, self._names)
            every = _Context(waits or DEFAULT_INTERVAL_S, is_guessed=waits is None)
            self._function(loop, every, {})
        for variable in self._declarations.variables.values():
            if variable.kind == "Timer" and variable.initial:
                self._timers.append((variable.initial, {}))
        for arguments, local in self._timers:
            self._timer(arguments.split(","), local)

    def _timer(self, arguments: list[Span], local: Locals) -> None:
        if len(arguments) < 2 or not all(arguments):
            return
        period_ms = self._names.constant(arguments[0], local)
        callback = read_lambda(arguments[1], self._report)
        if callback is None:
            callback = self._declarations.find_function(_last_name(arguments[1]))
        if callback is None or isinstance(period_ms, str) or not period_ms:
            self._report.warn(arguments[0].first, "a timer that cannot be read: it does nothing")
            return
        self._function(callback, _Context(max(period_ms / 1000, 0.01)), {})

    def _function(self, function: Function, context: _Context, local: Locals) -> None:
        with contextlib.suppress(_Returned):
            self._block(function.body, context, local)

    def _block(self, statements: tuple[Statement, ...], context: _Context, local: Locals) -> None:
        for statement in statements:
            self._statements += 1
            if self._statements > MAX_STATEMENTS:
                return
            if isinstance(statement, Plain):
                self._plain(statement.span, context, local)
            elif isinstance(statement, Return):
                self._scan(statement.value, context, local)
                if context.is_certain:
                    raise _Returned
            elif isinstance(statement, If):
                self._if(statement, context, local)
            elif isinstance(statement, Loop):
                self._loop(statement, context, local)
            elif isinstance(statement, Branches):
                self._scan(statement.head, context, local)
                self._block(statement.body, _doubted(context), local)
            elif isinstance(statement, Other):
                self._block(statement.body, context, local)

    def _if(self, statement: If, context: _Context, local: Locals) -> None:
        self._scan(statement.condition, context, local)
        found = read_condition(statement.condition, self._names)
        if found.truth is Truth.UNKNOWN:
            self._block(statement.then, _doubted(context), dict(local))
            self._block(statement.otherwise, _doubted(context), dict(local))
        elif found.truth is Truth.FALSE:
            self._block(statement.otherwise, context, local)
        else:
            self._then(statement, found, context, local)

    def _then(self, statement: If, found: Condition, context: _Context, local: Locals) -> None:
        if found.interval_s is None:
            self._block(statement.then, context, local)
            return
        every = context
        if context.interval_s is not None:
            # A loop that waits longer than the condition asks for decides how often.
            turn_s = 0.0 if context.is_guessed else context.interval_s
            every = msgspec.structs.replace(
                context, interval_s=max(found.interval_s, turn_s), is_guessed=False
            )
        try:
            self._block(statement.then, every, local)
        except _Returned:
            return  # only of this turn

    def _loop(self, statement: Loop, context: _Context, local: Locals) -> None:
        if statement.word.text == "do":
            self._block(statement.body, context, local)
            return
        head = statement.head
        is_for = statement.word.text == "for"
        is_endless = is_for and [token.text for token in head.tokens] == [";", ";"]
        if not is_endless and not is_for:
            is_endless = self._names.constant(head) is True or head.text == "1"
        if is_endless:
            waits = wait_of(statement.body, self._names)
            endless = _Context(
                waits or DEFAULT_INTERVAL_S, context.is_certain, waits is None, context.deep
            )
            self._block(statement.body, endless, local)
            raise _Returned
        if is_for or read_condition(head, self._names).truth is not Truth.FALSE:
            self._scan(head, context, local)
            self._block(statement.body, _doubted(context), dict(local))

    def _plain(self, span: Span, context: _Context, local: Locals) -> None:
        if not span:
            return
        self._scan(span, context, local)
        for variable in read_locals(span):
            self._local(variable, span, local)
        self._assign(span, local)
        self._count(span, context, local)

    def _local(self, variable: Variable, span: Span, local: Locals) -> None:
        if variable.kind == "Timer" and variable.initial:
            self._timers.append((variable.initial, dict(local)))
            return
        is_kept = any(token.is_name("static") for token in span.tokens[:2])
        if not variable.initial:
            local[variable.name.text] = "" if variable.type == "string" else None
            return
        # What is kept from turn to turn has another value later.
        local[variable.name.text] = (
            None if is_kept and not variable.is_constant else self._value(variable.initial, local)
        )

    def _assign(self, span: Span, local: Locals) -> None:
        place = span.find("=", "+=")
        if place is None or place != span.start + 1:
            return
        name, mark = span.first.text, span.code.tokens[place].text
        value = self._value(span.part(place + 1, span.end), local)
        if mark == "+=":
            value = self._longer(self._names.live(local)(name), value)
        if name in local or isinstance(value, (str, tuple)):
            local[name] = value

    def _longer(self, before: Value | None, more: Value | None) -> Value | None:
        is_text = isinstance(before, (str, tuple)) and not isinstance(before, Live)
        if before is None or more is None or not is_text:
            return None
        try:
            return joined(before, more)
        except UnreadableError:
            return None

    def _count(self, span: Span, context: _Context, local: Locals) -> None:
        """`n++`, `n += 2`, `n = n + 2` of a variable outside of functions."""
        tokens = span.tokens
        texts = [token.text for token in tokens]
        step: float | None = None
        name = texts[0]
        if len(texts) == 2 and ({"++", "--"} & set(texts)):
            name = texts[1] if tokens[0].kind is Kind.MARK else texts[0]
            step = 1.0 if "++" in texts else -1.0
        elif len(texts) > 2 and texts[1] in ("+=", "-="):
            step = self._number(span.part(span.start + 2, span.end))
            step = -step if step is not None and texts[1] == "-=" else step
        elif len(texts) > 4 and texts[:2] == [name, "="] and texts[2] == name and texts[3] in "+-":
            step = self._number(span.part(span.start + 4, span.end))
            step = -step if step is not None and texts[3] == "-" else step
        variable = None if name in local else self._names.find_variable(name)
        if not step or variable is None or variable.type not in ("int", "double"):
            return
        if context.interval_s is not None and context.is_certain and not context.is_guessed:
            self.drifts.setdefault(name, Drift(step, context.interval_s))

    def _number(self, span: Span) -> float | None:
        try:
            value = evaluate(span, self._names.constants)
        except UnreadableError:
            return None
        return None if isinstance(value, (str, tuple)) else float(value)

    def _scan(self, span: Span, context: _Context, local: Locals) -> None:
        """Every call in an expression."""
        tokens = span.code.tokens
        for index in range(span.start, span.end - 1):
            token = tokens[index]
            if token.kind is not Kind.NAME or not tokens[index + 1].is_mark("("):
                continue
            before = tokens[index - 1] if index > span.start else None
            of = tokens[index - 2] if index > span.start + 1 else None
            inside = span.inside(index + 1)
            is_member = before is not None and before.is_mark(".", "->")
            if is_member and of is not None and of.text in CLOUD:
                self._cloud(token, inside.split(","), context, local)
            elif token.text in _PRINTS and not is_member:
                self._print(token.text, inside.split(","), local)
            elif before is None or before.kind is not Kind.NAME or before.text == "return":
                self._call(token, inside.split(","), is_member, context, local)

    def _call(
        self, name: Token, arguments: list[Span], is_member: bool, context: _Context, local: Locals
    ) -> None:
        functions = self._declarations.functions
        function = functions.get(name.text)
        if function is None or is_member:
            owned = [one for one in functions.values() if one.owner and one.name.text == name.text]
            function = owned[0] if len(owned) == 1 else None
        if function is None or context.deep >= MAX_CALLS_DEEP:
            return
        values = [self._value(argument, local) for argument in arguments]
        inner: Locals = dict(zip(function.parameters, values, strict=False))
        deeper = msgspec.structs.replace(context, deep=context.deep + 1)
        self._function(function, deeper, inner)

    def _print(self, name: str, arguments: list[Span], local: Locals) -> None:
        if len(arguments) <= _PRINTS[name]:
            return
        try:
            value: Value | None = formatted(arguments[_PRINTS[name] :], self._names.live(local))
        except UnreadableError:
            value = None
        local[_last_name(arguments[0])] = value

    def _cloud(self, token: Token, arguments: list[Span], context: _Context, local: Locals) -> None:
        lists = {
            "function": self.functions,
            "variable": self.variables,
            "subscribe": self.subscriptions,
        }
        if token.text not in CLOUD_CALLS:
            return
        self.reached.add(token.place)
        if not arguments:
            self._report.error(token, f"Particle.{token.text}() without a name")
            return
        if not all(arguments):
            self._report.error(token, f"expected an expression between the commas of {token.text}")
            return
        name = self._names.constant(arguments[0], local)
        if not isinstance(name, str):
            self._report.warn(
                arguments[0].first,
                f"the name '{arguments[0].text}' of Particle.{token.text}() cannot be read: left"
                " out",
            )
        elif token.text != "publish":
            lists[token.text].append(Registration(token, name, tuple(arguments[1:])))
        elif not context.is_certain:
            self._report.warn(
                token, f"whether and when event '{name}' is published cannot be read: left out"
            )
        else:
            self._publish(token, name, arguments[1:], context, local)

    def _publish(
        self, token: Token, name: str, rest: list[Span], context: _Context, local: Locals
    ) -> None:
        data: Mixed = ()
        # What follows without data are flags: PRIVATE, or a time to live with them.
        if rest and not (rest[0].first.text.isupper() and rest[0].first.kind is Kind.NAME):
            data = as_pieces(self._data(token, name, rest[0], local))
        if context.is_guessed:
            self._report.warn(
                token,
                f"how often event '{name}' is published cannot be read, as loop() has no delay()"
                " with a number: once a second",
            )
        self.publications.append(Publication(token, name, data, context.interval_s))

    def _data(self, token: Token, name: str, span: Span, local: Locals) -> Value:
        try:
            return evaluate(span, self._names.live(local))
        except UnreadableError:
            value = self._names.constant(span, local)
        if value is not None:
            self._report.warn(
                token, f"the data of event '{name}', '{span.text}', are those of the start"
            )
            return value
        self._report.warn(
            token, f"the data of event '{name}', '{span.text}', cannot be read: left empty"
        )
        return ""

    def _value(self, span: Span, local: Locals) -> Value | None:
        try:
            return evaluate(span, self._names.live(local))
        except UnreadableError:
            return None


def _doubted(context: _Context) -> _Context:
    return msgspec.structs.replace(context, is_certain=False)


def _last_name(span: Span) -> str:
    names = [token.text for token in span.tokens if token.kind is Kind.NAME]
    return names[-1] if names else ""
