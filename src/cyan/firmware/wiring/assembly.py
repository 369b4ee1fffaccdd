"""What was found in sources, put together as an image, with the limits of Device OS."""

from typing import Final

from cyan.firmware.wiring.declarations import Declarations, Function, read_lambda
from cyan.firmware.wiring.diagnostics import Report
from cyan.firmware.wiring.expressions import Constant, Live, Mixed, show
from cyan.firmware.wiring.handlers import read_answers, read_into
from cyan.firmware.wiring.lexer import Kind, Token
from cyan.firmware.wiring.names import Names, to_type
from cyan.firmware.wiring.spans import Span
from cyan.firmware.wiring.statements import Return
from cyan.firmware.wiring.walk import Registration, Walk
from cyan.wire import simulated
from cyan.wire.messages import MAX_NAME, MAX_VARIABLE
from cyan.wire.simulated import Event, Image, Piece, Subscription, Type, Variable

MAX_PRODUCT_VERSION: Final = 65534
"""65535 is what Device OS reports for none (platform-semantics.md §21, row 13)."""
MAX_PRODUCT_ID: Final = 65534

_TYPES: Final[dict[str, Type]] = {
    "INT": "int", "DOUBLE": "double", "STRING": "string", "BOOLEAN": "bool",
}  # fmt: skip
"""The third argument that variables once needed."""
_EMPTY: Final[dict[Type, Constant]] = {"bool": False, "int": 0, "double": 0.0, "string": ""}


def assemble(
    walk: Walk, declarations: Declarations, names: Names, report: Report
) -> tuple[Image, int | None]:
    """The image and the product's id. Errors are in the report; then the image means nothing."""
    return _Assembly(walk, declarations, names, report).image()


