"""Reads a behaviour from a TOML file (docs/howto/simulate-a-fleet.md shows one)."""

from pathlib import Path
from typing import Final

from cyan.sim.behaviour import (
    DEFAULT_DECIMALS,
    DEVICE_ID,
    DEVICE_NAME,
    PLACES,
    Ack,
    Behaviour,
    Constant,
    Counter,
    Event,
    Function,
    Sine,
    Subscription,
    Takes,
    Text,
    Variable,
    Walk,
    Wave,
)
from cyan.sim.tables import Table, TableError, read_file
from cyan.sim.template import Template, TemplateError, parse_template
from cyan.wire import coap
from cyan.wire.messages import (
    BOOL,
    DOUBLE,
    INT,
    MAX_ARGUMENT,
    MAX_EVENT_DATA,
    MAX_NAME,
    MAX_VARIABLE,
    STRING,
)

MAX_VARIABLES: Final = 100
MAX_FUNCTIONS: Final = 100
"""Device OS has room for so many (device-protocol.md §3.3.2)."""
MAX_SUBSCRIPTIONS: Final = 4
"""Beside the two of the system (§3.7)."""
MAX_EVENTS: Final = 32
MAX_RESULTS: Final = 100
"""Enough for what a person writes by hand; each costs every device of the fleet memory."""

MIN_STEP_S: Final = 0.1
"""Walks are followed step by step, also over the hours in which nobody asks."""
MIN_INTERVAL_S: Final = 0.01
MAX_INTERVAL_S: Final = 1e9
MAX_JITTER: Final = 0.5
"""Of the interval; with more an event could come before the one before it."""
MAX_DECIMALS: Final = 9

_LOWEST_INT: Final = -(1 << 31)
_HIGHEST_INT: Final = (1 << 31) - 1
_MOST: Final = 1e15
"""Of doubles: they still have a digit behind the point."""

TYPES: Final = {"bool": BOOL, "int": INT, "double": DOUBLE, "string": STRING}
FORMATS: Final = {
    "text": coap.TEXT,
    "json": coap.JSON,
    "xml": coap.XML,
    "link": coap.LINK_FORMAT,
    "binary": coap.OCTET_STREAM,
    "cbor": coap.CBOR,
    "structured": coap.STRUCTURED,
}
"""Content formats of events by the names that the file has for them (§2.4)."""
LENGTH: Final = "length"
"""The result of a function that tells how long its argument is."""


def read_behaviour(path: Path) -> Behaviour:
    """The behaviour that the file tells.

    Raises:
        TableError: It cannot be read, or says something that makes no sense.
    """
    return parse_behaviour(read_file(path))


def parse_behaviour(table: Table) -> Behaviour:
    """The same for a table that is at hand."""
    variables = table.table("variables")
    functions = table.table("functions")
    names = variables.names(MAX_VARIABLES, MAX_NAME)
    if taken := sorted(set(names) & set(PLACES)):
        raise TableError(f"{variables.place}: {taken[0]} is a name that templates have already")
    behaviour = Behaviour(
        variables=tuple(_variable(name, variables.table(name)) for name in names),
        functions=tuple(
            _function(name, functions.table(name), names)
            for name in functions.names(MAX_FUNCTIONS, MAX_NAME)
        ),
        events=tuple(_event(one, names) for one in table.tables("events", MAX_EVENTS)),
        subscriptions=tuple(
            _subscription(one, names) for one in table.tables("subscriptions", MAX_SUBSCRIPTIONS)
        ),
    )
    table.finish()
    return behaviour


def _variable(name: str, table: Table) -> Variable:
    type_ = TYPES[table.choice("type", TYPES)]
    wave = _wave(table, type_) if table.has("wave") else _constant(table, type_)
    decimals = DEFAULT_DECIMALS
    if type_ == DOUBLE:
        decimals = table.integer("decimals", 0, MAX_DECIMALS, DEFAULT_DECIMALS)
    table.finish()
    return Variable(name, type_, wave, decimals)


