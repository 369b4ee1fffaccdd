"""Environment variables of the account and of a device: what holds, what waits for a rollout."""

from http import HTTPStatus
from typing import Final

import msgspec
from starlette.responses import Response

from cyan.console.account import ACCOUNT
from cyan.console.device import ONE
from cyan.console.devices import DEVICES
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit
from cyan.devices.model import Device
from cyan.environment.model import (
    MAX_RENDERED_BYTES,
    InvalidVariableNameError,
    Operation,
    State,
    TooMuchError,
    check_name,
)

OF_ACCOUNT: Final = f"{ACCOUNT}/environment"
OF_DEVICE: Final = f"{ONE}/environment"

AT_ONCE: Final = "Immediate"
"""When a rollout begins, in the word of the API."""


class Variable(msgspec.Struct, frozen=True):
    """A variable of a page. `value` is as edited last, or what goes away with the next rollout."""

    name: str
    value: str
    is_own: bool
    """Edited here, not inherited from the account."""
    hides: bool
    """Stands in the place of one of the account."""
    state: str
    """`holds`, or what the next rollout does: `new`, `changed`, `removed`."""
    before: str | None
    """What holds until then, of one that changes."""


def variables_of(state: State) -> list[Variable]:
    """All that hold or would hold, in the order of their names."""
    now, then = state.render_snapshot(), state.render_latest()
    found = []
    for name in sorted({*now, *then}):
        before, after = now.get(name), then.get(name)
        if after is None:
            change = "removed"
        elif before is None:
            change = "new"
        else:
            change = "holds" if before == after else "changed"
        found.append(
            Variable(
                name=name,
                value=(before or "") if after is None else after,
                is_own=name in state.own.latest or after is None,
                hides=name in state.own.latest and name in state.inherited,
                state=change,
                before=before if change == "changed" else None,
            )
        )
    return found


class EnvironmentRoom:
    """Both pages are one: a path without a device is the account's."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._environment = needs.environment

    async def show(self, visit: Visit) -> Response:
        return self._page(visit, self._device(visit), name=visit.query.get("change", ""))

    async def set(self, visit: Visit) -> Response:
        """What is wrong with a variable is said in the form."""
        device, fields = self._device(visit), await visit.texts()
        name, value = fields.get("name", "").strip(), fields.get("value", "")
        try:
            operation = Operation(check_name(name), value)
            await self._environment.edit(visit.caller, [operation], device)
        except InvalidVariableNameError as error:
            return self._page(visit, device, {"name": error.message}, name, value)
        except TooMuchError as error:
            return self._page(visit, device, {"value": error.message}, name, value)
        return visit.go(_path(device), f"{name} is noted. It holds after the next rollout.")

    async def remove(self, visit: Visit) -> Response:
        device, name = self._device(visit), (await visit.texts()).get("name", "")
        await self._environment.edit(visit.caller, [Operation(check_name(name), None)], device)
        return visit.go(_path(device), f"{name} goes with the next rollout.")

    async def roll_out(self, visit: Visit) -> Response:
        device = self._device(visit)
        await self._environment.roll_out(visit.caller, AT_ONCE, device)
        return visit.go(_path(device), "Rolled out: all of it holds now.")

    def _page(
        self,
        visit: Visit,
        device: Device | None,
        errors: dict[str, str] | None = None,
        name: str = "",
        value: str | None = None,
    ) -> Response:
        state = self._environment.get(visit.caller, device)
        listed = variables_of(state)
        if value is None:
            value = state.render_latest().get(name, "")
        return visit.page(
            "account-environment.html" if device is None else "device-environment.html",
            HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
            device=device,
            path=_path(device),
            variables=listed,
            waiting=sum(one.state != "holds" for one in listed),
            rolled_out=state.rolled_out,
            most_bytes=MAX_RENDERED_BYTES,
            errors=errors or {},
            name=name,
            value=value,
        )

    def _device(self, visit: Visit) -> Device | None:
        """Raises UnknownDeviceError."""
        if "device" not in visit.path:
            return None
        return self._needs.access.get(visit.caller, visit.path["device"])


def _path(device: Device | None) -> str:
    return OF_ACCOUNT if device is None else f"{DEVICES}/{device.id}/environment"


def pages(needs: Needs) -> list[Page]:
    room = EnvironmentRoom(needs)
    return [
        page
        for base in (OF_ACCOUNT, OF_DEVICE)
        for page in (
            Page("GET", base, room.show),
            Page("POST", base, room.set),
            Page("POST", f"{base}/remove", room.remove),
            Page("POST", f"{base}/rollout", room.roll_out),
        )
    ]
