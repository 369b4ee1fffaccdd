"""The application image of the simulated platform: what an application does, declared, not code.

It is the body of an ordinary user part (device-protocol.md §7): the eight bytes of `MAGIC`, then
one JSON object, the fields of `Image`. A simulated device that finds the magic does what the object
says; for a real board it would be noise, so it is sent only to ids that `is_simulated_device`
allows. Fields that a reader does not know are ignored.
"""

import math
from typing import Final, Literal

import msgspec

from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages import MAX_ARGUMENT, MAX_EVENT_DATA, MAX_NAME, MAX_VARIABLE

MAGIC: Final = b"CYANSIM\x01"
"""Begins the body; the last byte is the version of this format."""

PLATFORM_ID: Final = 3
"""`gcc`, the platform of programs on a host (device-protocol.md §7.6)."""

ID_PREFIX: Final = "5eed"
"""Begins the id of every simulated device. An id from a factory begins with the place of the chip
on its wafer or with the maker's number: 0x5e 0xed is none of them."""

MAX_IMAGE_BYTES: Final = 64 * 1024
"""Of the body; ours. A hundred functions with their results take a tenth of it."""
MAX_FUNCTIONS: Final = 100
MAX_VARIABLES: Final = 100
"""Device OS has room for so many (device-protocol.md §3.3.2)."""
MAX_SUBSCRIPTIONS: Final = 4
"""Beside the two of the system (§3.7)."""
MAX_EVENTS: Final = 32
MAX_RESULTS: Final = 100
"""Of one function; ours."""
MAX_PIECES: Final = 64
"""Of one event's data; ours."""

MIN_INTERVAL_S: Final = 0.01
MAX_INTERVAL_S: Final = 1e9
MAX_NUMBER: Final = 1e15
"""Of doubles: they still have a digit behind the point."""

_LOWEST_INT: Final = -(1 << 31)
_HIGHEST_INT: Final = (1 << 31) - 1

Type = Literal["bool", "int", "double", "string"]
Value = bool | int | float | str


class Variable(msgspec.Struct, frozen=True, omit_defaults=True):
    """A variable with the value of each start; an `int` or `double` that has `every_s` grows by
    `step` every so many seconds."""

    name: str
    type: Type
    value: Value
    step: float = 0.0
    every_s: float | None = None


class Function(msgspec.Struct, frozen=True, omit_defaults=True):
    """A function: `results` by argument, else `otherwise`, which is the argument's length in bytes
    where it is None. The variable `into` is set to the argument, if that can be read as one."""

    name: str
    results: dict[str, int] = {}
    otherwise: int | None = 0
    into: str | None = None


