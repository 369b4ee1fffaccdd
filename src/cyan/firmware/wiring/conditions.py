"""Conditions of an `if` and waits of a loop, as far as they can be known."""

from enum import Enum
from typing import Final

import msgspec

from cyan.firmware.wiring.expressions import UnreadableError, evaluate
from cyan.firmware.wiring.names import Names
from cyan.firmware.wiring.spans import Span
from cyan.firmware.wiring.statements import Other, Plain, Statement

MIN_WAIT_S: Final = 0.01

_CLOCKS: Final = frozenset({"millis", "System.millis"})
_SECOND_CLOCKS: Final = frozenset({"now"})
_HOLD: Final = frozenset(
    {"connected", "ready", "waitFor", "isValid", "syncTimeDone", "acquireWiFiCredentials"}
)
"""What is true of a simulated device whenever its application runs."""
_WAITS: Final = frozenset({"delay", "softDelay", "duration"})


class Truth(Enum):
    """Whether a condition holds."""

    TRUE = 1
    FALSE = 2
    UNKNOWN = 3


class Condition(msgspec.Struct, frozen=True):
    """One that holds every `interval_s` seconds, or always where that is None."""

    truth: Truth
    interval_s: float | None = None


_UNKNOWN: Final = Condition(Truth.UNKNOWN)


def read_condition(span: Span, names: Names) -> Condition:
    """What is known of a condition: constants, being connected, and time that has passed, as in
    `millis() - last >= 10000`."""
    span = _bare(span)
    if not span:
        return _UNKNOWN
    found = Condition(Truth.TRUE)
    for piece in _pieces(span):
        one = _one(_bare(piece), names)
        if one.truth is not Truth.TRUE:
            return one
        if one.interval_s is not None:
            found = one
    return found


def wait_of(statements: tuple[Statement, ...], names: Names) -> float | None:
    """How many seconds one turn of a loop waits; None when it does not, or that is not known."""
    waits = 0.0
    for statement in statements:
        if isinstance(statement, Other):
            waits += wait_of(statement.body, names) or 0.0
        if not isinstance(statement, Plain):
            continue
        span = statement.span
        tokens = span.code.tokens
        for index in range(span.start, span.end - 1):
            if tokens[index].text in _WAITS and tokens[index + 1].is_mark("("):
                value = names.constant(span.inside(index + 1))
                if value is not None and not isinstance(value, str):
                    waits += value / 1000
    return max(waits, MIN_WAIT_S) if waits > 0 else None


def _pieces(span: Span) -> list[Span]:
    return span.split("&&") if span.find("||") is None else [span]


def _one(span: Span, names: Names) -> Condition:
    if not span:
        return _UNKNOWN
    words = {token.text for token in span.tokens}
    scale = 1000 if words & _CLOCKS else 1 if words & _SECOND_CLOCKS else 0
    if scale:
        return _elapsed(span, names, scale)
    try:
        value = evaluate(span, names.constants)
    except UnreadableError:
        pass
    else:
        is_known = not isinstance(value, tuple)
        return Condition(Truth.TRUE if value else Truth.FALSE) if is_known else _UNKNOWN
    if words & _HOLD and span.find("==", "!=", "<", ">", "||") is None:
        return Condition(Truth.FALSE if span.first.is_mark("!") else Truth.TRUE)
    return _UNKNOWN


def _elapsed(span: Span, names: Names, scale: int) -> Condition:
    """The constant on the side of a comparison where no clock stands."""
    place = span.find(">", ">=", "<", "<=")
    if place is None:
        return _UNKNOWN
    sides = (span.part(span.start, place), span.part(place + 1, span.end))
    for side in sides:
        try:
            value = evaluate(side, names.at_start)
        except UnreadableError:
            continue
        if not isinstance(value, (str, tuple)) and value > 0:
            return Condition(Truth.TRUE, max(float(value) / scale, MIN_WAIT_S))
    return _sum(sides, names, scale)


def _sum(sides: tuple[Span, Span], names: Names, scale: int) -> Condition:
    """`millis() > last + 10000`: the constant that is added to something."""
    for side in sides:
        for piece in side.split("+"):
            try:
                value = evaluate(piece, names.constants)
            except UnreadableError:
                continue
            if not isinstance(value, (str, tuple)) and value > 0:
                return Condition(Truth.TRUE, max(float(value) / scale, MIN_WAIT_S))
    return _UNKNOWN


def _bare(span: Span) -> Span:
    """Without brackets around all of it."""
    while span and span.first.is_mark("("):
        inside = span.inside(span.start)
        if inside.end + 1 != span.end:
            break
        span = inside
    return span
