"""What a call is refused for."""

from cyan.core.errors import InvalidError, NotFoundError


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
