"""`patch` in small letters, which HTTP does not know and the parser refuses.

particle-api-js gives its methods to fetch in small letters, and browsers raise all but this one
(the Fetch standard, normalize a method).
"""

from typing import Final

_SMALL: Final = b"patch"


class SmallPatch:
    """Raises it, where a piece of a connection's data begins with it, however it is cut after."""

    __slots__ = ("_came",)

    def __init__(self) -> None:
        self._came = 0
        """Letters of it, in pieces that ended with them."""

    def raised(self, data: bytes, *, is_first: bool) -> bytes:
        """`is_first`: before this piece, nothing of a request has come."""
        if is_first:
            self._came = 0
        elif not self._came:
            return data
        awaited = _SMALL[self._came : self._came + len(data)]
        if not awaited or not data.startswith(awaited):
            self._came = 0
            return data
        self._came += len(awaited)
        return awaited.upper() + data[len(awaited) :]
