"""What an application does that came as an image of the simulated platform."""

from functools import lru_cache
from typing import Final

from cyan.sim.behaviour import (
    Behaviour,
    Constant,
    Counter,
    Event,
    Function,
    Subscription,
    Text,
    Variable,
    Wave,
)
from cyan.sim.template import Template
from cyan.wire import simulated
from cyan.wire.messages import BOOL, DOUBLE, INT, STRING
from cyan.wire.simulated import decode_image

KEPT_IMAGES: Final = 64
"""Read ones, shared by all devices that run the same."""

_TYPES: Final = {"bool": BOOL, "int": INT, "double": DOUBLE, "string": STRING}
_DECIMALS: Final = 9
"""More than a double of firmware shows in text."""


@lru_cache(KEPT_IMAGES)
def same_body(body: bytes) -> bytes:
    """The one copy of a body that all devices with the same image hold."""
    return body


@lru_cache(KEPT_IMAGES)
def read_image(body: bytes) -> Behaviour:
    """What the image says. Raises MalformedError."""
    image = decode_image(body)
    return Behaviour(
        variables=tuple(map(_variable, image.variables)),
        functions=tuple(
            Function(function.name, function.results, function.otherwise, function.into)
            for function in image.functions
        ),
        events=tuple(map(_event, image.events)),
        subscriptions=tuple(
            Subscription(each.prefix, into=each.into) for each in image.subscriptions
        ),
    )


def _variable(variable: simulated.Variable) -> Variable:
    return Variable(variable.name, _TYPES[variable.type], _wave(variable), decimals=_DECIMALS)


def _wave(variable: simulated.Variable) -> Wave:
    value = variable.value
    if isinstance(value, str):
        return Text(Template(((value, None),)))
    if variable.every_s is None:
        return Constant(value)
    return Counter(value, variable.step, variable.every_s)


def _event(event: simulated.Event) -> Event:
    pieces = tuple((piece.text, piece.variable) for piece in event.data)
    return Event(event.name, Template(pieces), event.interval_s)
