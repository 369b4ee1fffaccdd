"""Strict reading of the length-prefixed structures of TLS (RFC 5246 §4)."""

from cyan.wire.errors import MalformedError


class Reader:
    """Reads big-endian fields from the front of `data`; MalformedError where they are cut off."""

    __slots__ = ("_data", "_position", "_size")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._size = len(data)
        self._position = 0

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return self._size - self._position

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start = self._position
        self._position = end = start + size
        if end > self._size:
            raise MalformedError("field cut off")
        return self._data[start:end]

    def uint(self, size: int) -> int:
        """An unsigned integer of `size` bytes."""
        start = self._position
        self._position = end = start + size
        if end > self._size:
            raise MalformedError("field cut off")
        return int.from_bytes(self._data[start:end], "big")

    def vector(self, length_size: int) -> bytes:
        """A vector whose length stands before it in `length_size` bytes."""
        data = self._data
        start = self._position + length_size
        if start > self._size:
            raise MalformedError("field cut off")
        self._position = end = start + int.from_bytes(data[self._position : start], "big")
        if end > self._size:
            raise MalformedError("field cut off")
        return data[start:end]

    def finish(self) -> None:
        """MalformedError when something is left."""
        if self.left:
            raise MalformedError("bytes after the last field")


def vector(length_size: int, content: bytes) -> bytes:
    """`content` behind its length in `length_size` bytes, as `Reader.vector` reads it."""
    return len(content).to_bytes(length_size, "big") + content
