"""The JSON that the routes of environment variables take and give (rest-api-core.md §17)."""

from typing import Literal

import msgspec


class ValueRequest(msgspec.Struct, frozen=True):
    """What sets one variable."""

    value: str


class OperationRequest(msgspec.Struct, frozen=True):
    """One step of a change; `op` is Set or Unset."""

    op: str
    key: str
    value: str | None = None


class EditRequest(msgspec.Struct, frozen=True):
    """A change of several variables."""

    ops: list[OperationRequest]


class RolloutRequest(msgspec.Struct, frozen=True):
    """`when` is Immediate or Connect."""

    when: str


class OwnVariable(msgspec.Struct, frozen=True):
    """A variable that was set here."""

    value: str


class InheritedVariable(msgspec.Struct, frozen=True, rename={"source": "from"}):
    """A variable of the account, as a device has it that has none of its own."""

    source: Literal["Owner"]
    value: str


class RolledOut(msgspec.Struct, frozen=True):
    """What holds."""

    own: dict[str, OwnVariable]
    inherited: dict[str, InheritedVariable]
    rollout_at: str | None
    rollout_by: str | None


class Edited(msgspec.Struct, frozen=True):
    """What holds after the next rollout."""

    own: dict[str, OwnVariable]
    inherited: dict[str, InheritedVariable]
    created_at: str | None
    updated_at: str | None
    created_by: str | None
    updated_by: str | None


class OnDevice(msgspec.Struct, frozen=True):
    """What the device says that it has: nothing, until there is firmware that is sent variables."""

    rendered: dict[str, str]
    last_reported_at: str | None
    development_env: bool


class VariablesReply(msgspec.Struct, frozen=True):
    """`last_snapshot` is null while all that there is waits for its first rollout; `on_device` is
    there for a device only."""

    last_snapshot: RolledOut | None
    latest: Edited
    on_device: OnDevice | msgspec.UnsetType = msgspec.UNSET


class RenderReply(msgspec.Struct, frozen=True):
    """The variables as they hold, without where they come from."""

    env: dict[str, str]
    last_updated_at: str | None
    rollout_at: str | None
    rollout_by: str | None


class Change(msgspec.Struct, frozen=True):
    """What becomes of one variable. `before` is there for what is, `after` for what stays."""

    op: Literal["Added", "Changed", "Removed"]
    key: str
    before: str | msgspec.UnsetType = msgspec.UNSET
    after: str | msgspec.UnsetType = msgspec.UNSET


class Difference(msgspec.Struct, frozen=True):
    """What a rollout would change, and what it would leave."""

    changes: list[Change]
    unchanged: dict[str, str]


class ReviewReply(msgspec.Struct, frozen=True):
    """Compared with what holds, and for a device with what it reported."""

    from_snapshot: Difference
    from_device: Difference | msgspec.UnsetType = msgspec.UNSET


class RolloutReply(msgspec.Struct, frozen=True):
    success: Literal[True] = True
