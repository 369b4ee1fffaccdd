"""One request to one connected device, and its answer. Who may is decided before, by the door."""

from collections.abc import Awaitable
from typing import Final, TypeVar

import structlog

from cyan.calls.metrics import CALLS
from cyan.calls.model import (
    ArgumentTooLongError,
    UnknownFunctionError,
    UnknownVariableError,
    UnreadableVariableError,
)
from cyan.core.errors import CyanError
from cyan.core.ports import (
    DeviceBusyError,
    DeviceLink,
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
)
from cyan.devices.limits import limits_of
from cyan.devices.model import Device
from cyan.wire.errors import MalformedError
from cyan.wire.messages.calls import decode_variable_value

Value = bool | int | float | str

T = TypeVar("T")

FUNCTION: Final = "function"
VARIABLE: Final = "variable"
PING: Final = "ping"
SIGNAL: Final = "signal"

_OUTCOMES: Final = {
    DeviceOfflineError: "offline",
    DeviceTimeoutError: "timeout",
    DeviceRefusedError: "refused",
    DeviceBusyError: "busy",
    UnreadableVariableError: "refused",
    UnknownFunctionError: "unknown",
    UnknownVariableError: "unknown",
    ArgumentTooLongError: "invalid",
}

_log = structlog.get_logger(__name__)


class Calls:
    """Functions, variables, ping and signal over the port to live devices.

    Every method raises DeviceOfflineError at once when the device is not connected,
    DeviceTimeoutError when it does not answer, DeviceRefusedError when it answers with an error.
    A device gives no answer at all to a name that it does not know (device-protocol.md §3.4), so
    names are looked up in its describe first.
    """

    def __init__(self, link: DeviceLink) -> None:
        self._link = link

    async def call_function(self, device: Device, name: str, argument: str) -> int:
        """The function's result. Raises UnknownFunctionError, ArgumentTooLongError."""
        return await _counted(FUNCTION, device, name, self._call_function(device, name, argument))

    async def read_variable(self, device: Device, name: str) -> Value:
        """The variable's value. Raises UnknownVariableError, UnreadableVariableError."""
        return await _counted(VARIABLE, device, name, self._read_variable(device, name))

    async def is_answering(self, device: Device) -> bool:
        """Whether the device answers a ping now."""
        try:
            await _counted(PING, device, None, self._link.ping(device.id))
        except (DeviceOfflineError, DeviceTimeoutError, DeviceRefusedError):
            return False
        return True

    async def signal(self, device: Device, on: bool) -> None:
        """Start or stop the rainbow of the device's light."""
        await _counted(SIGNAL, device, "on" if on else "off", self._link.signal(device.id, on))

    async def _call_function(self, device: Device, name: str, argument: str) -> int:
        if name not in device.functions:
            self._check_described(device)
            raise UnknownFunctionError(name)
        size = len(argument.encode())
        limit = limits_of(
            device.platform_id, device.system_version, device.max_message_bytes
        ).argument_bytes
        if size > limit:
            # The device would cut it, and call its function all the same (device-protocol.md §3.4).
            raise ArgumentTooLongError(size, limit)
        return await self._link.call_function(device.id, name, argument)

    def _check_described(self, device: Device) -> None:
        """Nobody knows yet what a device offers that has never been online: it is offline."""
        if device.first_online_at_ms is None and self._link.state(device.id) is None:
            raise DeviceOfflineError

    async def _read_variable(self, device: Device, name: str) -> Value:
        if name not in device.variables:
            self._check_described(device)
            raise UnknownVariableError(name)
        payload = await self._link.read_variable(device.id, name)
        try:
            return decode_variable_value(device.variables[name], payload)
        except MalformedError as error:
            raise UnreadableVariableError from error


async def _counted(kind: str, device: Device, name: str | None, answer: Awaitable[T]) -> T:
    outcome = "failed"
    try:
        value = await answer
        outcome = "ok"
        return value
    except CyanError as error:
        outcome = _OUTCOMES.get(type(error), outcome)
        raise
    finally:
        CALLS.labels(kind, outcome).inc()
        _log.info("device.called", device_id=device.id, kind=kind, name=name, outcome=outcome)
