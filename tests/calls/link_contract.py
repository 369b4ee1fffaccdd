"""What every DeviceLink does, whatever is behind it: the fake of these tests and the gateway's."""

from collections.abc import Awaitable, Callable

import pytest

from cyan.core.ids import DeviceId
from cyan.core.ports import DeviceLink, DeviceOfflineError, DeviceTimeoutError

_CALLS: tuple[Callable[[DeviceLink, DeviceId], Awaitable[object]], ...] = (
    lambda link, device_id: link.call_function(device_id, "led", "on"),
    lambda link, device_id: link.read_variable(device_id, "answer"),
    lambda link, device_id: link.ping(device_id),
    lambda link, device_id: link.signal(device_id, True),
)


async def check_connected(link: DeviceLink, device_id: DeviceId) -> None:
    """The device has `led`, which returns 1, and `answer`, the integer 42, and answers."""
    assert link.state(device_id) is not None
    assert await link.call_function(device_id, "led", "on") == 1
    assert await link.read_variable(device_id, "answer") == b"\0\0\0\x2a"
    await link.ping(device_id)
    await link.signal(device_id, True)
    link.request_vitals(device_id)
    assert link.send_event(device_id, "particle/device/name", b"attic") is True


async def check_offline(link: DeviceLink, device_id: DeviceId) -> None:
    assert link.state(device_id) is None
    for call in _CALLS:
        with pytest.raises(DeviceOfflineError):
            await call(link, device_id)
    with pytest.raises(DeviceOfflineError):
        link.request_vitals(device_id)
    assert link.send_event(device_id, "particle/device/name", b"attic") is False


async def check_silent(link: DeviceLink, device_id: DeviceId) -> None:
    """The device is connected and answers nothing."""
    assert link.state(device_id) is not None
    for call in _CALLS:
        with pytest.raises(DeviceTimeoutError):
            await call(link, device_id)
