"""Bodies that several features share."""

from typing import Literal

import msgspec


class Done(msgspec.Struct):
    """It is done, and there is nothing more to say."""

    ok: Literal[True]
