"""What the application of a simulated device does: a value, without any code.

`built_in` is what a device does that is told nothing else; `behaviourfile` reads others from files.
"""

from enum import Enum
from typing import Final

import msgspec

from cyan.sim.template import Template, parse_template
from cyan.wire import coap
from cyan.wire.messages import BOOL, DOUBLE, INT, MAX_EVENT_DATA, STRING

DEVICE_ID: Final = "device_id"
DEVICE_NAME: Final = "device_name"
COUNTER: Final = "counter"
PLACES: Final = (DEVICE_ID, DEVICE_NAME, COUNTER)
"""What a template of an event can name beside the variables."""

TEXT_FORMATS: Final = frozenset((coap.TEXT, coap.LINK_FORMAT, coap.XML, coap.JSON))
"""What a handler gets that asked for nothing else (device-protocol.md §2.4, §3.8)."""

DEFAULT_EVENT_INTERVAL_S: Final = 5.0
DEFAULT_SUBSCRIPTION: Final = "fleet/"
"""Matches no event of a simulated device, so that a fleet does not multiply its own traffic."""
DEFAULT_DECIMALS: Final = 2

_HEARTBEAT: Final = parse_template("{device_id}-{counter}", PLACES)
_GREETING: Final = parse_template("hello from {device_name}", (DEVICE_ID, DEVICE_NAME))
_ANSWER: Final = 42
_COOLEST: Final = 15.0
_WARMEST: Final = 30.0
_COOLS_BY: Final = 0.2
_COOLS_EVERY_S: Final = 10.0


class Constant(msgspec.Struct, frozen=True):
    """The same until it is set to something else."""

    value: bool | int | float


class Text(msgspec.Struct, frozen=True):
    """Text, the device's id and name filled in; the same until it is set to something else."""

    template: Template


class Counter(msgspec.Struct, frozen=True):
    """Begins with `start` at every boot, `step` more every `every_s` seconds."""

    start: float
    step: float
    every_s: float


class Sine(msgspec.Struct, frozen=True):
    """Swings around `mean` by `amplitude`, once in `period_s` seconds."""

    mean: float
    amplitude: float
    period_s: float


class Walk(msgspec.Struct, frozen=True):
    """Begins anywhere between `low` and `high`, and every `every_s` seconds goes up or down by at
    most `step`, as the seed has it."""

    low: float
    high: float
    step: float
    every_s: float


Wave = Constant | Text | Counter | Sine | Walk


class Variable(msgspec.Struct, frozen=True):
    """A variable of the type `BOOL`, `INT`, `DOUBLE` or `STRING`; doubles are rounded."""

    name: str
    type: int
    wave: Wave
    decimals: int = DEFAULT_DECIMALS


class Function(msgspec.Struct, frozen=True):
    """A function: `results` by argument, else `otherwise`, which is the argument's length in bytes
    where it is None. The variable `into` is set to the argument, if that can be read as one."""

    name: str
    results: dict[str, int] = {}
    otherwise: int | None = 0
    into: str | None = None


class Ack(Enum):
    """Whether the application asks for an acknowledgement of an event (device-protocol.md §3.6).

    By default there is one over UDP and none over TCP.
    """

    WITH = "with"
    WITHOUT = "without"
    DEFAULT = "default"

    def is_confirmable(self, by_default: bool) -> bool:
        """Whether the message is confirmable, over a transport that has it so by default."""
        return by_default if self is Ack.DEFAULT else self is Ack.WITH


class Event(msgspec.Struct, frozen=True):
    """Published every `interval_s` seconds, each time at most `jitter` of that earlier or later;
    where that is None once after each boot, when the device has come online.

    `data` is a template of text or bytes; text is padded with dots to `size_bytes` where shorter.
    """

    name: str
    data: Template | bytes
    interval_s: float | None
    jitter: float = 0.0
    content_format: int = coap.TEXT
    ack: Ack = Ack.WITH
    size_bytes: int = 0


class Takes(Enum):
    """What a handler of events takes: text, everything, or CBOR (device-protocol.md §3.7)."""

    TEXT = "text"
    ALL = "all"
    CBOR = "cbor"

    def accepts(self, content_format: int) -> bool:
        """Whether firmware hands an event of this format to such a handler (§3.8)."""
        if self is Takes.CBOR:
            return content_format == coap.CBOR
        return self is Takes.ALL or content_format in TEXT_FORMATS


class Subscription(msgspec.Struct, frozen=True):
    """A handler of events whose names begin with `prefix`; the variable `into` is set to the data,
    if that can be read as one."""

    prefix: str
    takes: Takes = Takes.TEXT
    into: str | None = None


class Behaviour(msgspec.Struct, frozen=True):
    """All that an application does."""

    variables: tuple[Variable, ...] = ()
    functions: tuple[Function, ...] = ()
    events: tuple[Event, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()


def built_in(
    *,
    event_interval_s: float | None = DEFAULT_EVENT_INTERVAL_S,
    event_bytes: int = 0,
    subscriptions: tuple[str, ...] = (DEFAULT_SUBSCRIPTION,),
    functions: tuple[str, ...] = (),
) -> Behaviour:
    """What a device does that is told nothing else. It has

    - variables `answer` (int), `temperature` (double), `ready` (bool) and `greeting` (string);
    - a function `led`: `on` gives 1, `off` gives 0, anything else -1; `ready` follows the lamp;
    - a function `echo`: gives the length of its argument, and `greeting` becomes the argument;
    - more `functions`, which give 0;
    - an event `heartbeat` whose data is the device's id and a counter, so that each is like no
      other, padded to `event_bytes`; none where the interval is None;
    - subscriptions.
    """
    heartbeat = (
        ()
        if event_interval_s is None
        else (
            Event(
                "heartbeat",
                _HEARTBEAT,
                event_interval_s,
                size_bytes=min(event_bytes, MAX_EVENT_DATA),
            ),
        )
    )
    return Behaviour(
        variables=(
            Variable("answer", INT, Constant(_ANSWER)),
            Variable("temperature", DOUBLE, Walk(_COOLEST, _WARMEST, _COOLS_BY, _COOLS_EVERY_S)),
            Variable("ready", BOOL, Constant(True)),
            Variable("greeting", STRING, Text(_GREETING)),
        ),
        functions=(
            Function("led", {"on": 1, "off": 0}, -1, into="ready"),
            Function("echo", otherwise=None, into="greeting"),
            *(Function(name) for name in functions),
        ),
        events=heartbeat,
        subscriptions=tuple(Subscription(prefix) for prefix in subscriptions),
    )
