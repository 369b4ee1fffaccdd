"""What a name stands for: constants, variables with the value of the start, live ones."""

from cyan.firmware.wiring.declarations import Declarations, Variable
from cyan.firmware.wiring.expressions import (
    Constant,
    Live,
    Lookup,
    UnreadableError,
    Value,
    evaluate,
)
from cyan.firmware.wiring.spans import Span
from cyan.wire.simulated import Type

Locals = dict[str, Value | None]
"""What a function's own names stand for; None for what is not known."""

_ZERO: dict[Type, Constant] = {"bool": False, "int": 0, "double": 0.0, "string": ""}

_DEDUCED = frozenset({"", "milliseconds", "seconds", "minutes", "hours"})
"""Kinds of variables whose value says what they are: `auto`, and durations."""


class Names:
    """Looks up the names of a project."""

    def __init__(self, declarations: Declarations) -> None:
        self._declarations = declarations
        self._asked: set[str] = set()

    def find_variable(self, name: str) -> Variable | None:
        """A variable outside of functions, else a member of a class."""
        found = self._declarations.variables.get(name)
        return found if found is not None else self._declarations.members.get(name)

    def start_of(self, variable: Variable, as_type: Type | None = None) -> Constant | None:
        """The value with which it starts, of its type; None when that cannot be read."""
        name, type_ = variable.name.text, as_type or variable.type
        is_deduced = type_ is None and variable.kind in _DEDUCED and bool(variable.initial)
        if name in self._asked or (type_ is None and not is_deduced):
            return None
        self._asked.add(name)
        try:
            if not variable.initial:
                return None if type_ is None else _ZERO[type_]
            value = evaluate(variable.initial, self.at_start)
        except UnreadableError:
            return None
        finally:
            self._asked.discard(name)
        if type_ is None:
            return None if isinstance(value, tuple) else value
        return to_type(value, type_)

    def at_start(self, name: str) -> Value | None:
        """For expressions: variables have the values of the start."""
        variable = self.find_variable(name)
        return None if variable is None else self.start_of(variable)

    def constants(self, name: str) -> Value | None:
        """For expressions that have to stay true: variables are not known."""
        variable = self.find_variable(name)
        return self.at_start(name) if variable is not None and variable.is_constant else None

    def live(self, local: Locals) -> Lookup:
        """For expressions of one function: variables are live."""

        def look(name: str) -> Value | None:
            if name in local:
                return local[name]
            variable = self.find_variable(name)
            if variable is None:
                return None
            if variable.is_constant or variable.type is None:
                return self.start_of(variable)
            return Live(name)

        return look

    def starting(self, local: Locals) -> Lookup:
        """For expressions of one function: variables have the values of the start."""

        def look(name: str) -> Value | None:
            if name not in local:
                return self.at_start(name)
            value = local[name]
            return self.at_start(value.name) if isinstance(value, Live) else value

        return look

    def constant(self, span: Span, local: Locals | None = None) -> Constant | None:
        """What an expression is at the start; None when that cannot be read."""
        try:
            value = evaluate(span, self.starting(local or {}))
        except UnreadableError:
            return None
        return None if isinstance(value, tuple) else value


def to_type(value: Value, type_: Type) -> Constant | None:
    """A value as a variable of this type holds it; None when it cannot."""
    if isinstance(value, tuple):
        return None
    if type_ == "string":
        return value if isinstance(value, str) else str(value)
    if isinstance(value, str):
        return None
    if type_ == "bool":
        return bool(value)
    if type_ == "double":
        return float(value)
    wrapped = int(value) & 0xFFFFFFFF
    return wrapped - (1 << 32) if wrapped >> 31 else wrapped
