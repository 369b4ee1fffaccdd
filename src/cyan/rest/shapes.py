"""Bodies that several features share."""

from typing import Literal

import msgspec


class Done(msgspec.Struct):
    """It is done, and there is nothing more to say."""

    ok: Literal[True]


class Readiness(msgspec.Struct):
    """Which parts of the server work, and how many devices are online."""

    ok: bool
    parts: dict[str, bool]
    online: int