class _Assembly:
    def __init__(
        self, walk: Walk, declarations: Declarations, names: Names, report: Report
    ) -> None:
        self._walk = walk
        self._declarations = declarations
        self._names = names
        self._report = report
        self._cloud_names: dict[str, str] = {}
        """Of variables, by their names in the source."""

    def image(self) -> tuple[Image, int | None]:
        """Everything, variables first: the others refer to them."""
        product_id = self._macro("PRODUCT_ID", 0, MAX_PRODUCT_ID)
        version = self._macro("PRODUCT_VERSION", 1, MAX_PRODUCT_VERSION)
        variables = self._variables()
        functions = self._functions()
        events = self._events()
        subscriptions = self._subscriptions()
        return Image(version, variables, functions, events, subscriptions), product_id

    def _macro(self, name: str, low: int, high: int) -> int | None:
        found: int | None = None
        for token, inside in self._declarations.macros:
            if token.text != name:
                continue
            value = self._names.constant(inside) if inside else None
            if not isinstance(value, int) or not low <= value <= high:
                self._report.error(
                    token, f"{name}({inside.text}) is no whole number from {low} to {high}"
                )
            else:
                found = value
        return found

    def _variables(self) -> tuple[Variable, ...]:
        found: dict[str, Variable] = {}
        for one in self._once(self._walk.variables, "variable"):
            variable = self._variable(one)
            if variable is not None:
                found[one.name] = variable
        self._limit(self._walk.variables, len(found), simulated.MAX_VARIABLES, "variables")
        return tuple(found.values())

    def _variable(self, one: Registration) -> Variable | None:
        if not one.arguments:
            self._report.error(one.token, f"variable '{one.name}' without what it shows")
            return None
        what = one.arguments[0]
        if what.first.is_mark("["):
            return self._calculated(one, _lambda_value(what))
        token = _last(what)
        function = self._declarations.find_function(token.text)
        source = self._names.find_variable(token.text)
        if source is None and function is not None:
            returns = [one for one in function.body if isinstance(one, Return)]
            return self._calculated(one, returns[-1].value if returns else None, function)
        if source is None:
            self._check_declared(token, what)
            self._report.warn(token, f"variable '{one.name}' cannot be read: left out")
            return None
        asked = _TYPES.get(one.arguments[1].text) if len(one.arguments) > 1 else None
        type_ = source.type or asked
        if type_ is None:
            self._report.warn(
                token,
                f"variable '{one.name}' is none of bool, int, double and String: left out",
            )
            return None
        value = self._names.start_of(source, type_)
        if value is None:
            self._report.warn(
                token, f"the value with which '{token.text}' starts cannot be read: it is empty"
            )
            value = _EMPTY[type_]
        self._cloud_names.setdefault(token.text, one.name)
        drift = self._walk.drifts.get(token.text)
        if drift is None:
            return Variable(one.name, type_, _cut(value))
        return Variable(one.name, type_, value, drift.step, drift.every_s)

    def _calculated(
        self, one: Registration, value: Span | None, function: Function | None = None
    ) -> Variable | None:
        constant = self._names.constant(value) if value else None
        type_ = function.type if function is not None and function.type else _type_of(constant)
        if constant is None or type_ is None:
            self._report.warn(
                one.token, f"what variable '{one.name}' is calculated from cannot be read"
            )
        if type_ is None:
            return None
        known = None if constant is None else to_type(constant, type_)
        return Variable(one.name, type_, _cut(_EMPTY[type_] if known is None else known))

    def _functions(self) -> tuple[simulated.Function, ...]:
        found: dict[str, simulated.Function] = {}
        for one in self._once(self._walk.functions, "function"):
            if not one.arguments:
                self._report.error(one.token, f"function '{one.name}' without what it calls")
                continue
            what = one.arguments[0]
            handler = self._handler(what)
            if handler is None:
                self._report.warn(
                    one.token, f"what function '{one.name}' returns cannot be read: 0"
                )
                found[one.name] = simulated.Function(one.name)
                continue
            answers = read_answers(handler, self._names, self._report)
            into = self._cloud_names.get(answers.into or "")
            found[one.name] = simulated.Function(one.name, answers.results, answers.otherwise, into)
        self._limit(self._walk.functions, len(found), simulated.MAX_FUNCTIONS, "functions")
        return tuple(found.values())

    def _subscriptions(self) -> tuple[Subscription, ...]:
        found: list[Subscription] = []
        for one in self._once(self._walk.subscriptions, "subscription"):
            if len(found) == simulated.MAX_SUBSCRIPTIONS:
                self._report.warn(
                    one.token,
                    f"more than {simulated.MAX_SUBSCRIPTIONS} subscriptions: '{one.name}' is left"
                    " out",
                )
                break
            handler = self._handler(one.arguments[0]) if one.arguments else None
            into = None if handler is None else read_into(handler, self._names)
            found.append(Subscription(one.name, self._cloud_names.get(into or "")))
        return tuple(found)

    def _handler(self, what: Span) -> Function | None:
        if what.first.is_mark("["):
            return read_lambda(what, self._report)
        token = _last(what)
        function = self._declarations.find_function(token.text)
        if function is None:
            self._check_declared(token, what)
        return function

    def _check_declared(self, token: Token, what: Span) -> None:
        is_plain = len(what.tokens) <= 2
        if is_plain and token.kind is Kind.NAME and token.text not in self._declarations.names:
            self._report.error(token, f"'{token.text}' was not declared in this scope")

    def _events(self) -> tuple[Event, ...]:
        found: list[Event] = []
        for one in self._walk.publications:
            self._check_name(one.token, one.name, "event")
            if len(found) == simulated.MAX_EVENTS:
                self._report.warn(
                    one.token, f"more than {simulated.MAX_EVENTS} events: '{one.name}' is left out"
                )
                break
            event = Event(one.name, self._pieces(one.data), one.interval_s)
            if event not in found:
                found.append(event)
        return tuple(found)

    def _pieces(self, data: Mixed) -> tuple[Piece, ...]:
        """Text and variables of the cloud; of other variables the value of the start."""
        pieces: list[Piece] = []
        text = ""
        for part in data:
            if isinstance(part, Live):
                if part.name in self._cloud_names:
                    pieces.append(Piece(text, self._cloud_names[part.name]))
                    text = ""
                    continue
                value = self._names.at_start(part.name)
                text += "" if value is None or isinstance(value, tuple) else show(value)
            else:
                text += part
        return (*pieces, Piece(text)) if text else tuple(pieces)

    def _once(self, found: list[Registration], what: str) -> list[Registration]:
        """The last of each name, in the order of the first; names checked."""
        last = {one.name: one for one in found}
        for one in last.values():
            self._check_name(one.token, one.name, what)
        return list(last.values())

    def _check_name(self, token: Token, name: str, what: str) -> None:
        size = len(name.encode(errors="replace"))
        if not 1 <= size <= MAX_NAME:
            self._report.error(
                token, f"the name of {what} '{name[:80]}' has {size} bytes: 1 to {MAX_NAME}"
            )

    def _limit(self, found: list[Registration], count: int, most: int, what: str) -> None:
        if count > most:
            self._report.error(found[-1].token, f"{count} {what}: Device OS has room for {most}")


def _last(span: Span) -> Token:
    names = [token for token in span.tokens if token.kind is Kind.NAME]
    return names[-1] if names else span.first


def _lambda_value(span: Span) -> Span | None:
    """What a lambda of one statement returns."""
    brace = span.find("{")
    if brace is None:
        return None
    inside = span.inside(brace)
    if not inside or not inside.first.is_name("return"):
        return None
    end = inside.find(";")
    return inside.part(inside.start + 1, inside.end if end is None else end)


def _type_of(value: Constant | None) -> Type | None:
    for kind, type_ in ((bool, "bool"), (int, "int"), (float, "double"), (str, "string")):
        if isinstance(value, kind):
            return type_  # type: ignore[return-value]
    return None


def _cut(value: Constant) -> Constant:
    """Text as long as a variable can be."""
    if not isinstance(value, str):
        return value
    return value.encode(errors="replace")[:MAX_VARIABLE].decode(errors="ignore")
