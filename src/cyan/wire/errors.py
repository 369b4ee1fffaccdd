"""The two errors of every codec and machine in `wire`."""


class MalformedError(ValueError):
    """The peer sent bytes that its protocol does not allow. Never our fault, never fatal for us."""


class MisuseError(ValueError):
    """Our own code asked a codec for something that cannot be expressed on the wire."""
