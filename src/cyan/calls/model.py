"""What a call is refused for, and the limits that firmware sets."""

from typing import Final

from cyan.core.errors import InvalidError, NotFoundError
from cyan.devices.model import Device
from cyan.wire.messages.calls import MAX_ARGUMENT

MAX_ARGUMENT_BYTES_BEFORE_3: Final = 622
MAX_ARGUMENT_BYTES_GEN2: Final = 864
"""platform-semantics.md §6.1; with 3.0 came 1024 bytes, but not on Gen 2."""

_GEN2_PLATFORMS: Final = frozenset({6, 8, 10})
"""photon, p1, electron (device-protocol.md §7.6)."""


class UnknownFunctionError(NotFoundError):
    """The device has no function of that name."""

    def __init__(self, name: str) -> None:
        # The text that recorded replies have (rest-api-core.md §2.2).
        super().__init__(f"Function {name} not found")


class UnknownVariableError(NotFoundError):
    """The device has no variable of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown Variable: {name}")


class ArgumentTooLongError(InvalidError):
    """The argument is longer than the device takes."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"The argument has {size_bytes} bytes; this device takes {limit_bytes} at most."
        )


class UnreadableVariableError(InvalidError):
    """The device's answer does not fit the type that it described for this variable."""


def max_argument_bytes(device: Device) -> int:
    """The longest argument that the device's firmware keeps whole; it cuts a longer one silently
    and calls the function all the same (device-protocol.md §3.4)."""
    if device.platform_id is None:
        return MAX_ARGUMENT
    if device.system_version is None:
        # Hello tells the version since 3.0 (device-protocol.md §3.2).
        return MAX_ARGUMENT_BYTES_BEFORE_3
    return MAX_ARGUMENT_BYTES_GEN2 if device.platform_id in _GEN2_PLATFORMS else MAX_ARGUMENT
