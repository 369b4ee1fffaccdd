"""Environment variables as values: layers, what they come to, and how two states differ
(rest-api-core.md §17, platform-semantics.md §16.3)."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from cyan.core.errors import InvalidError

MAX_NAME_CHARACTERS: Final = 128
MAX_RENDERED_BYTES: Final = 16 * 1024
"""Names and values that one device gets, in UTF-8 (rest-api-products.md §14.1)."""

MAX_OPERATIONS: Final = 50
"""In one change (rest-api-core.md §17)."""

OWNER: Final[Literal["Owner"]] = "Owner"

_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*\Z")

Variables = Mapping[str, str]


class InvalidVariableNameError(InvalidError):
    """A variable's name has capital letters, digits and underscores, at most 128, and does not
    begin with a digit, like LOG_LEVEL."""


class InvalidVariableValueError(InvalidError):
    """A variable's value is text."""


class InvalidOperationsError(InvalidError):
    """Send {"ops": […]} with 1 to 50 of {"op": "Set", "key": "NAME", "value": "text"} and
    {"op": "Unset", "key": "NAME"}."""


class TooMuchError(InvalidError):
    """The variables of one device may have 16384 bytes, names and values together."""


class InvalidRolloutError(InvalidError):
    """Send {"when": "Immediate"} or {"when": "Connect"}."""


class Layer(msgspec.Struct, frozen=True):
    """The variables of one account, or of one device of it. Stamps are milliseconds since 1970."""

    latest: dict[str, str] = {}
    """As edited last."""
    created_at_ms: int | None = None
    updated_at_ms: int | None = None
    created_by: str | None = None
    updated_by: str | None = None
    snapshot: dict[str, str] | None = None
    """As rolled out last; None before the first rollout."""
    rollout_at_ms: int | None = None
    rollout_by: str | None = None


class State(msgspec.Struct, frozen=True):
    """A layer together with what it inherits: of a device, what its account has rolled out."""

    own: Layer
    above: Layer | None
    """The account's layer, under a device's."""

    @property
    def inherited(self) -> Variables:
        return (self.above.snapshot or {}) if self.above is not None else {}

    @property
    def rolled_out(self) -> Layer | None:
        """Whose rollout was the last one that concerns this; None when there was none."""
        layers = [layer for layer in (self.own, self.above) if layer is not None]
        done = [layer for layer in layers if layer.rollout_at_ms is not None]
        return max(done, key=lambda layer: layer.rollout_at_ms or 0, default=None)

    def render_latest(self) -> dict[str, str]:
        """What would hold after a rollout."""
        return {**self.inherited, **self.own.latest}

    def render_snapshot(self) -> dict[str, str]:
        """What holds."""
        return {**self.inherited, **(self.own.snapshot or {})}


class Operation(msgspec.Struct, frozen=True):
    """Set a variable, or with no value take it away."""

    key: str
    value: str | None


def check_name(name: object) -> str:
    """Raises InvalidVariableNameError."""
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARACTERS or not _NAME.match(name):
        raise InvalidVariableNameError
    return name


def check_value(value: object) -> str:
    """Raises InvalidVariableValueError."""
    if not isinstance(value, str):
        raise InvalidVariableValueError
    return value


def read_operations(fields: Mapping[str, Any]) -> list[Operation]:
    """The `ops` of a change. Raises InvalidOperationsError, and what the checks raise."""
    listed = fields.get("ops")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_OPERATIONS:
        raise InvalidOperationsError
    return [_read_operation(each) for each in listed]


def _read_operation(fields: object) -> Operation:
    if not isinstance(fields, dict) or fields.get("op") not in ("Set", "Unset"):
        raise InvalidOperationsError
    key = check_name(fields.get("key"))
    return Operation(key, check_value(fields.get("value")) if fields["op"] == "Set" else None)


def apply(variables: Variables, operations: list[Operation]) -> dict[str, str]:
    """The variables after the operations, one after the other. Unset of none is no error."""
    changed = dict(variables)
    for operation in operations:
        if operation.value is None:
            changed.pop(operation.key, None)
        else:
            changed[operation.key] = operation.value
    return changed


def check_size(variables: Variables) -> None:
    """Raises TooMuchError."""
    size = sum(len(name) + len(value.encode()) for name, value in variables.items())
    if size > MAX_RENDERED_BYTES:
        raise TooMuchError(
            f"These variables have {size} bytes, names and values together; one device takes"
            f" {MAX_RENDERED_BYTES} at most, what it inherits included."
        )