class Piece(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of an event's data: text, then the value of a variable where one is named."""

    text: str = ""
    variable: str | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Published every `interval_s` seconds, or once after each start where that is None."""

    name: str
    data: tuple[Piece, ...] = ()
    interval_s: float | None = None


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """A handler of events whose names begin with `prefix`; the variable `into` is set to the data,
    if that can be read as one."""

    prefix: str
    into: str | None = None


class Image(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that an application does. `product_version` is None where the source declares none; the
    module's suffix says it too, and the suffix is what counts for updates."""

    product_version: int | None = None
    variables: tuple[Variable, ...] = ()
    functions: tuple[Function, ...] = ()
    events: tuple[Event, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()


def is_simulated_device(device_id: str) -> bool:
    """Whether an id is one of the simulator's: only such a device may be sent an image."""
    return device_id.lower().startswith(ID_PREFIX)


def is_image(body: bytes | memoryview) -> bool:
    """Whether the body of a module is an image, of any version of the format."""
    return bytes(body[: len(MAGIC) - 1]) == MAGIC[:-1]


def encode_image(image: Image) -> bytes:
    """The body of the module.

    Raises:
        MisuseError: The image breaks a bound, or names a variable that it does not have.
    """
    _check(image, MisuseError)
    body = MAGIC + _encoder.encode(image)
    if len(body) > MAX_IMAGE_BYTES:
        raise MisuseError(f"the image has {len(body)} bytes, the most is {MAX_IMAGE_BYTES}")
    return body


def decode_image(body: bytes | memoryview) -> Image:
    """Reads the body of a module.

    Raises:
        MalformedError: It is no image, or one that breaks a bound.
    """
    if not is_image(body):
        raise MalformedError("no image of the simulated platform")
    if len(body) > MAX_IMAGE_BYTES:
        raise MalformedError(f"the image has {len(body)} bytes, the most is {MAX_IMAGE_BYTES}")
    if len(body) < len(MAGIC):
        raise MalformedError("the image ends before its version")
    if body[len(MAGIC) - 1] != MAGIC[-1]:
        raise MalformedError(f"an image of version {body[len(MAGIC) - 1]}, not {MAGIC[-1]}")
    try:
        image = _decoder.decode(body[len(MAGIC) :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"the image cannot be read: {error}") from error
    _check(image, MalformedError)
    return image


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Image)


def _check(image: Image, error: type[MalformedError] | type[MisuseError]) -> None:
    fault = _fault(image)
    if fault is not None:
        raise error(f"the image has {fault}")


def _fault(image: Image) -> str | None:
    """What is wrong with an image, None when nothing is."""
    version = image.product_version
    if version is not None and not 0 <= version <= 0xFFFF:
        return f"the product version {version}"
    for what, count, most in (
        ("variables", len(image.variables), MAX_VARIABLES),
        ("functions", len(image.functions), MAX_FUNCTIONS),
        ("events", len(image.events), MAX_EVENTS),
        ("subscriptions", len(image.subscriptions), MAX_SUBSCRIPTIONS),
    ):
        if count > most:
            return f"{count} {what}, the most is {most}"
    known = {variable.name for variable in image.variables}
    names = [*(v.name for v in image.variables), *(f.name for f in image.functions)]
    names += [*(e.name for e in image.events), *(s.prefix for s in image.subscriptions)]
    if not all(_is_text(name, MAX_NAME) and name for name in names):
        return f"a name that is empty or longer than {MAX_NAME} bytes"
    if len(known) != len(image.variables):
        return "two variables of one name"
    if len({function.name for function in image.functions}) != len(image.functions):
        return "two functions of one name"
    targets = {f.into for f in image.functions} | {s.into for s in image.subscriptions}
    targets |= {piece.variable for event in image.events for piece in event.data}
    if targets - known - {None}:
        return "a reference to a variable that it does not have"
    if not all(map(_is_variable, image.variables)):
        return "a variable whose value does not fit its type"
    if not all(map(_is_function, image.functions)):
        return "a function with too many results, or one out of 32 bits"
    if not all(map(_is_event, image.events)):
        return "an event with too much data, or an interval that cannot be"
    return None


def _is_text(text: str, most_bytes: int) -> bool:
    try:
        return len(text.encode()) <= most_bytes
    except UnicodeEncodeError:
        return False


def _is_variable(variable: Variable) -> bool:
    value, grows = variable.value, variable.every_s is not None
    if variable.type == "bool":
        fits = isinstance(value, bool) and not grows
    elif variable.type == "string":
        fits = isinstance(value, str) and _is_text(value, MAX_VARIABLE) and not grows
    elif isinstance(value, (bool, str)):
        fits = False
    elif variable.type == "int":
        fits = isinstance(value, int) and _LOWEST_INT <= value <= _HIGHEST_INT
    else:
        fits = math.isfinite(value) and abs(value) <= MAX_NUMBER
    is_sound = math.isfinite(variable.step) and abs(variable.step) <= MAX_NUMBER
    return fits and is_sound and (variable.every_s is None or _is_interval(variable.every_s))


def _is_function(function: Function) -> bool:
    numbers = [*function.results.values(), *([function.otherwise] if function.otherwise else [])]
    return len(function.results) <= MAX_RESULTS and all(
        _is_text(argument, MAX_ARGUMENT) for argument in function.results
    ) and all(_LOWEST_INT <= number <= _HIGHEST_INT for number in numbers)  # fmt: skip


def _is_event(event: Event) -> bool:
    text = "".join(piece.text for piece in event.data)
    return (
        len(event.data) <= MAX_PIECES
        and _is_text(text, MAX_EVENT_DATA)
        and (event.interval_s is None or _is_interval(event.interval_s))
    )


def _is_interval(seconds: float) -> bool:
    return MIN_INTERVAL_S <= seconds <= MAX_INTERVAL_S
