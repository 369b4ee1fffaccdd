"""The roots of every error that a caller can do something about.

A use case raises a subclass whose docstring is the sentence that a person sees; details that vary
are the constructor's argument. `api.py` modules decide the HTTP status and JSON shape.
"""


class CyanError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        # The first paragraph in one line: how the source is broken is nothing to people.
        told = (type(self).__doc__ or "").strip().split("\n\n")[0]
        self.message = message or " ".join(told.split())
        super().__init__(self.message)


class InvalidError(CyanError):
    """What was given is not what is expected here."""


class NotFoundError(CyanError):
    """There is no such thing, or it is not yours."""


class ForbiddenError(CyanError):
    """You may not do that."""


class ConflictError(CyanError):
    """That does not fit the present state."""


class DiskFullError(CyanError):
    """The server's disk is full. Nothing was changed; its operator has to make room."""


class ConfigError(CyanError):
    """The configuration cannot be used."""
