"""REST: environment variables of the caller's account and of each device (rest-api-core.md §17).

The path tells the scope: `/v1/env` the account, `/v1/env/{device}` a device.
"""

from typing import Final

from msgspec import UNSET
from starlette.responses import Response

from cyan.core.clock import iso_ms
from cyan.devices.access import DeviceAccess
from cyan.devices.api import get_device
from cyan.devices.model import Device
from cyan.environment.model import (
    OWNER,
    InvalidRolloutError,
    Operation,
    State,
    Variables,
    check_name,
    check_value,
    read_operations,
)
from cyan.environment.service import Environment
from cyan.environment.shapes import (
    Change,
    Difference,
    Edited,
    EditRequest,
    InheritedVariable,
    OnDevice,
    OwnVariable,
    RenderReply,
    ReviewReply,
    RolledOut,
    RolloutReply,
    RolloutRequest,
    ValueRequest,
    VariablesReply,
)
from cyan.rest.call import Call
from cyan.rest.registry import Route
from cyan.rest.responses import json_response

_WHEN: Final = ("Immediate", "Connect")


class _Endpoints:
    def __init__(self, access: DeviceAccess, environment: Environment) -> None:
        self._access = access
        self._environment = environment

    async def get(self, call: Call) -> Response:
        device = self._device(call)
        return _answer(self._environment.get(call.caller, device), device)

    async def edit(self, call: Call) -> Response:
        device = self._device(call)
        operations = read_operations(await call.body())
        return _answer(await self._environment.edit(call.caller, operations, device), device)

    async def put(self, call: Call) -> Response:
        device = self._device(call)
        value = check_value((await call.body()).get("value"))
        operation = Operation(check_name(call.path["key"]), value)
        return _answer(await self._environment.edit(call.caller, [operation], device), device)

    async def delete(self, call: Call) -> Response:
        device = self._device(call)
        operation = Operation(check_name(call.path["key"]), None)
        return _answer(await self._environment.edit(call.caller, [operation], device), device)

    async def render(self, call: Call) -> Response:
        state = self._environment.get(call.caller, self._device(call))
        updates = [
            layer.updated_at_ms
            for layer in (state.own, state.above)
            if layer is not None and layer.updated_at_ms is not None
        ]
        return json_response(
            RenderReply(
                env=state.render_snapshot(),
                last_updated_at=_stamp(max(updates, default=None)),
                rollout_at=_rollout_at(state),
                rollout_by=_rollout_by(state),
            )
        )

    async def review(self, call: Call) -> Response:
        device = self._device(call)
        state = self._environment.get(call.caller, device)
        latest = state.render_latest()
        return json_response(
            ReviewReply(
                from_snapshot=_compare(state.render_snapshot(), latest),
                from_device=UNSET if device is None else _compare({}, latest),
            )
        )

    async def roll_out(self, call: Call) -> Response:
        device = self._device(call)
        when = (await call.body()).get("when")
        if when not in _WHEN:
            raise InvalidRolloutError
        await self._environment.roll_out(call.caller, str(when), device)
        return json_response(RolloutReply())

    def _device(self, call: Call) -> Device | None:
        return get_device(self._access, call) if "device" in call.path else None


def _answer(state: State, device: Device | None) -> Response:
    own = state.own
    latest = Edited(
        own=_values(own.latest),
        inherited=_inherited(state),
        created_at=_stamp(own.created_at_ms),
        updated_at=_stamp(own.updated_at_ms),
        created_by=own.created_by,
        updated_by=own.updated_by,
    )
    # Nothing has been reported: that needs firmware which is sent its variables.
    reported = OnDevice(rendered={}, last_reported_at=None, development_env=False)
    return json_response(
        VariablesReply(_snapshot(state), latest, UNSET if device is None else reported)
    )


def _snapshot(state: State) -> RolledOut | None:
    """None while all that there is waits for its first rollout."""
    # With nothing at all, none would read as a difference: particle-cli shows pending changes, and
    # then a table of none, where `last_snapshot.own` is not `latest.own`.
    if state.rolled_out is None and state.own.latest:
        return None
    return RolledOut(
        own=_values(state.own.snapshot or {}),
        inherited=_inherited(state),
        rollout_at=_rollout_at(state),
        rollout_by=_rollout_by(state),
    )


def _rollout_at(state: State) -> str | None:
    return None if state.rolled_out is None else _stamp(state.rolled_out.rollout_at_ms)


def _rollout_by(state: State) -> str | None:
    return None if state.rolled_out is None else state.rolled_out.rollout_by


def _values(variables: Variables) -> dict[str, OwnVariable]:
    return {key: OwnVariable(value) for key, value in sorted(variables.items())}


def _inherited(state: State) -> dict[str, InheritedVariable]:
    """Overridden ones too: clients show what a deleted variable falls back to."""
    inherited = sorted(state.inherited.items())
    return {key: InheritedVariable(OWNER, value) for key, value in inherited}


def _compare(before: Variables, after: Variables) -> Difference:
    """What a rollout would change."""
    changes: list[Change] = []
    for key in sorted({*before, *after}):
        if key not in before:
            changes.append(Change("Added", key, after=after[key]))
        elif key not in after:
            changes.append(Change("Removed", key, before=before[key]))
        elif before[key] != after[key]:
            changes.append(Change("Changed", key, before=before[key], after=after[key]))
    same = {key: before[key] for key in sorted(before) if after.get(key) == before[key]}
    return Difference(changes, same)


def _stamp(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_ms(at_ms)


def routes(access: DeviceAccess, environment: Environment) -> list[Route]:
    """The routes of this feature."""
    on = _Endpoints(access, environment)
    found: list[Route] = []
    for base, whose in (("/v1/env", "the account"), ("/v1/env/{device}", "a device")):
        found += [
            Route("GET", base, on.get, summary=f"Variables of {whose}", response=VariablesReply),
            Route(
                "PATCH",
                base,
                on.edit,
                summary=f"Change variables of {whose}",
                request=EditRequest,
                response=VariablesReply,
            ),
            Route(
                "GET",
                base + "/render",
                on.render,
                summary=f"Variables of {whose} as they hold",
                response=RenderReply,
            ),
            Route(
                "GET",
                base + "/rollout",
                on.review,
                summary=f"What a rollout to {whose} would change",
                response=ReviewReply,
            ),
            Route(
                "POST",
                base + "/rollout",
                on.roll_out,
                summary=f"Roll the variables of {whose} out",
                request=RolloutRequest,
                response=RolloutReply,
            ),
            Route(
                "PUT",
                base + "/{key}",
                on.put,
                summary=f"Set a variable of {whose}",
                request=ValueRequest,
                response=VariablesReply,
            ),
            Route(
                "DELETE",
                base + "/{key}",
                on.delete,
                summary=f"Take a variable of {whose} away",
                response=VariablesReply,
            ),
        ]
    return found