def _constant(table: Table, type_: int) -> Wave:
    if type_ == BOOL:
        return Constant(table.boolean("value"))
    if type_ == INT:
        return Constant(table.integer("value", _LOWEST_INT, _HIGHEST_INT))
    if type_ == DOUBLE:
        return Constant(table.number("value", -_MOST, _MOST))
    return Text(_template(table, "value", (DEVICE_ID, DEVICE_NAME), MAX_VARIABLE))


def _wave(table: Table, type_: int) -> Wave:
    if type_ not in (INT, DOUBLE):
        raise table.refusal("wave", "only for int and double; others have a value")
    low, high = (_LOWEST_INT, _HIGHEST_INT) if type_ == INT else (-_MOST, _MOST)
    kind = table.choice("wave", ("counter", "sine", "walk"))
    if kind == "counter":
        return Counter(
            table.number("start", low, high, 0.0),
            table.number("step", low, high, 1.0),
            table.number("every_s", MIN_STEP_S, MAX_INTERVAL_S),
        )
    if kind == "sine":
        return Sine(
            table.number("mean", low, high, 0.0),
            table.number("amplitude", 0.0, high),
            table.number("period_s", MIN_STEP_S, MAX_INTERVAL_S),
        )
    lowest = table.number("low", low, high)
    return Walk(
        lowest,
        table.number("high", lowest, high),
        table.number("step", 0.0, high),
        table.number("every_s", MIN_STEP_S, MAX_INTERVAL_S),
    )


def _function(name: str, table: Table, variables: list[str]) -> Function:
    results = table.table("results")
    by_argument = {
        argument: results.integer(argument, _LOWEST_INT, _HIGHEST_INT)
        for argument in results.names(MAX_RESULTS, MAX_ARGUMENT)
    }
    otherwise = table.integer_or("result", LENGTH, _LOWEST_INT, _HIGHEST_INT, 0)
    function = Function(name, by_argument, otherwise, _into(table, variables))
    table.finish()
    return function


def _event(table: Table, variables: list[str]) -> Event:
    name = table.name("name", MAX_NAME)
    event = Event(
        name,
        _data(table, variables),
        table.number("interval_s", MIN_INTERVAL_S, MAX_INTERVAL_S),
        table.number("jitter", 0.0, MAX_JITTER, 0.0),
        FORMATS[table.choice("format", FORMATS, "text")],
        Ack(table.choice("ack", [ack.value for ack in Ack], Ack.WITH.value)),
        table.integer("size_bytes", 0, MAX_EVENT_DATA, 0),
    )
    table.finish()
    return event


def _data(table: Table, variables: list[str]) -> Template | bytes:
    if not table.has("hex"):
        return _template(table, "data", (*PLACES, *variables), MAX_EVENT_DATA)
    text = table.text("hex", 2 * MAX_EVENT_DATA)
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise table.refusal("hex", "two hex digits for each byte") from None


def _subscription(table: Table, variables: list[str]) -> Subscription:
    subscription = Subscription(
        table.name("prefix", MAX_NAME),
        Takes(table.choice("takes", [takes.value for takes in Takes], Takes.TEXT.value)),
        _into(table, variables),
    )
    table.finish()
    return subscription


def _into(table: Table, variables: list[str]) -> str | None:
    if not table.has("into"):
        return None
    name = table.name("into", MAX_NAME)
    if name not in variables:
        raise table.refusal(
            "into", f"the name of a variable ({', '.join(variables) or 'none here'})"
        )
    return name


def _template(table: Table, key: str, places: tuple[str, ...], most_bytes: int) -> Template:
    text = table.text(key, most_bytes)
    try:
        return parse_template(text, places)
    except TemplateError as error:
        raise table.refusal(key, f"a template ({error})") from None
